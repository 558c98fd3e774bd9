# Two hosts in namespaces of their own:   h1 10.0.0.1 --- netem on both ends --- 10.0.0.2 h2
make_network() { # what netem does on each end
    remove_network
    ip netns add h1
    ip netns add h2
    ip link add h1-eth0 netns h1 type veth peer name h2-eth0 netns h2
    for host in 1 2; do
        ip -n h$host link set lo up
        ip -n h$host address add 10.0.0.$host/24 dev h$host-eth0
        ip -n h$host link set h$host-eth0 up
        # shellcheck disable=SC2086 # to be split
        ip netns exec h$host tc qdisc add dev h$host-eth0 root netem limit 10000 $1
    done
    ip netns exec h1 ping -q -c 1 10.0.0.2 >/dev/null # so that addresses are known
}

remove_network() {
    ip netns delete h1 2>/dev/null || true
    ip netns delete h2 2>/dev/null || true
}

# min/avg/max/mdev in the output of ping: fails unless they are from $2 to $3 ms.
check_ping() { # FILE LEAST MOST
    echo "figure $(grep ^rtt "$1")"
    sed -n 's/^rtt[^=]*= \([^/]*\)\/\([^/]*\)\/\([^/]*\)\/.*/\1 \3/p' "$1" | {
        read -r least most
        awk -v least="$least" -v most="$most" -v from="$2" -v to="$3" \
            'BEGIN { exit !(least >= from && most <= to) }'
    }
}
