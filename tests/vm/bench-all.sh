# What virtual time costs; ratios are those of this machine.
unload
echo "figure without the module:"
bench clock
insmod /mod/kronos.ko
echo "figure with it:"
bench clock
bench slices
bench steps
bench rounds
