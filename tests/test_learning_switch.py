"""Ryu's launcher and the learning switch, with plain Mininet in real time and our own Open vSwitch."""

import re
import socket
import subprocess
import sys
import time
from functools import partial

import pytest
from mininet.net import Mininet
from mininet.node import OVSSwitch, RemoteController
from mininet.topo import LinearTopo, Topo

from mininet_kronos.ovs import PrivateOVS
from tests.conftest import until

APPLICATION = "mininet_kronos.apps.learning_switch"
LAUNCHER = [sys.executable, "-m", "mininet_kronos.ryu_launcher"]
START_TIMEOUT = 60  # s


class LoopTopo(Topo):
    """Four switches in a ring, with a host each."""

    def build(self):
        switches = [self.addSwitch(f"s{i}") for i in range(1, 5)]
        for i, switch in enumerate(switches):
            self.addLink(switch, switches[i - 1])
            self.addLink(self.addHost(f"h{i + 1}"), switch)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def controller_port(tmp_path):
    """Run Ryu with the learning switch; yield the port where it listens."""
    port = free_port()
    log = tmp_path / "ryu.log"
    with log.open("wb") as output:
        ryu = subprocess.Popen(
            [*LAUNCHER, "--ofp-tcp-listen-port", str(port), APPLICATION],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", port)):
                assert ryu.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield port
        assert ryu.poll() is None, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        ryu.kill()
        ryu.wait(START_TIMEOUT)


@pytest.fixture
def make_net(controller_port, monkeypatch):
    """Return a function that starts a network of a topology, connected to the controller."""
    daemons = PrivateOVS()
    daemons.start()
    for name, value in daemons.env.items():
        monkeypatch.setenv(name, value)
    nets = []

    def make(topo):
        net = Mininet(topo, switch=OVSSwitch, controller=None, build=False, autoSetMacs=True)
        nets.append(net)
        net.addController("c0", RemoteController, ip="127.0.0.1", port=controller_port)
        for switch in topo.switches():
            topo.setNodeInfo(switch, {**topo.nodeInfo(switch), "datapath": "user", "protocols": "OpenFlow13"})
        net.build()
        for host in net.hosts:  # the userspace datapath does not finish checksums
            host.cmd(f"ethtool -K {host.defaultIntf()} tx off")
        net.start()
        assert net.waitConnected(timeout=START_TIMEOUT, delay=0.1)
        return net

    yield make
    for net in nets:
        net.stop()
        for controller in net.controllers:
            controller.terminate()  # Mininet leaves the shell of a RemoteController
    daemons.stop()


def flows(switch):
    return switch.cmd(f"ovs-ofctl -O OpenFlow13 dump-flows {switch}")


def carries(host, command):
    """Tell whether iperf says, as comma-separated values, that it has carried something."""
    return re.search(r"-[\d.]+,[1-9]\d*,[1-9]", host.cmd(command))


def test_ping_and_iperf_pass_and_leave_flows(make_net):
    net = make_net(LinearTopo(k=2))
    h1, h2 = net.get("h1", "h2")
    pinged = h1.cmd(f"ping -c 5 -i 0.2 {h2.IP()}")
    assert " 0% packet loss" in pinged, pinged

    said = flows(net["s1"])
    for src, dst in (h1, h2), (h2, h1):
        assert re.search(rf"in_port=\S+,dl_src={src.MAC()},dl_dst={dst.MAC()} actions=output", said), said
    assert re.search(r"priority=0 actions=CONTROLLER:65535", said), said

    h2.cmd("iperf -s >/dev/null & iperf -s -u >/dev/null &")
    for protocol in "", "-u -b 10M":
        assert until(partial(carries, h1, f"iperf -c {h2.IP()} {protocol} -t 1 -y C"), START_TIMEOUT)
    h2.cmd("kill %1 %2")


def test_a_loop_floods_to_an_end(make_net):
    net = make_net(LoopTopo())
    assert net.pingAll(timeout="5") == 0
    time.sleep(1)
    before = count_misses(net)
    time.sleep(1)
    assert count_misses(net) - before < 50  # a storm has thousands a second


def count_misses(net):
    """Return how many frames the switches have handed to the controller."""
    said = "".join(flows(switch) for switch in net.switches)
    return sum(int(packets) for packets in re.findall(r"n_packets=(\d+).*priority=0 ", said))


def test_a_moved_host_is_found_again(make_net):
    net = make_net(LinearTopo(k=2))
    h1, h2 = net.get("h1", "h2")
    assert net.ping([h1, h2]) == 0
    net["s2"].cmd("ip link set s2-eth1 down")  # h2's
    assert until(lambda: h2.MAC() not in flows(net["s2"]), START_TIMEOUT)
    net["s2"].cmd("ip link set s2-eth1 up")
    assert until(lambda: net.ping([h1, h2]) == 0, START_TIMEOUT)


@pytest.mark.parametrize("name", ["no.such.app", "/no/such/app.py"])
def test_a_missing_application_is_one_line(name):
    done = subprocess.run(
        [*LAUNCHER, "--ofp-tcp-listen-port", str(free_port()), name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"ryu_launcher: there is no application {name};")
    assert "Traceback" not in done.stderr


def test_a_missing_ryu_is_one_line_with_the_fix():
    hidden = (
        "import sys; sys.modules['eventlet'] = None; "
        "from mininet_kronos.ryu_launcher import main; sys.exit(main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert re.fullmatch(r"ryu_launcher: eventlet is not installed for \S+; run make setup, .*\n", done.stderr)
