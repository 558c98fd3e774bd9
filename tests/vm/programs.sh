# Each of tests/programs at one pace: native, real, slow, fast or free (see dilated.c).
#   programs PACE [NAME...]     with names: only these
pace=$1
shift
limit=/sys/module/kronos/parameters/free_limit_ms
before=$(cat $limit)
[ $# -gt 0 ] || set -- $(ls /tests/programs)
for program; do
    case $pace:$program in
    *:prctls) continue ;; # wants a `true` with a loader; and the module keeps the slack at 0, and traps the counter
    native:*) ;;
    *:cputime) continue ;; # asks for virtual CPU time, which with this engine is the kernel's
    *:refused) continue ;; # with this engine it is allowed
    *:timens) continue ;; # who may set offsets may set clocks, and hosts may not
    free:overruns) continue ;; # a window for each of 400 000 expiries: minutes
    free:spin) echo 2 >$limit ;; # loops that wait for each other; each has its turn to the end
    esac
    echo "$program:"
    dilated "$pace" "/tests/programs/$program"
    echo "$before" >$limit
done
