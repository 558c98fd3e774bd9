"""Programs in hosts that look at packets: their stamps are virtual, and agree with what the links say."""

import struct
import sys

import pytest

from tests.conftest import Pair, ping, warm_up

CAPTURE = ("tcpdump", "-i", "h2-eth0", "-U", "--time-stamp-precision", "nano", "icmp")
SNIFF = """
from scapy.all import sniff
for packet in sniff(iface="h2-eth0", lfilter=lambda packet: packet.haslayer("ICMP"), count=20):
    print(int(packet.time * 10**9))
"""


def read_pcap(path):
    """Return the stamps, in ns, of a capture file's frames by their bytes."""
    data = path.read_bytes()
    assert data[:4] in (b"\x4d\x3c\xb2\xa1", b"\x4d\x3c\xb2\xa1"[::-1]), data[:4]
    position, stamps = 24, {}
    while position < len(data):
        seconds, ns, size, _ = struct.unpack_from("<IIII", data, position)
        stamps[data[position + 16 : position + 16 + size]] = seconds * 10**9 + ns
        position += 16 + size
    return stamps


@pytest.fixture
def net(make_net):
    net = make_net(Pair(host={"counter": "free"}), seed=1, epoch=1e9, autoStaticArp=True)
    warm_up(net["h1"], net["h2"])
    return net


def ping_while_captured(net, path):
    """Ping h2 ten times; return what the link knows of its end there."""
    net.capture("h2-eth0", path)
    result, _ = ping(net["h1"], net["h2"], 10)
    net.run("100ms")
    net.stopCapture("h2-eth0")
    assert result.received == 10
    return read_pcap(path)


@pytest.mark.parametrize("mode", ["--immediate-mode", "--no-promiscuous-mode"])
def test_tcpdump_in_a_host_agrees_with_the_link(net, tmp_path, mode):
    inside = tmp_path / "inside.pcap"
    tcpdump = net["h2"].popen([*CAPTURE[:-1], mode, "-w", str(inside), CAPTURE[-1]])
    net.run("100ms")
    exact = ping_while_captured(net, tmp_path / "outside.pcap")
    tcpdump.terminate()
    assert tcpdump.wait() == 0
    seen = read_pcap(inside)
    assert len(seen) == 20
    assert [ns for frame, ns in seen.items() if abs(ns - exact[frame]) > 100] == []


def test_scapy_in_a_host_agrees_with_the_link(net, tmp_path):
    scapy = net["h2"].popen([sys.executable, "-c", SNIFF])
    net.run("5s")  # until it listens
    exact = ping_while_captured(net, tmp_path / "outside.pcap")
    out, _ = scapy.communicate()
    seen = [int(line) for line in out.splitlines()]
    assert len(seen) == 20
    # It keeps times as floating-point numbers, of which two are up to 256 ns apart.
    assert [(a, b) for a, b in zip(seen, sorted(exact.values())) if abs(a - b) > 300] == []
