# bash
set -m; sleep 30 & sleep 1; kill -STOP %1; sleep 1; jobs; kill -CONT %1; kill %1; wait %1; echo "ended $?"
coproc cat; echo through >&${COPROC[1]}; read -r line <&${COPROC[0]}; echo "$line"; kill %%; wait
trap 'echo usr1' USR1; (sleep 1; kill -USR1 $$) & wait $!; wait $!; read -t 2 -r < <(sleep 9); echo "read $?"
time sleep 1.5
