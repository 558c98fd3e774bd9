# screen
export TERM=xterm SCREENDIR=$PWD/screens; mkdir -m 700 screens
screen -d -m sh -c 'sleep 2; echo inside > said'; sleep 3; cat said
