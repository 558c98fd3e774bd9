# TCP's retransmission time-outs, in real time and in virtual time at two paces.
. /tests/network.sh
for tolerance in 20000000 1000000:0 1000000:1000; do
    make_network 'delay 1ms'
    for host in h1 h2; do
        # Without the probe that comes before the first time-out.
        ip netns exec $host sysctl -q -w net.ipv4.tcp_early_retrans=0
    done
    echo "figure pace $tolerance"
    case $tolerance in
    *:*) virtual 0 1000 "${tolerance#*:}" 60 -- ip netns exec h2 rto server "${tolerance%:*}" -- \
            ip netns exec h1 rto client ;;
    *)
        ip netns exec h1 rto client &
        ip netns exec h2 rto server "$tolerance"
        kill $!
        ;;
    esac
done
remove_network
