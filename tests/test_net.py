"""What a network in virtual time must show: the model's figures, whatever the machine does."""

import sys
from typing import Any

import pytest

from tests.conftest import PING_BITS, Pair, TwoSwitches, parse_iperf_udp, parse_ping, ping, warm_up

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
RTT = 40 + 4 * PING_BITS / 100e6 * 1e3  # ms: four times 10 ms and the time to send at 100 Mbit/s


# Round trips

PACES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults": ({}, {}),
    "slow CPU": ({"cpu_speed": 0.5}, {}),
    "fast CPU": ({"cpu_speed": 10}, {}),
    "free": ({"counter": "free"}, {}),
    "timestep 100 us": ({}, {"timestep": "100us"}),
    "timestep 10 ms": ({}, {"timestep": "10ms"}),
    "odd timestep": ({"counter": "free"}, {"timestep": "3.7ms"}),
}


@pytest.mark.parametrize("load", ["idle", "busy"])
@pytest.mark.parametrize("pace", PACES)
def test_round_trips_are_the_models(make_net, request, pace, load):
    if load == "busy":
        request.getfixturevalue("busy")
    host, params = PACES[pace]
    net = make_net(Pair(host=host), **params)
    h1, h2 = net["h1"], net["h2"]
    warm_up(h1, h2)
    before = computed(net)
    result, text = ping(h1, h2, 20)
    assert result.received == 20, text
    if host.get("counter") == "free":
        assert result.mean == pytest.approx(RTT, abs=0.002) and result.mdev < 0.002, text
    else:
        # What the hosts have computed, which on a loaded machine varies, comes on top, and nothing else does.
        work = (computed(net) - before) / host.get("cpu_speed", 1)
        assert result.least > RTT - 0.001 and result.mean < RTT + work / 20 and result.most < RTT + work, text
    assert net.experiment.stats().late_frames == 0


def computed(net):
    """Return for how long the hosts have computed, in ms of CPU time."""
    return sum(net.experiment.host_stats(host.name).cpu_ns for host in net.hosts) / 1e6


def test_two_equal_runs_are_identical(make_net):
    outputs = []
    for _ in range(2):
        net = make_net(Pair(host={"counter": "free"}, jitter="1ms"), seed=7, epoch=0)
        h1, h2 = net["h1"], net["h2"]
        outputs.append(h1.cmd(f"ping -D -c 12 -i 0.3 {h2.IP()}") + h2.cmd(f"ping -D -c 3 {h1.IP()}"))
    assert outputs[0] == outputs[1]
    assert len(set(parse_ping(outputs[0]).replies.values())) > 6, "no jitter"


def test_a_seed_gives_the_same_losses_twice(make_net):
    replies, drops = [], []
    for seed in 3, 3, 4:
        net = make_net(Pair(host={"counter": "free"}, loss=20), seed=seed)
        h1, h2 = net["h1"], net["h2"]
        for one, other in (h1, h2), (h2, h1):  # no ARP, which would be lost as well
            one.setARP(other.IP(), other.MAC())
        result, _text = ping(h1, h2, 60, options="-W 1")
        replies.append(set(result.replies))
        stats = [net.experiment.link_stats(link.kronos_link, way) for link in net.links for way in (0, 1)]
        drops.append([way.dropped_loss for way in stats])
    assert replies[0] == replies[1] != replies[2]
    assert drops[0] == drops[1]
    assert 60 * 0.2 < len(replies[0]) < 60 * 0.65  # 0.8 ** 4 is 41 %


# Flows


def test_parallel_flows_keep_their_rate_on_an_overloaded_machine(make_net, busy):
    flows, mbps = 10, 20
    net = make_net(TwoSwitches(flows, bw=100))
    pairs = [(net[f"h{i}"], net[f"r{i}"]) for i in range(1, flows + 1)]
    for source, target in pairs:
        warm_up(source, target)
        target.cmd("iperf -s -u -p 5001 >/dev/null &")
    net.run("100ms")
    clients = [
        source.popen(f"iperf -u -b {mbps}m -t 2 -l 1470 -f b -c {target.IP()}") for source, target in pairs
    ]
    texts = [client.communicate()[0].decode() for client in clients]
    for text in texts:
        flow = parse_iperf_udp(text)
        assert flow.lost == 0, text
        assert flow.mbps == pytest.approx(mbps, rel=0.005), text
    assert net.experiment.stats().late_frames == 0


def test_a_link_drops_what_its_queue_cannot_take(make_net):
    """12 Mbit/s offered to a link of 6: half arrives, and the rate is the link's."""
    net = make_net(Pair(bw=6, delay="1ms", max_queue_size=10))
    h1, h2 = net["h1"], net["h2"]
    warm_up(h1, h2)
    h2.cmd("iperf -s -u >/dev/null &")
    net.run("100ms")
    text = h1.cmd(f"iperf -u -b 12m -t 2 -l 1470 -f b -c {h2.IP()}")
    flow = parse_iperf_udp(text)
    assert flow.mbps == pytest.approx(6 * 1470 / (1470 + 42), rel=0.02), text
    link = net.linksBetween(h1, net["s1"])[0]
    ways = [net.experiment.link_stats(link.kronos_link, way) for way in (0, 1)]
    assert sum(way.dropped_queue for way in ways) == flow.lost > 0.4 * flow.sent, (text, ways)


# Idle time


def test_idle_time_is_passed_over(make_net):
    """sleep 60 on 20 hosts at once: nothing happens in between, and the engine does nothing for it."""
    net = make_net(TwoSwitches(10, bw=100), timestep="1ms")
    net.run("1s")  # what is still going on from the start
    begin, before = net.now, net.experiment.stats()
    for host in net.hosts:
        host.sendCmd("cat /proc/uptime; sleep 60; cat /proc/uptime")
    net.run("61s")
    for host in net.hosts:
        before_sleep, after_sleep = (float(line.split()[0]) for line in host.waitOutput().splitlines())
        assert 60 <= after_sleep - before_sleep + 0.01 < 60.5
        assert net.experiment.host_time(host.name) == net.now
    stats = net.experiment.stats()
    assert net.now - begin >= 61 * SECOND
    rounds, skipped = stats.rounds - before.rounds, stats.rounds_skipped - before.rounds_skipped
    assert rounds >= 61_000
    assert skipped > 0.9 * rounds, (before, stats)
    assert stats.slices - before.slices < 20_000, (before, stats)


def test_a_sleep_takes_its_time_on_every_hosts_own_clock(make_net):
    net = make_net(Pair(hosts=6, host={"counter": "free"}))
    code = "import time; a = time.monotonic_ns(); time.sleep(60); print(time.monotonic_ns() - a)"
    processes = [host.popen([sys.executable, "-c", code]) for host in net.hosts]
    for process in processes:
        slept = int(process.communicate()[0])
        assert 60 * SECOND <= slept < 60 * SECOND + MILLISECOND


# Changes at run time


def test_a_links_delay_and_loss_can_change(make_net):
    net = make_net(Pair(delay="1ms", host={"counter": "free"}))
    h1, h2 = net["h1"], net["h2"]
    warm_up(h1, h2)
    assert ping(h1, h2, 3)[0].mean == pytest.approx(4 + RTT - 40, abs=0.1)
    near = net.linksBetween(h1, net["s1"])[0]
    near.intf1.config(delay="6ms")  # one way only
    assert ping(h1, h2, 3)[0].mean == pytest.approx(9 + RTT - 40, abs=0.1)
    near.intf2.config(bw=1)
    assert ping(h1, h2, 3)[0].mean == pytest.approx(9 + RTT - 40 + PING_BITS / 1e3 * 0.99, abs=0.1)
    near.intf1.config(loss=100)
    assert ping(h1, h2, 3, options="-W 1")[0].received == 0
    near.intf1.config(loss=0)
    assert ping(h1, h2, 3)[0].received == 3


def test_a_link_can_go_down_and_come_back(make_net):
    net = make_net(Pair(delay="1ms"))
    h1, h2 = net["h1"], net["h2"]
    warm_up(h1, h2)
    net.configLinkStatus("h2", "s1", "down")
    assert ping(h1, h2, 2, options="-W 1")[0].received == 0
    net.configLinkStatus("h2", "s1", "up")
    net.run("1s")
    assert ping(h1, h2, 3)[0].received == 3


# Controllers

HUB = """
from ryu.base import app_manager
from ryu.controller import ofp_event
from ryu.controller.handler import CONFIG_DISPATCHER, set_ev_cls
from ryu.ofproto import ofproto_v1_3


class Hub(app_manager.RyuApp):
    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def connected(self, event):
        datapath = event.msg.datapath
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        flood = [parser.OFPActionOutput(ofproto.OFPP_FLOOD)]
        apply = [parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, flood)]
        datapath.send_msg(parser.OFPFlowMod(datapath=datapath, priority=77, instructions=apply))
"""


def test_a_users_own_ryu_application(make_net, tmp_path):
    from mininet_kronos import KronosRyu

    app = tmp_path / "hub.py"
    app.write_text(HUB)
    net = make_net(Pair(delay="1ms"), start=False, controller=None)
    net.addController("c0", KronosRyu, apps=str(app))
    net.start()
    assert net.pingAll() == 0
    said = net["s1"].cmd("ovs-ofctl -O OpenFlow13 dump-flows s1")
    assert "priority=77 actions=FLOOD" in said
    assert "CONTROLLER" not in said


@pytest.mark.parametrize("pace", ["instant", "dilated"])
def test_a_controller_takes_part_in_the_rounds(make_net, pace):
    """A first ping goes through the controller; what that costs is the controller's own time."""
    from mininet_kronos import KronosRyu

    net = make_net(Pair(delay="1ms", host={"counter": "free"}), start=False, controller=None)
    net.addController("c0", KronosRyu, pace=pace, cpu_speed=0.1)
    net.start()
    first, _ = ping(net["h1"], net["h2"], 1)
    second, _ = ping(net["h1"], net["h2"], 1)
    ways = 8 + 2 * (RTT - 40)  # the first asks for an address as well
    if pace == "instant":
        assert first.mean == pytest.approx(ways, abs=0.2)
    else:
        assert first.mean > ways + 1
    assert second.mean == pytest.approx(ways / 2, abs=0.1)


def test_a_switch_without_a_controller(make_net):
    from mininet_kronos import KronosOVSBridge

    net = make_net(Pair(delay="1ms"), switch=KronosOVSBridge, controller=None)
    assert net.pingAll() == 0


# The end


def test_stop_twice(make_net):
    net = make_net(Pair())
    net.stop()
    net.stop()


def test_stop_in_the_middle_of_commands(make_net):
    net = make_net(Pair())
    net["h1"].cmd("setsid sleep 1000 & trap '' TERM INT HUP; sleep 1000 &")
    net["h2"].sendCmd("while :; do :; done")
    net["h2"].popen(["sleep", "1000"])
    net.run("5ms")
    net.stop()


def test_a_failed_start_leaves_nothing(make_net, tmp_path):
    from mininet_kronos import KronosRyu
    from mininet_kronos.errors import ControllerError

    app = tmp_path / "broken.py"
    app.write_text("raise SystemExit('this application does not start')\n")
    net = make_net(Pair(), start=False, controller=None)
    net.addController("c0", KronosRyu, apps=str(app))
    with pytest.raises(ControllerError, match=r"c0: Ryu ended at once: .*does not start"):
        net.start()
    net.stop()
    assert make_net(Pair(delay="1ms")).pingAll() == 0


def test_a_network_that_is_dropped_ends_with_its_script(run_python):
    """No stop() and no with: the interpreter's end stops it."""
    done = run_python(
        "from mininet.topo import SingleSwitchTopo; from mininet_kronos import KronosNet\n"
        "net = KronosNet(topo=SingleSwitchTopo(2)); net.start(); print(net['h1'].cmd('echo alive'))"
    )
    assert (done.status, done.out.strip()) == (0, "alive"), done
