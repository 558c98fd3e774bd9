# expect
exec expect -c '
    set timeout 20
    spawn env PS1=prompt> bash --norc --noediting
    expect "prompt>"; send "sleep 100\r"; sleep 1; send "\x1a"; expect "Stopped"; expect "prompt>"
    send "fg\r"; sleep 1; send "\x03"; expect "prompt>"
    send "sleep 50 & jobs; kill %1; wait \$!; echo do\"ne\" \$?\r"; expect "done"; send "exit\r"; expect eof'
