# Nothing keeps the module after experiments, however they ended.
/tests/owner 5
rmmod kronos
[ "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)" != kronos ]
