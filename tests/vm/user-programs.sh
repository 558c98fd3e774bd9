# Each of tests/programs under the user engine, which needs no module: here for this kernel's sake (see user.c).
#   user-programs PACE [NAME...]     with names: only these
pace=$1
shift
[ $# -gt 0 ] || set -- $(ls /tests/programs)
unload
for program; do
    echo "$program:"
    case $pace:$program in
    free:stamps) user real "/tests/programs/$program" ;; # here it computes for longer than a free host may
    *) user "$pace" "/tests/programs/$program" ;;
    esac
done
insmod /mod/kronos.ko free_limit_ms=5000
