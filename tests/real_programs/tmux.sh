# tmux
export TERM=xterm; tmux -S socket new-session -d 'sleep 2; date +%s > out'; sleep 3; wc -l < out
tmux -S socket new-session -d sh; sleep 1; tmux -S socket send-keys 'echo typed > keys' Enter
sleep 1; cat keys; tmux -S socket kill-server
