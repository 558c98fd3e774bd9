"""The hosts' kernel's TCP, whose timers are in real time, over links of known rate, delay and loss."""

import json
import math
import os
import subprocess

import pytest
from mininet.topo import Topo

from mininet_kronos.experiment import Experiment

MSS = 1448  # with timestamps, of frames of 1514 bytes


class Direct(Topo):
    """h1 -- h2, and others beside them."""

    def build(self, others=0, **link):
        self.addLink(self.addHost("h1"), self.addHost("h2"), **link)
        for number in range(3, 3 + others):
            self.addLink(self.addHost(f"h{number}"), "h2", **link)


@pytest.fixture
def direct(make_net):
    """Return a function that connects two hosts."""

    def make(**link):
        net = make_net(Direct(**link), controller=None, autoStaticArp=True)
        return net, net["h1"], net["h2"]

    return make


def transfer(net, source, target, options):
    """Run iperf3; return what it reports at its end."""
    server = target.popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
    net.run("100ms")
    text = source.cmd(f"iperf3 -J -c {target.IP()} {options}")
    server.wait()
    return json.loads(text)["end"]


def goodput(report):
    return report["sum_received"]["bits_per_second"] / 1e6


@pytest.mark.parametrize("load", ["idle", "busy"])
@pytest.mark.parametrize(("bw", "delay"), [(10, 10), (50, 1), (50, 50), (100, 10)])
def test_a_flow_fills_its_link(direct, request, load, bw, delay):
    """After slow start and what it has lost all but the headers is goodput.

    Half of what link and queue hold is more than the link holds, so that Reno's window after a loss fills it.
    """
    if load == "busy":
        request.getfixturevalue("busy")
    net, h1, h2 = direct(bw=bw, delay=f"{delay}ms", max_queue_size=500)
    report = transfer(net, h1, h2, f"-O {max(2, delay // 10)} -t 3")
    assert goodput(report) / (bw * MSS / 1514) > 0.95


@pytest.mark.parametrize("delay", [2, 10])
def test_losses_limit_a_flow(direct, delay):
    """Mathis and others 1997: MSS / RTT * sqrt(3/2 / p), which real Linux keeps to within a quarter."""
    net, h1, h2 = direct(delay=f"{delay}ms", bw=100, params1={"loss": 1})
    report = transfer(net, h1, h2, "-t 10")
    mathis = MSS * 8 / (2 * delay * 1e3) * math.sqrt(1.5 / 0.01)
    assert goodput(report) == pytest.approx(mathis, rel=0.25)


def test_hosts_have_reno(direct):
    _, h1, _ = direct()
    assert h1.cmd("cat /proc/sys/net/ipv4/tcp_congestion_control").strip() == "reno"
    # What it chooses by itself, it gets.
    other = h1.cmd("cat /proc/sys/net/ipv4/tcp_allowed_congestion_control").split()[-1]
    h1.cmd(f"echo {other} >/proc/sys/net/ipv4/tcp_congestion_control")
    assert h1.cmd("cat /proc/sys/net/ipv4/tcp_congestion_control").strip() == other


def test_timeouts_grow_as_virtual_time_becomes_slow(direct):
    """Four hosts that compute make a millisecond take four; the routes tell what TCP goes by."""
    net, h1, h2 = direct(bw=10, delay="5ms", others=3)
    assert "rto_min" not in h1.cmd("ip route")
    loops = [net[f"h{number}"].popen(["sh", "-c", "while :; do :; done"]) for number in (3, 4, 5)]
    assert goodput(transfer(net, h1, h2, "-t 1")) > 9
    assert "rto_min lock" in h1.observe("ip", "route")
    for loop in loops:
        loop.kill()
    # The route is still a route.
    assert "1 received" in h1.cmd(f"ping -c 1 {h2.IP()}")


SLOW = """
import subprocess, time
from mininet_kronos import KronosNet
from tests.test_tcp import Direct

net = KronosNet(topo=Direct(bw=10, delay="100ms"), controller=None, autoStaticArp=True)
net.start()
server = net["h2"].popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
net.run("100ms")
client = net["h1"].popen(["iperf3", "-c", net["h2"].IP(), "-t", "1"], stdout=subprocess.DEVNULL)
net.run("700ms")
time.sleep(1.5)  # everything is frozen, but for the kernel's timers
client.wait()
net.stop()
"""


def test_a_flow_that_timed_out_is_named(run_python):
    done = run_python(SLOW)
    assert done.status == 0, done.err
    assert "kronos: TCP of h1 (10.0.0.1 port " in done.err and " to 10.0.0.2 port 5201)" in done.err
    assert done.err.count("throughput may be too low") == 1


def test_settings_of_a_namespace_are_restored():
    """Of one that is there before and after the experiment."""
    name = f"krt{os.getpid() % 10000}-tcp"
    files = [f"/proc/sys/net/ipv4/tcp_{key}" for key in ("congestion_control", "tso_win_divisor")]
    show = ["ip", "netns", "exec", name, "cat", *files]
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        before = subprocess.check_output(show)
        with Experiment() as experiment:
            experiment.add_host("h1")
            command = ["ip", "netns", "exec", name, *experiment.command_prefix("h1"), *show[4:]]
            assert subprocess.check_output(command) == b"reno\n100\n"
        assert subprocess.check_output(show) == before
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
