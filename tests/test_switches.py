"""Switches in virtual time: kinds, paces, and what Open vSwitch does by the clock."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mininet.node import Switch
from mininet.topo import Topo

from mininet_kronos import (
    KronosLinuxBridge,
    KronosOVSBridge,
    KronosOVSSwitch,
    KronosRemoteController,
    KronosRyu,
    KronosSwitchMixin,
)
from tests.conftest import Pair, Ring, parse_iperf_udp, ping, warm_up

FREE = {"counter": "free"}
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
PROGRAM = Path(__file__).parent / "programs" / "user_switch.py"


def free_pair(**params):
    return Pair(delay="5ms", bw=None, host=FREE, **params)


HELLO = b"\x04\x00\x00\x08\x00\x00\x00\x01"  # of OpenFlow 1.3


def test_programs_outside_are_answered_while_time_stands(make_net, cpus):
    net = make_net(free_pair(), cpus=cpus)
    warm_up(net["h1"], net["h2"])
    now = net.now
    assert subprocess.check_output(["ovs-vsctl", "list-br"], text=True) == "s1\n"
    assert os.system("ovs-ofctl -O OpenFlow13 add-flow s1 priority=9,icmp,actions=drop") == 0
    with socket.create_connection(("127.0.0.1", net.controllers[0].port), 60) as another_switch:
        another_switch.sendall(HELLO)
        assert another_switch.recv(8)[:2] == HELLO[:2]
    assert net.now == now
    result, text = ping(net["h1"], net["h2"], 1, options="-W 1")
    assert result.received == 0, text


# Kinds of switches


def test_a_linux_bridge_forwards_in_no_time(make_net):
    net = make_net(free_pair(hosts=3), switch=KronosLinuxBridge, controller=None, autoStaticArp=True)
    for far in "h2", "h3":
        result, text = ping(net["h1"], net[far], 3)
        assert result.replies == {1: 20.0, 2: 20.0, 3: 20.0}, text
    assert net["h2"].MAC() in net["s1"].dpctl("fdb", "show", "br", "s1")


class UserSwitch(KronosSwitchMixin, Switch):
    """The program in tests/programs, as Mininet's IVSSwitch runs ivs."""

    def start(self, controllers):
        ports = " ".join(intf.name for intf in self.intfList() if intf.name != "lo")
        self.cmd(f"{sys.executable} {PROGRAM} {ports} &")
        for controller in self.endpoints(controllers):
            log = self.kronos.directory / self.name
            self.cmd(f"{sys.executable} {PROGRAM} -c {controller.IP()}:{controller.port} >{log} &")


def test_a_switch_that_is_a_process(make_net):
    """Which the freeze waits for: no frame is lost."""
    net = make_net(free_pair(hosts=3), switch=UserSwitch, controller=None, autoStaticArp=True)
    for far in "h2", "h3":
        result, text = ping(net["h1"], net[far], 3)
        assert result.replies == {1: 20.0, 2: 20.0, 3: 20.0}, text


def test_such_a_switch_has_its_controller_at_a_distance(make_net):
    controller = with_params(KronosRyu, control_delay="2ms")
    net = make_net(free_pair(), switch=UserSwitch, controller=controller)
    net.run("5s")
    echoes = (net.pump.directory / "s1").read_text().split("\n")
    assert echoes.count("echo 4000000") >= 4, echoes


def with_params(cls, **preset):
    return lambda name, *args, **params: cls(name, *args, **{**preset, **params})


# Paces


@pytest.mark.parametrize("cls", [UserSwitch, KronosOVSBridge], ids=["process", "Open vSwitch"])
def test_a_slow_switch_takes_its_time(make_net, cls):
    means = []
    for speed in 1, 0.1:
        switch = with_params(cls, pace="dilated", cpu_speed=speed)
        net = make_net(free_pair(), switch=switch, controller=None, autoStaticArp=True)
        warm_up(net["h1"], net["h2"])
        result, text = ping(net["h1"], net["h2"], 20)
        assert result.received == 20, text
        means.append(result.mean - 20)
    assert 0 < means[0] < 5, means
    assert means[1] > 4 * means[0], means


def test_switches_of_all_paces_in_one_network(make_net):
    class Row(Topo):
        def build(self):
            paces = {"s1": "instant", "s2": "dilated", "s3": "realtime", "s4": "dilated"}
            for name, pace in paces.items():
                self.addSwitch(name, pace=pace)
            for left, right in ("s1", "s2"), ("s2", "s3"), ("s3", "s4"):
                self.addLink(left, right, delay="1ms")
            self.addLink(self.addHost("h1", **FREE), "s1", delay="1ms")
            self.addLink(self.addHost("h2", **FREE), "s4", delay="1ms")

    net = make_net(Row(), controller=with_params(KronosRyu, control_delay="2ms"))
    result, text = ping(net["h1"], net["h2"], 5)
    assert result.received == 5, text
    assert result.replies[5] >= 10, text
    for switch in net.switches:
        flows = switch.dpctl("dump-flows")
        assert net["h1"].MAC().lower() in flows, (switch, flows)


@pytest.mark.parametrize("pace", ["realtime", "remote"])
def test_a_controller_in_real_time(make_net, pace, caplog, start_script):
    if pace == "remote":
        ryu = [sys.executable, "-m", "mininet_kronos.ryu_launcher", "--ofp-tcp-listen-port", "6653"]
        start_script(*ryu, "mininet_kronos.apps.learning_switch")
        controller = KronosRemoteController
    else:
        controller = with_params(KronosRyu, pace="realtime")
    net = make_net(free_pair(), controller=controller)
    assert "c0 is outside virtual time (pace realtime)" in caplog.text
    result, text = ping(net["h1"], net["h2"], 4)
    assert result.received == 4, text
    assert result.replies[4] == 20.0, text  # the flows are there
    assert result.replies[1] >= 20.0, text


# What Open vSwitch does by the clock


def test_flows_durations_and_timeouts_are_virtual(make_net):
    net = make_net(free_pair(), switch=KronosOVSBridge, controller=None)
    s1 = net["s1"]
    s1.dpctl("add-flow", "priority=9,in_port=99,idle_timeout=20,actions=drop")
    s1.dpctl("add-flow", "priority=8,in_port=98,hard_timeout=30,actions=drop")
    begin = net.now
    s1.dpctl("add-flow", "priority=7,in_port=97,actions=drop")
    assert net.now - begin <= net.timestep

    def durations():
        said = s1.dpctl("dump-flows")
        return {
            int(port): float(age) for age, port in re.findall(r"duration=([\d.]+)s,.*in_port=(\d+)", said)
        }

    for wait in "1s", "17.5s", "2.5s", "8s", "2s", "3600s":
        net.run(wait)
        now = net.now
        found = durations()
        assert abs(found[97] * SECOND - (now - begin)) <= 2 * net.timestep, (found, now - begin)
        elapsed = (now - begin) / SECOND
        assert (99 in found) == (elapsed < 20), (found, elapsed)
        assert (98 in found) == (elapsed < 30), (found, elapsed)


def test_a_meter_meters_in_virtual_time(make_net, busy):
    net = make_net(free_pair(), switch=with_params(KronosOVSBridge, protocols="OpenFlow13"), controller=None)
    h1, h2, s1 = net["h1"], net["h2"], net["s1"]
    s1.cmd("ovs-ofctl -O OpenFlow13 add-meter s1 meter=1,kbps,burst,band=type=drop,rate=1000,burst_size=100")
    s1.cmd("ovs-ofctl -O OpenFlow13 add-flow s1 priority=9,udp,actions=meter:1,normal")
    h2.cmd("iperf -s -u >/dev/null &")
    net.run("100ms")
    flow = parse_iperf_udp(h1.cmd(f"iperf -u -b 5m -t 5 -l 1470 -f b -c {h2.IP()}"))
    assert flow.mbps == pytest.approx(1.0, rel=0.06), flow


def test_a_monitor_tells_what_happens(make_net):
    net = make_net(free_pair(), switch=KronosOVSBridge, controller=None)
    s1 = net["s1"]
    monitor = s1.popen("ovs-ofctl monitor s1 watch:")
    net.run("100ms")
    s1.dpctl("add-flow", "priority=9,in_port=99,hard_timeout=5,actions=drop")
    net.run("4s")
    s1.dpctl("add-flow", "priority=9,in_port=98,actions=drop")
    net.run("3s")
    monitor.terminate()
    said = b"".join(monitor.communicate()).decode()
    order = re.findall(r"event=(\w+) .*in_port=(\d+)", said)
    assert order == [("ADDED", "99"), ("ADDED", "98"), ("DELETED", "99")], said


@pytest.mark.parametrize("rapid", [False, True], ids=["STP", "RSTP"])
def test_a_spanning_tree_converges_in_virtual_time(make_net, rapid):
    seen = []
    for _ in range(2):
        net = make_net(
            Ring(3, host=FREE), switch=with_params(KronosOVSBridge, stp=not rapid), controller=None, seed=3
        )
        if rapid:
            for switch in net.switches:
                switch.cmd(f"ovs-vsctl set bridge {switch} rstp_enable=true")
            net.run("10s")
        else:
            assert net.waitConnected(timeout=60)
            assert 28 * SECOND < net.now < 40 * SECOND
        result, text = ping(net["h1"], net["h3"], 3)
        assert result.received == 3, text
        before = net.experiment.stats().frames
        net.run("10s")
        assert net.experiment.stats().frames - before < 200, "a storm"
        net.configLinkStatus("s1", "s3", "down")
        net.run("60s")
        again, text = ping(net["h1"], net["h3"], 3)
        assert again.received == 3, text
        assert set(again.replies.values()) == {16.0}, text  # by way of s2
        seen.append(sorted({*result.replies.values(), *again.replies.values()}))
    assert seen[0] == seen[1]


# Many


def test_fifty_switches_and_hosts(make_net):
    class Row(Topo):
        def build(self):
            for i in range(1, 51):
                self.addLink(self.addHost(f"h{i}", **FREE), self.addSwitch(f"s{i}"), delay="1ms")
                if i > 1:
                    self.addLink(f"s{i - 1}", f"s{i}", delay="1ms")

    net = make_net(Row(), autoStaticArp=True)
    result, text = ping(net["h1"], net["h50"], 3)
    assert result.replies == {1: 102.0, 2: 102.0, 3: 102.0}, text


# What goes wrong


def test_a_dead_open_vswitch_is_reported_in_one_line(make_net, caplog):
    net = make_net(free_pair())
    warm_up(net["h1"], net["h2"])
    net.ovs.processes["ovs-vswitchd"].kill()
    caplog.clear()
    net.run("2s")
    said = "".join(caplog.messages)
    assert re.fullmatch(r"\*\*\* the switches' ovs-vswitchd has ended, at [\d.]+ s of .*\n", said), said
    assert ping(net["h1"], net["h2"], 2, options="-W 1")[0].received == 0


def test_a_refused_bridge_is_one_line(make_net):
    class Bad(KronosLinuxBridge):
        def start(self, controllers):
            self.prio = 99999999
            super().start(controllers)

    with pytest.raises(Exception, match="s1: the kernel refuses the bridge: "):
        make_net(free_pair(), switch=Bad, controller=None)


def test_a_wrong_pace_is_refused(make_net):
    with pytest.raises(Exception, match="s1: pace 'slow' is unknown"):
        make_net(free_pair(), switch=with_params(KronosOVSSwitch, pace="slow"))


# Many frames in a round


@pytest.mark.parametrize("timestep", ["1ms", "10ms"])
def test_frames_of_a_round_leave_a_switch_when_they_came(make_net, timestep):
    """Many flows at once, which the switch gets in one go, and equal frames: each comes at its own time."""
    net = make_net(
        Star(), switch=KronosOVSBridge, controller=None, autoStaticArp=True, timestep=timestep, cpus=1
    )
    sink, senders = net["h1"], net.hosts[1:]
    for sender in senders:
        warm_up(sender, sink)
    receiver = sink.popen([sys.executable, "-c", RECEIVE, str(4 * 20)])
    net.run("20ms")
    begin = net.now
    for number, sender in enumerate(senders):
        sender.popen([sys.executable, "-c", SEND, sink.IP(), str(number), "20"])
    arrivals: dict[str, list[int]] = {}
    for line in receiver.communicate()[0].decode().splitlines():
        source, time = line.split()
        arrivals.setdefault(source, []).append(int(time))
    gaps = [b - a for times in arrivals.values() for a, b in zip(times, times[1:])]
    assert len(gaps) == 4 * 19
    assert all(abs(gap - 170_000) < 10 for gap in gaps), (gaps, begin)  # a sleep's float has its own rounding


@pytest.mark.parametrize("delay", [None, "3ms"], ids=["at once", "with a delay"])
def test_a_first_ping_takes_its_time_between_other_frames(make_net, delay):
    """A stream keeps the switch busy; a new pair's packet-ins are not held up by it."""
    net = make_net(Star(), controller=with_params(KronosRyu, control_delay=delay), autoStaticArp=True)
    hosts = net.hosts
    warm_up(hosts[1], hosts[0])
    stream = hosts[1].popen([sys.executable, "-c", STREAM, hosts[0].IP()])
    net.run("50ms")
    result, text = ping(hosts[2], hosts[3], 3)
    away = 3.0 if delay else 0.0
    assert result.replies == {1: 12.0 + 4 * away, 2: 12.0 + 2 * away, 3: 12.0}, text
    stream.kill()


class Star(Topo):
    """Five hosts at a switch, 3 ms away each."""

    def build(self):
        for i in range(1, 6):
            self.addLink(self.addHost(f"h{i}", **FREE), self.addSwitch("s1") if i == 1 else "s1", delay="3ms")


RECEIVE = """
import socket, sys, time
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("", 5001))
for _ in range(int(sys.argv[1])):
    _data, address = listener.recvfrom(100)
    print(address[0], time.monotonic_ns())
"""
SEND = """
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
due = time.monotonic_ns() // 50_000_000 * 50_000_000 + 100_000_000 + 1000 * int(sys.argv[2])
for number in range(int(sys.argv[3])):
    time.sleep((due + number * 170_000 - time.monotonic_ns()) / 1e9)
    sender.sendto(b"the same", (sys.argv[1], 5001))
"""
STREAM = """
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    sender.sendto(b"the same", (sys.argv[1], 5001))
    time.sleep(0.00013)
"""


def test_a_busy_controller_holds_up_no_frames(make_net):
    """It runs ahead of the switch within a round; what it says reaches the switch at its own time."""
    net = make_net(
        Star(), controller=with_params(KronosRyu, pace="dilated", cpu_speed=0.1), autoStaticArp=True
    )
    hosts = net.hosts
    warm_up(hosts[1], hosts[0])
    receiver = hosts[0].popen([sys.executable, "-c", RECEIVE, "2000"])
    hosts[1].popen([sys.executable, "-c", SEND, hosts[0].IP(), "0", "2000"])
    result, text = ping(hosts[2], hosts[3], 20, interval=0.1)  # a busy machine's controller may need many
    assert result.replies[1] > 13.0 and result.replies[20] == 12.0, text
    times = [int(line.split()[1]) for line in receiver.communicate()[0].decode().splitlines()]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert all(abs(gap - 170_000) < 10 for gap in gaps), [gap for gap in gaps if abs(gap - 170_000) >= 10]
