# Loading and unloading, again and again: the kernel's own clock and timers come back each time.
source=/sys/devices/system/clocksource/clocksource0/current_clocksource
device=/sys/devices/system/clockevents/clockevent0/current_device
[ ! -e /dev/kronos ] || unload
clock_before=$(cat $source)
timer_before=$(cat $device)
i=0
while [ $i -lt 6 ]; do
    insmod /mod/kronos.ko || { dmesg | tail -n 2; exit 1; }
    [ "$(dmesg | grep -c 'kronos: .* self-tests passed')" -eq $((i + 1)) ]
    [ "$(cat $source)" = kronos ]
    [ "$(cat $device)" = kronos ]
    sleep 0.2
    clock-steady 100000
    rmmod kronos
    [ "$(cat $source)" = "$clock_before" ]
    [ "$(cat $device)" = "$timer_before" ]
    sleep 0.2
    i=$((i + 1))
done
clock-steady 1000000
