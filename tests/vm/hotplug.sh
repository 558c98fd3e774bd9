# CPUs come and go while the clock runs free; while it stands they stay, and hosts work on.
cpu=/sys/devices/system/cpu/cpu1/online
again() {
    i=0
    while [ $i -lt 5 ]; do
        echo 0 >$cpu
        echo 1 >$cpu
        i=$((i + 1))
    done
    [ "$(cat /sys/devices/system/clockevents/clockevent1/current_device)" = kronos ]
}
frozen_stays() {
    if echo 0 >$cpu; then
        echo "a CPU went offline while the clock stood"
        exit 1
    fi
    [ "$(cat $cpu)" = 1 ]
}
again
mkfifo /tmp/tried
virtual 1 1000 0 600 -- sh -c 'read line </tmp/tried; sleep 2' -- sh -c 'while :; do :; done' -- \
    sh -c 'while :; do :; done' &
await-frozen
frozen_stays
echo >/tmp/tried
wait $!
rm /tmp/tried
again
sleep 0.1
