# sshd, ssh and scp
ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f user; cp user.pub keys; mkdir -p /run/sshd
$(command -v sshd) -D -e -p 2222 -h "$PWD/host" -o ListenAddress=127.0.0.1 -o StrictModes=no -o UsePAM=no \
    -o PidFile=none -o AuthorizedKeysFile="$PWD/keys" 2> log & sleep 0.5
options="-F none -i user -o StrictHostKeyChecking=no -o UserKnownHostsFile=known -o LogLevel=ERROR"
ssh $options -p 2222 127.0.0.1 'sleep 1; echo there'
ssh $options -tt -p 2222 127.0.0.1 'tty > /dev/null && sleep 1; echo terminal'
head -c 1000000 /dev/zero > a; scp $options -P 2222 -q a 127.0.0.1:"$PWD/b"; cmp a b && echo copied
kill %1; wait; exit 0
