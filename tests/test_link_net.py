"""Links of a KronosNet: what Mininet's users do with them, captures and samples."""

import csv
import re
import subprocess
from pathlib import Path

import pytest
from mininet.topo import Topo
from scapy.layers.inet import ICMP
from scapy.utils import rdpcap

from mininet_kronos.errors import ParameterError
from mininet_kronos.switch import KronosOVSBridge
from tests.conftest import Pair, parse_ping, ping, warm_up

MS = 1_000_000
DELAY = 5 * MS
ECHO = 98  # bytes of a ping's frame


class Direct(Topo):
    """h1 -- h2, or h1 -- s1 -- h2."""

    def build(self, host=None, switch=False, **link):
        free = {"counter": "free", **(host or {})}
        h1, h2 = self.addHost("h1", **free), self.addHost("h2", **free)
        if switch:
            middle = self.addSwitch("s1")
            self.addLink(h1, middle, **link)
            self.addLink(middle, h2, **link)
        else:
            self.addLink(h1, h2, **link)


@pytest.fixture
def direct(make_net):
    """Return a function that connects two hosts directly, whose computation takes no time."""

    def make(host=None, **link):
        net = make_net(Direct(host=host, **link), controller=None, autoStaticArp=True)
        return net, net["h1"], net["h2"]

    return make


def round_trip(source, target, options="", count=3):
    """Return the round trip in ms, which must be the same each time, to 2 us."""
    result, text = ping(source, target, count, options=options)
    assert result.received == count and result.most - result.least < 0.002, text
    return result.mean


# Parameters


def test_directions_differ(direct):
    _, h1, h2 = direct(delay="5ms", params1={"bw": 1}, params2={"bw": 10})
    expected = 10 + ECHO * 8 / 1e3 + ECHO * 8 / 10e3
    assert round_trip(h1, h2) == pytest.approx(expected, abs=0.005)


def test_parameters_change_in_a_frozen_net(direct):
    net, h1, h2 = direct(bw=10, delay="5ms")
    link = net.links[0]
    link.intf1.config(delay="20ms")
    assert round_trip(h1, h2) == pytest.approx(25 + 2 * ECHO * 8 / 10e3, abs=0.005)
    link.intf2.config(bw=1, delay="1ms")
    assert round_trip(h1, h2) == pytest.approx(21 + ECHO * 8 / 10e3 + ECHO * 8 / 1e3, abs=0.005)
    link.intf1.config(loss=100)
    assert ping(h1, h2, 2)[0].received == 0
    with pytest.raises(ParameterError, match="delay"):
        link.intf1.config(delay="-1ms")
    link.intf1.config(loss=0)
    round_trip(h1, h2)


def test_parameters_change_while_rounds_run(direct):
    """A process that pings meanwhile sees the new delay from that moment on."""
    net, h1, h2 = direct(delay="5ms")
    pinging = h1.popen(["ping", "-c", "10", "-i", "0.1", h2.IP()], text=True)
    net.run("450ms")
    net.links[0].intf1.config(delay="8ms")
    replies = parse_ping(pinging.communicate()[0]).replies
    assert [round(replies[number]) for number in range(1, 11)] == [10] * 5 + [13] * 5


# Links that go and come


def test_a_link_goes_down_and_up(make_net):
    net = make_net(Pair(host={"counter": "free"}))
    h1, h2 = net["h1"], net["h2"]
    warm_up(h1, h2)
    net.configLinkStatus("s1", "h2", "down")
    assert ping(h1, h2, 2, options="-W 1")[0].received == 0
    net.configLinkStatus("s1", "h2", "up")
    assert ping(h1, h2, 3)[0].received == 3


def test_an_interface_that_is_down_loses_frames(direct):
    net, h1, h2 = direct(delay="5ms")
    pinging = h1.popen(["ping", "-c", "1", "-W", "1", h2.IP()], text=True)
    net.run("2ms")
    h2.cmd("ifconfig h2-eth0 down")
    assert "0 received" in pinging.communicate()[0]
    assert ping(h1, h2, 2, options="-W 1")[0].received == 0
    stats = net.experiment.link_stats(net.links[0].kronos_link, 0)
    assert (stats.tx_frames, stats.rx_frames, stats.dropped_down, stats.queued) == (1, 0, 1, 0)
    h2.cmd("ifconfig h2-eth0 up")
    warm_up(h2, h1)  # its addresses are gone
    assert round_trip(h1, h2) == pytest.approx(10, abs=0.005)


def test_the_other_end_loses_its_carrier(make_net):
    """As one of a pair of veth does: a switch tells its controller, a host sees it."""
    net = make_net(Direct(switch=True, delay="5ms"), controller=None, switch=KronosOVSBridge)
    h1, s1 = net["h1"], net["s1"]
    down = r"\(s1-eth1\):.*\n.*\n.*state:.*LINK_DOWN"
    assert not re.search(down, s1.dpctl("show"))
    h1.cmd("ifconfig h1-eth0 down")
    net.run("10ms")
    assert re.search(down, s1.dpctl("show"))
    h1.cmd("ip link set h1-eth0 up")
    net.run("10ms")
    assert not re.search(down, s1.dpctl("show"))
    assert h1.cmd("cat /sys/class/net/h1-eth0/carrier").strip() == "1"
    s1.cmd("ip link set s1-eth1 down")
    assert h1.cmd("cat /sys/class/net/h1-eth0/carrier").strip() == "0"
    s1.cmd("ip link set s1-eth1 up")
    assert h1.cmd("cat /sys/class/net/h1-eth0/carrier").strip() == "1"


def test_links_are_deleted_and_added_in_a_frozen_net(direct):
    net, h1, h2 = direct(delay="5ms")
    old = net.links[0]
    net.delLink(old)
    assert "h1-eth0" not in h1.cmd("ip link") and not net.links
    new = net.addLink(h1, h2, delay="7ms", bw=100)
    assert new.kronos_link == 1
    h1.setIP("10.1.0.1", 24, new.intf1)
    h2.setIP("10.1.0.2", 24, new.intf2)
    warm_up(h1, h2)
    assert round_trip(h1, h2) == pytest.approx(14, abs=0.03)


def test_a_node_links_to_another(make_net):
    net = make_net(None, start=False, controller=None, switch=KronosOVSBridge)
    switch, hosts = net.addSwitch("s1"), [net.addHost("h1"), net.addHost("h2")]
    assert [switch.linkTo(host) for host in hosts] == net.links
    net.start()
    assert net.pingAll() == 0


def test_addresses_are_not_asked_for_again(direct):
    """That would be in real time, and take its place among frames and random numbers."""
    _, h1, h2 = direct(host={"ipv6": True})
    for host in h1, h2:
        for family in "ipv4", "ipv6":
            path = f"/proc/sys/net/{family}/neigh/{host.intf()}"
            day = host.cmd(f"cat {path}/delay_first_probe_time {path}/base_reachable_time_ms").split()
            assert day == ["86400", "86400000"], (path, day)


# What travels


def test_a_larger_mtu(direct):
    net, h1, h2 = direct(bw=100, delay="5ms")
    for host in h1, h2:
        host.cmd(f"ip link set {host.intf()} mtu 9000")
    expected = 10 + 2 * (8000 + 8 + 20 + 14) * 8 / 100e3
    assert round_trip(h1, h2, "-M do -s 8000") == pytest.approx(expected, abs=0.005)
    assert net.experiment.link_stats(net.links[0].kronos_link, 0).tx_frames == 3


def test_tagged_frames(direct, tmp_path):
    """A frame with two tags, made by hand: not every kernel has interfaces that tag."""
    net, h1, _ = direct(bw=10, delay="5ms", capture=tmp_path)
    script = "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('h1-eth0', 0)); "
    script += "s.send(bytes([255] * 6 + [2] * 6) + bytes.fromhex('88a80007810000080806') + bytes(996))"
    h1.cmd(f'python3 -S -c "{script}"')
    net.run("10ms")
    (left,), (came,) = (
        tshark(tmp_path / f"{host}-eth0.pcap", "vlan.id ieee8021ad.id frame.len frame.time_epoch")
        for host in ("h1", "h2")
    )
    assert left[:3] == came[:3] == ("8", "7", "1018")
    assert nanoseconds(came[3]) - nanoseconds(left[3]) == DELAY + 1018 * 800


def test_ipv6_and_arp(make_net):
    net = make_net(Direct(host={"ipv6": True}, delay="5ms"), controller=None)
    h1, h2 = net["h1"], net["h2"]
    for number, host in enumerate((h1, h2), 1):
        host.cmd(f"ip addr add fd00::{number}/64 dev {host.intf()} nodad")
    first, text = ping(h1, h2, 3)
    assert first.received == 3 and 20 <= first.replies[1] < 21, text  # after ARP's round trip
    assert first.replies[2] < 10.5, text
    text = h1.cmd("ping -c 3 -i 0.2 fd00::2")
    replies = parse_ping(text).replies
    assert len(replies) == 3 and 20 <= replies[1] < 21 and replies[2] < 10.5, text


def test_segments_are_those_of_the_mtu(direct):
    """A TAP takes no large segments: the kernel cuts them, with their checksums, before they are shaped."""
    net, h1, h2 = direct(bw=100, delay="1ms")
    server = h2.popen(["iperf3", "-s", "-1"])
    net.run("100ms")
    path = net.capture("h2-eth0", Path("/run/kronos") / "segments.pcap")
    try:
        assert "receiver" in h1.cmd(f"iperf3 -c {h2.IP()} -n 1M")
        server.wait()
        net.stopCapture("h2-eth0")
        lengths = [int(length) for (length,) in tshark(path, "frame.len", "-Y", "ip.src==10.0.0.1")]
        assert max(lengths) == 1514
        wrong = tshark(path, "frame.number", "-o", "tcp.check_checksum:TRUE", "-Y", "tcp.checksum.status==0")
        assert not wrong
    finally:
        path.unlink()


def test_a_link_faster_than_the_cpu_keeps_its_memory(direct):
    """What comes in no virtual time at all is dropped by the queue, and not kept."""
    net, h1, h2 = direct(bw=100, delay="50ms", max_queue_size=100)
    script = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
    script += f"[s.sendto(bytes(1400), ('{h2.IP()}', 9)) for _ in range(20000)]"
    h1.cmd(f'python3 -S -c "{script}"')
    stats = net.experiment.link_stats(net.links[0].kronos_link, 0)
    assert stats.tx_frames < 1000 and stats.dropped_queue > 15000
    assert stats.queue_frames <= 100
    net.run("1s")
    stats = net.experiment.link_stats(net.links[0].kronos_link, 0)
    assert (stats.queued, stats.queue_frames) == (0, 0) and stats.rx_frames == stats.tx_frames


@pytest.mark.parametrize("delay", ["0ms", "1us"])
def test_a_link_without_a_rate_carries_all_at_once(direct, delay):
    net, h1, h2 = direct(delay=delay)
    script = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
    script += f"[s.sendto(bytes(1400), ('{h2.IP()}', 9)) for _ in range(20000)]"
    h1.cmd(f'python3 -S -c "{script}"')
    net.run("1ms")
    stats = net.experiment.link_stats(net.links[0].kronos_link, 0)
    assert stats.rx_frames == stats.tx_frames > 19000
    assert (stats.queued, stats.queue_frames, stats.dropped_queue) == (0, 0, 0)


# Captures


def tshark(path, field, *arguments):
    """Return the values of fields, a tuple per frame."""
    columns = [word for name in field.split() for word in ("-e", name)]
    command = ["tshark", "-r", path, "-n", "-T", "fields", *columns, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


def nanoseconds(stamp):
    seconds, fraction = stamp.split(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


def stamps(path, kind):
    """Return the stamp of each echo request (8) or reply (0), by sequence number."""
    found = tshark(path, "icmp.seq frame.time_epoch", "-Y", f"icmp.type=={kind}")
    return {int(seq): nanoseconds(stamp) for seq, stamp in found}


def test_captures_of_both_ends_differ_by_the_delay(direct, tmp_path):
    bits = ECHO * 8
    _, h1, h2 = direct(bw=10, delay="5ms", capture=tmp_path)
    ping(h1, h2, 5)
    for kind, order in ((8, ("h1", "h2")), (0, ("h2", "h1"))):
        left, came = (stamps(tmp_path / f"{host}-eth0.pcap", kind) for host in order)
        assert len(left) == 5
        assert {came[seq] - left[seq] for seq in left} == {DELAY + bits * 100}


def test_a_capture_shows_the_hosts_clock(direct, tmp_path):
    net, h1, h2 = direct(delay="5ms")
    path = net.capture("h1-eth0", tmp_path / "one.pcap")
    before, _, after = (
        float(line)
        for line in h1.cmd(f"date +%s.%N; ping -c1 -q {h2.IP()} >/dev/null; echo 0; date +%s.%N").split()
    )
    assert all(before <= float(stamp) <= after for (stamp,) in tshark(path, "frame.time_epoch"))
    net.stopCapture("h1-eth0")
    ping(h1, h2, 1)
    assert len(tshark(path, "frame.number")) == 2
    assert tshark(path, "frame.number") == tshark(path, "frame.number", "-Y", "icmp")
    listed = subprocess.run(
        ["tcpdump", "-nr", path, "--time-stamp-precision=nano"], capture_output=True, text=True, check=True
    ).stdout
    assert len(re.findall(r"\.\d{9} IP 10\.0\.0\.. > 10\.0\.0\..: ICMP echo", listed)) == 2


def test_scapy_reads_captures(direct, tmp_path):
    net, h1, h2 = direct(delay="5ms")
    path = net.capture("h2-eth0", tmp_path / "one.pcap")
    ping(h1, h2, 2)
    frames = rdpcap(str(path))
    assert [frame[ICMP].type for frame in frames] == [8, 0] * 2
    assert all(frame.time % 1 for frame in frames)


def test_stamps_are_in_order_through_a_switch(make_net, tmp_path):
    net = make_net(Pair(host={"counter": "free"}, capture=tmp_path))
    warm_up(net["h1"], net["h2"])
    ping(net["h1"], net["h2"], 5, interval=0.002)
    for path in tmp_path.iterdir():
        times = [nanoseconds(stamp) for (stamp,) in tshark(path, "frame.time_epoch")]
        assert times and times == sorted(times), path
    assert len(list(tmp_path.iterdir())) == 4


def test_captures_of_what_is_not_there(direct):
    net, *_ = direct()
    with pytest.raises(ParameterError, match="there is no interface 'h9-eth0'; there are h1-eth0, h2-eth0"):
        net.capture("h9-eth0")


# Samples


def test_samples_agree_with_the_model(make_net, tmp_path):
    """50 frames of 1042 bytes at once on 1 Mbit/s: one leaves every 8.336 ms."""
    net = make_net(
        Direct(bw=1, delay="5ms"), controller=None, autoStaticArp=True, out=tmp_path / "run", sample="10ms"
    )  # fmt: skip
    script = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
    script += f"[s.sendto(bytes(1000), ('{net['h2'].IP()}', 9)) for _ in range(50)]"
    net["h1"].cmd(f'python3 -S -c "{script}"')
    net.run("500ms")
    net.stop()
    with (tmp_path / "run" / "links.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["direction"] == "h1-eth0->h2-eth0"][:-1]
    assert [int(row["virtual_ns"]) for row in rows[1:]] == [step * 10 * MS for step in range(1, len(rows))]
    busy = next(index for index, row in enumerate(rows) if row["queue_frames"] != "0")
    sent = [50 - int(row["queue_frames"]) for row in rows[busy:]]
    service = 1042 * 8 * 1000  # ns
    for step, count in enumerate(sent):
        assert abs(count - min(50, step * 10 * MS / service)) <= 1.3
    assert sent[-1] == 50 and len(sent) > 45
    assert {row["tx_frames"] for row in rows[busy:]} == {"50"}
    assert rows[-1]["rx_frames"] == "50" and rows[-1]["rx_bytes"] == str(50 * 1042)
