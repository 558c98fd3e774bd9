# TCP over a bottleneck of 8 Mbit/s, and over a link that loses 1 %: the same goodput at every pace.
#   tcp-rate RUNS SECONDS: with losses so many runs of so many virtual seconds at each pace
. /tests/network.sh
runs=${1:-1}
seconds=${2:-20}

# Mbit/s that arrive at h2; `real` is no virtual time at all.
goodput() { # WAIT
    set -- "$1" ip netns exec h1 sh -c "sleep 1; exec iperf3 -c 10.0.0.2 -t $seconds -O 2 -f k" -- \
        ip netns exec h2 iperf3 -s -1
    case $1 in
    real)
        ip netns exec h2 iperf3 -s -1 >/tmp/server &
        shift
        "$1" "$2" "$3" "$4" "$5" "$6" "$7" >/tmp/client
        wait
        ;;
    *)
        wait=$1
        shift
        virtual 10 1000 "$wait" 600 -- "$@" >/tmp/client
        ;;
    esac
    awk '/receiver/ { for (i = 1; i <= NF; i++) if ($i == "Kbits/sec") print $(i - 1) / 1000 }' /tmp/client
}

average() { # WAIT
    i=0
    while [ $i -lt "$runs" ]; do
        goodput "$1"
        i=$((i + 1))
    done | awk '{ sum += $1 } END { print sum / NR }'
}

agree() { # WHAT ACCURACY MBIT...
    what=$1 accuracy=$2
    shift 2
    echo "figure $what: $* Mbit/s"
    echo "$*" | awk -v accuracy="$accuracy" \
        '{ for (i = 2; i <= NF; i++) if ($i < $1 * (1 - accuracy) || $i > $1 * (1 + accuracy) || !$1) exit 1 }'
}

make_network 'delay 10ms rate 8mbit'
agree 'bottleneck of 8 Mbit/s, fast, slow and real' 0.02 "$(goodput 0)" "$(goodput 500)" "$(goodput real)"
make_network 'delay 10ms loss 1%'
[ "$runs" -lt 2 ] || agree '1 % loss, fast, slow and real' 0.05 "$(average 0)" "$(average 500)" "$(average real)"
remove_network
