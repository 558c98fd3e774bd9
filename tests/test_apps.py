"""The Ryu applications that come with the package."""

import os
import re

from mininet_kronos import KronosRyu
from mininet_kronos.demo import busy_loops
from tests.conftest import Pair, Ring, parse_iperf_udp, ping, warm_up

FREE = {"counter": "free"}
APPS = "mininet_kronos.apps."


def ryu(*apps, **preset):
    return lambda name, **params: KronosRyu(name, *(APPS + app for app in apps), **{**preset, **params})


# Routing


def failure(net, one, other):
    """Let a link fail between pings; return how long nothing came back, in ms, and the round trips."""
    source, target = net["h1"], net["h2"]
    pinging = source.popen(f"ping -c 100 -i 0.01 {target.IP()}")
    net.run("305ms")
    net.configLinkStatus(one, other, "down")
    text = pinging.communicate()[0].decode()
    net.configLinkStatus(one, other, "up")
    net.run("5s")  # it is discovered again
    replies = {int(seq): float(ms) for seq, ms in re.findall(r"icmp_seq=(\d+) .*time=([\d.]+) ms", text)}
    lost = sorted(set(range(1, 101)) - set(replies))
    return lost, replies


def test_a_failed_link_is_gone_round_in_the_same_time_in_ten_runs(make_net):
    """Two in each of five networks, the second on a loaded machine."""
    seen = []
    for _ in range(5):
        net = make_net(Ring(4, host=FREE), controller=ryu("routing", control_delay="2ms"), seed=1)
        net.run("3s")
        assert net.pingAll() == 0
        for loops in 0, 2 * len(os.sched_getaffinity(0)):
            with busy_loops(loops):
                lost, replies = failure(net, "s1", "s2")
            seen.append((lost, {replies[min(replies)], replies[max(replies)]}, len(replies)))
    lost, times, _count = seen[0]
    assert times == {10.0, 22.0}, seen  # 1 + 3 + 1 ms each way; 1 + 3 x 3 + 1 ms
    assert 1 <= len(lost) <= 2 and lost == list(range(lost[0], lost[-1] + 1)), seen
    assert seen == [seen[0]] * 10


def test_all_pairs_reach_each_other_by_shortest_paths(make_net):
    net = make_net(Ring(4, host=FREE), controller=ryu("routing"), autoStaticArp=True)
    net.run("2s")
    assert net.pingAll() == 0
    for far, expected in ("h2", 10.0), ("h3", 16.0), ("h4", 10.0):
        result, text = ping(net["h1"], net[far], 3)
        assert set(result.replies.values()) == {expected}, text
    flows = net["s1"].dpctl("dump-flows")
    assert all(host.MAC() in flows for host in net.hosts), flows


def test_discovery_goes_on_for_hours(make_net):
    """Ryu's own stops for good when all ports are due at once, as they are after the freeze's jump."""
    net = make_net(Ring(4, host=FREE), controller=ryu("routing"), epoch=0)
    for seconds in (1, 10, 100):
        net.run(seconds)
        net.configLinkStatus("s1", "s2", "down")
        net.run("1s")
        net.configLinkStatus("s1", "s2", "up")
        net.run("3s")
        result, text = ping(net["h1"], net["h2"], 4)
        assert result.replies[4] == 10.0, text


LLDP_LOOP = """
import types
from mininet_kronos import ryu_launcher
ryu_launcher.prepare_eventlet()
from ryu.lib import hub
from ryu.topology import switches
ryu_launcher.mend_link_discovery("ryu")
sent = []
def send(port):
    sent.append(port)
    loop.is_active = len(sent) < 3
due = types.SimpleNamespace(timestamp=float("-inf"))
loop = types.SimpleNamespace(
    is_active=True, lldp_event=hub.Event(), ports=types.SimpleNamespace(items=lambda: [("port", due)]),
    send_lldp_packet=send, LLDP_SEND_PERIOD_PER_PORT=0.01, LLDP_SEND_GUARD=0.001,
)
with hub.Timeout(30):
    switches.Switches.lldp_loop(loop)
print(len(sent))
"""


def test_an_lldp_loop_that_finds_all_ports_due_goes_on(run_python):
    done = run_python(LLDP_LOOP)
    assert (done.status, done.out) == (0, "3\n"), done.err


# Statistics


def test_the_pollers_rates_are_the_links(make_net):
    net = make_net(Pair(delay="1ms", host=FREE), controller=ryu("learning_switch", "statistics"))
    h1, h2 = net["h1"], net["h2"]
    warm_up(h1, h2)
    h2.cmd("iperf -s -u >/dev/null &")
    net.run("100ms")
    flow = parse_iperf_udp(h1.cmd(f"iperf -u -b 8m -t 5 -l 1470 -f b -c {h2.IP()}"))
    assert flow.lost == 0
    net.run("2s")
    said = net.controllers[0].log.read_text()
    lines = re.findall(
        r"port statistics: time=([\d.]+) datapath=1 port=(\d) rx=([\d.]+) Mbit/s tx=([\d.]+) Mbit/s "
        r"rx_bytes=(\d+) tx_bytes=(\d+)",
        said,
    )
    assert lines, said
    links = {1: net.linksBetween(h1, net["s1"])[0], 2: net.linksBetween(h2, net["s1"])[0]}
    for number, link in links.items():
        ours = [line for line in lines if int(line[1]) == number]
        times = [float(line[0]) for line in ours]
        # One a second, to the millisecond that is printed, but where the freeze came.
        assert all(abs(b - a - 1) < 0.0015 for a, b in zip(times[3:], times[4:])), times
        towards, away = (net.experiment.link_stats(link.kronos_link, way) for way in (1, 0))
        ends = (towards, away) if link.intf1.node is h1 or link.intf1.node is h2 else (away, towards)
        assert int(ours[-1][5]) == ends[0].tx_bytes, (ours[-1], ends)  # what the switch has sent
        assert int(ours[-1][4]) == ends[1].rx_bytes, (ours[-1], ends)
    wire = 8 * (1470 + 42) / 1470
    sent = [float(line[2]) for line in lines if line[1] == "1"]
    received = [float(line[3]) for line in lines if line[1] == "2"]
    assert sum(abs(rate - wire) < 0.01 * wire for rate in sent) >= 4, sent
    assert sum(abs(rate - wire) < 0.01 * wire for rate in received) >= 4, received
