# git and make
git init -q a; cd a; printf 'all: one two\none two:; @sleep 1; echo $@ > $@\n' > Makefile
make -j2 -s; git add .; git -c user.name=n -c user.email=e commit -qm first
git clone -q . ../b; git -C ../b ls-files | tr '\n' ' '
echo 'int main(void) { return 42; }' > t.c; gcc -O2 -o t t.c; ./t; echo $?
