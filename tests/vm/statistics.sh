# What debugfs tells of an experiment: as many windows as there were rounds with work, and the time that they took.
# The tracepoints tell of each of them.
trace=/sys/kernel/debug/tracing
echo 20000 >$trace/buffer_size_kb
echo 1 >$trace/events/kronos/enable
gate 2
echo 0 >$trace/events/kronos/enable
file=/sys/kernel/debug/kronos/rounds
cat $file
grep -q '^hosts run: [1-9][0-9]* times, [1-9][0-9]* us' $file
grep -q '^kernel settles: [1-9][0-9]* times, [1-9][0-9]* us' $file

counted() { sed -n "s/.*$1[^0-9]*\([0-9]*\).*/\1/p" $file | head -n 1; }
for pair in window:windows turn:slices cut:cut settle:'kernel settles'; do
    events=$(grep -c " kronos_${pair%%:*}: " $trace/trace)
    echo "kronos_${pair%%:*}: $events events"
    [ "$events" -eq "$(counted "${pair#*:}")" ]
done
grep -q 'kronos_window: end=[0-9]* real_ns=[0-9]*$' $trace/trace
grep -q 'kronos_cut: tid=[0-9]* host=[12] time=[0-9]*$' $trace/trace
echo >$trace/trace
