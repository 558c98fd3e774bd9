# Nothing keeps the module after experiments, however they ended.
/tests/owner 5
unload
[ "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)" != kronos ]
