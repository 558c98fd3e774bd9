# Each of tests/programs at one pace: native, real, slow, fast or free (see dilated.c).
#   programs PACE [NAME...]     with names: only these
pace=$1
shift
limit=/sys/module/kronos/parameters/free_limit_ms
before=$(cat $limit)
[ $# -gt 0 ] || set -- $(ls /tests/programs)
for program; do
    case $pace:$program in
    native:*) ;;
    *:cputime) continue ;; # asks for virtual CPU time, which with this engine is the kernel's
    *:refused) continue ;; # with this engine it is allowed
    *:timens) continue ;; # who may set offsets may set clocks, and hosts may not
    *:prctls) continue ;; # the module keeps the slack of timers at 0, and has the trap of the counter for itself
    free:overruns) continue ;; # a window for each of 400 000 expiries: minutes
    free:spin) echo 2 >$limit ;; # loops that wait for each other; each has its turn to the end
    esac
    echo "$program:"
    dilated "$pace" "/tests/programs/$program"
    echo "$before" >$limit
done
