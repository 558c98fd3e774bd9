# CPUs come and go, free and frozen, beside hosts that work.
cpu=/sys/devices/system/cpu/cpu1/online
again() { # WHAT
    echo "figure hotplug $1"
    i=0
    while [ $i -lt 5 ]; do
        echo 0 >$cpu
        echo 1 >$cpu
        i=$((i + 1))
    done
    [ "$(cat /sys/devices/system/clockevents/clockevent1/current_device)" = kronos ]
}
again free
virtual 1 1000 0 60 -- sleep 2 -- sh -c 'while :; do :; done' -- sh -c 'while :; do :; done' &
again frozen
wait $!
again 'free again'
sleep 0.1
