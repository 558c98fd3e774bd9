# TCP over a bottleneck of 8 Mbit/s, and over a link that loses 1 %: the same goodput at every pace.
#   tcp-rate RUNS SECONDS [RANDOM]: so many runs of so many virtual seconds at each pace; without losses one is enough.
#   RANDOM more runs with random losses, which agree no better than chance lets them: by 10 % after 10 000 segments.
. /tests/network.sh
runs=${1:-3}
seconds=${2:-10}
random=${3:-0}

bottleneck() {
    make_network 'delay 10ms rate 8mbit'
}

# Links with a rate, since segments sent in one instant have one time, and TCP takes the earlier one for lost when the
# later one is acknowledged. Losses are of segments, not of buffers with several of them.
every_100th_lost() {
    make_network 'delay 10ms rate 100mbit'
    ip -n h1 link set h1-eth0 gso_max_segs 1
    ip netns exec h2 tc qdisc add dev h2-eth0 clsact
    ip netns exec h2 tc filter add dev h2-eth0 ingress matchall action pass random determ drop 100
}

random_losses() {
    make_network 'delay 10ms rate 100mbit loss 1%'
    ip -n h1 link set h1-eth0 gso_max_segs 1
}

# Mbit/s that arrive at h2, and how many of 1000 segments h1 sends again, by the count of its kernel; `real` is no
# virtual time at all. In a new network each time: which frames are lost, and what TCP remembers, begin anew.
flow() { # WAIT
    "$network"
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
    rate=$(awk '/ receiver/ { for (i = 1; i <= NF; i++) if ($i == "Kbits/sec") print $(i - 1) / 1000 }' /tmp/client)
    ip netns exec h1 awk -v rate="$rate" '
        $1 == "Tcp:" && !names { names = split($0, name); next }
        $1 == "Tcp:" { for (i = 1; i <= names; i++) count[name[i]] = $i }
        END { print rate, count["RetransSegs"] / count["OutSegs"] * 1000 }' /proc/net/snmp
}

# Averages over the runs, each with its standard error. Fails if a run has.
flows() { # WAIT COUNT
    i=0
    while [ $i -lt "$2" ]; do
        flow "$1"
        i=$((i + 1))
    done | awk -v count="$2" '
        function root(x,   r, step) { # busybox may have none
            for (r = x + 1; step < 60; step++)
                r = (r + x / r) / 2
            return x > 0 ? r : 0
        }
        NF != 2 { failed = 1 }
        { for (i = 1; i <= 2; i++) { sum[i] += $i; squares[i] += $i * $i } }
        END {
            if (failed || NR != count)
                exit 1
            for (i = 1; i <= 2; i++) {
                mean = sum[i] / NR
                variance = squares[i] / NR - mean * mean
                print mean, root(variance / (NR > 1 ? NR - 1 : 1))
            }
        }'
}

# Compares the averages, one in each line of FILE, with the first: not further apart than that, or than chance explains,
# which is three standard errors.
#
# With every 100th segment lost a run's rate depends on how the losses fall into its window of some nine segments: 64
# runs, on both kernels, as fast as they go and in real time, had a standard deviation of 1.3 % and were within 3 % of their
# average. Averages of three then differ by 1.1 % (1.3 % * sqrt(2 / 3)), and 5 % is more than four times that.
agree() { # WHAT ACCURACY FILE
    echo "figure $1: $(awk '{ printf "%s%.3f +- %.3f", (NR > 1 ? ", " : ""), $1, $2 }' "$3")"
    awk -v accuracy="$2" '
        NR == 1 { first = $1; error = $2 }
        !$1 { exit 1 }
        { square = ($1 - first) * ($1 - first); most = accuracy * first }
        square > most * most && square > 9 * (error * error + $2 * $2) { exit 1 }' "$3"
}

compare() { # NETWORK COUNT WHAT
    network=$1
    rm -f /tmp/rates /tmp/again
    for pace in 0 500 real; do
        flows $pace "$2" >/tmp/flows
        sed -n 1p /tmp/flows >>/tmp/rates
        sed -n 2p /tmp/flows >>/tmp/again
        echo "figure $3: pace $pace: $(tr '\n' ' ' </tmp/flows)"
    done
}

compare bottleneck 1 'bottleneck of 8 Mbit/s'
agree 'bottleneck of 8 Mbit/s, Mbit/s fast, slow and real' 0.02 /tmp/rates
compare every_100th_lost "$runs" 'every 100th lost'
agree 'every 100th lost, Mbit/s fast, slow and real' 0.05 /tmp/rates
agree 'every 100th lost, sent again of 1000 segments, fast, slow and real' 0.05 /tmp/again
if [ "$random" -gt 0 ]; then
    compare random_losses "$random" '1 % loss'
    agree '1 % loss, Mbit/s fast, slow and real' 0.05 /tmp/rates
    agree '1 % loss, sent again of 1000 segments, fast, slow and real' 0.05 /tmp/again
fi
remove_network
