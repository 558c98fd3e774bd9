# A link of 50 ms each way: 100 ms, at every pace of the machine, and at every speed of the hosts.
. /tests/network.sh
make_network 'delay 50ms'
case $(uname -r) in
*-debug) at_speed_1=102 at_speed_10=100.3 ;;
*) at_speed_1=100.6 at_speed_10=100.1 ;;
esac
for wait in 0 2000; do
    for speed in 0 1 10; do
        virtual $speed 1000 $wait 60 -- ip netns exec h1 ping -i 0.2 -c 10 10.0.0.2 >/tmp/ping
        case $speed in
        1) most=$at_speed_1 ;;
        10) most=$at_speed_10 ;;
        *) most=100.1 ;;
        esac
        check_ping /tmp/ping 100.0 $most
    done
done
remove_network
