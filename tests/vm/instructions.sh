# Hosts that count instructions: refused without a PMU, as in QEMU's own processor, and counted by a stand-in.
[ -e /sys/bus/event_source/devices/cpu ] || instructions refused
unload
insmod /mod/kronos.ko page_faults=1
instructions
unload
insmod /mod/kronos.ko free_limit_ms=5000
