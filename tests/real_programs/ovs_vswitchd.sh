# ovs-vswitchd with its userspace datapath: two ports, a ping through them, a flow that times out
export OVS_RUNDIR=$PWD OVS_LOGDIR=$PWD OVS_DBDIR=$PWD OVS_SYSCONFDIR=$PWD
ovsdb-tool create db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server --remote=punix:db.sock --pidfile --detach --no-chdir --log-file=db.log db 2> server
ovs-vswitchd unix:db.sock --pidfile --detach --no-chdir --log-file=switch.log 2> switch
ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev
for n in 1 2; do
    unshare -n sleep 100 & sleep 0.1
    ip link add p$n type veth peer name eth0 netns $! && ip link set p$n up && ovs-vsctl add-port br0 p$n
    nsenter -t $! -n ip addr add 192.0.2.$n/24 dev eth0; nsenter -t $! -n ip link set eth0 up
done
ovs-ofctl add-flow br0 'priority=9,icmp,hard_timeout=4,actions=normal'
nsenter -t $! -n ping -q -c 3 -i 0.5 192.0.2.1
ovs-ofctl dump-flows br0 icmp | grep -c hard_timeout; sleep 5; ovs-ofctl dump-flows br0 icmp | grep -c hard_timeout
ovs-appctl -t ovs-vswitchd exit; ovs-appctl -t ovsdb-server exit; kill $(jobs -p); wait
echo ended
