# TCP over a bottleneck of 8 Mbit/s, and over a link that loses 1 %: the same goodput at every pace.
#   tcp-rate RUNS SECONDS: so many runs of so many virtual seconds at each pace; without losses one is enough. One run
#   leaves random losses out, which agree no better than chance lets them.
. /tests/network.sh
runs=${1:-1}
seconds=${2:-20}

# Mbit/s that arrive at h2, and how often h1 sends again for each of the 1000 segments of a MByte and a half; `real`
# is no virtual time at all.
flow() { # WAIT
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
    awk -v seconds="$seconds" '
        / sender/ { again = $(NF - 1) }
        / receiver/ { for (i = 1; i <= NF; i++) if ($i == "Kbits/sec") rate = $(i - 1) / 1000 }
        END { print rate, again / (rate * seconds * 1e6 / 8 / 1448) * 1000 }' /tmp/client
}

# Averages over the runs, each with its standard error.
flows() { # WAIT COUNT
    i=0
    while [ $i -lt "$2" ]; do
        flow "$1"
        i=$((i + 1))
    done | awk '
        function root(x,   r, step) { # busybox may have none
            for (r = x + 1; step < 60; step++)
                r = (r + x / r) / 2
            return x > 0 ? r : 0
        }
        { for (i = 1; i <= 2; i++) { sum[i] += $i; squares[i] += $i * $i } }
        END {
            for (i = 1; i <= 2; i++) {
                mean = sum[i] / NR
                variance = squares[i] / NR - mean * mean
                print mean, root(variance / (NR > 1 ? NR - 1 : 1))
            }
        }'
}

# Compares the averages, one in each line of FILE, with the first: not further apart than that, or than chance explains,
# which is two standard errors.
agree() { # WHAT ACCURACY FILE
    echo "figure $1: $(awk '{ printf "%s%.3f +- %.3f", (NR > 1 ? ", " : ""), $1, $2 }' "$3")"
    awk -v accuracy="$2" '
        NR == 1 { first = $1; error = $2 }
        !$1 { exit 1 }
        { square = ($1 - first) * ($1 - first); most = accuracy * first }
        square > most * most && square > 4 * (error * error + $2 * $2) { exit 1 }' "$3"
}

compare() { # WHAT COUNT
    rm -f /tmp/rates /tmp/again
    for pace in 0 500 real; do
        flows $pace "$2" >/tmp/flows
        sed -n 1p /tmp/flows >>/tmp/rates
        sed -n 2p /tmp/flows >>/tmp/again
        echo "figure $1: pace $pace: $(tr '\n' ' ' </tmp/flows)"
    done
}

make_network 'delay 10ms rate 8mbit'
compare 'bottleneck of 8 Mbit/s' 1
agree 'bottleneck of 8 Mbit/s, Mbit/s fast, slow and real' 0.02 /tmp/rates
make_network 'delay 10ms'
ip netns exec h2 tc qdisc add dev h2-eth0 clsact
ip netns exec h2 tc filter add dev h2-eth0 ingress matchall action pass random determ drop 100
compare 'every 100th lost' 1
agree 'every 100th lost, Mbit/s fast, slow and real' 0.05 /tmp/rates
agree 'every 100th lost, sent again of 1000 segments, fast, slow and real' 0.05 /tmp/again
if [ "$runs" -gt 1 ]; then
    make_network 'delay 10ms loss 1%'
    compare '1 % loss' "$runs"
    agree '1 % loss, Mbit/s fast, slow and real' 0.05 /tmp/rates
    agree '1 % loss, sent again of 1000 segments, fast, slow and real' 0.05 /tmp/again
fi
remove_network
