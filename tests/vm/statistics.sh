# What debugfs tells of an experiment: as many windows as there were rounds with work, and the time that they took.
gate 2
file=/sys/kernel/debug/kronos/rounds
cat $file
grep -q '^hosts run: [1-9][0-9]* times, [1-9][0-9]* us' $file
grep -q '^kernel settles: [1-9][0-9]* times, [1-9][0-9]* us' $file
