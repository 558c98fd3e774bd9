"""Questions for neighbours' addresses: the kernel's timers are real, they are repeated in virtual time."""

import time

import pytest
from mininet.topo import Topo

from tests.conftest import parse_ping

DELAY = 10.0  # ms
KERNEL_GIVES_UP = 3.5  # s of real time


class Direct(Topo):
    """h1 -- h2."""

    def build(self, host):
        self.addLink(self.addHost("h1", **host), self.addHost("h2", **host), delay=f"{DELAY} ms")


@pytest.fixture(params=[False, True], ids=["ARP", "neighbour discovery"])
def net(request, make_net):
    return make_net(Direct({"counter": "free", "ipv6": request.param}), controller=None)


def addresses(net):
    if not net["h1"].ipv6:
        return ["10.0.0.1", "10.0.0.2", "10.0.0.99"]
    for name, address in ("h1", "fd00::1"), ("h2", "fd00::2"):
        net[name].cmd(f"ip address add {address}/64 dev {name}-eth0")
    return ["fd00::1", "fd00::2", "fd00::99"]


def test_a_lost_question_is_repeated_after_a_virtual_second(net):
    h1, end = net["h1"], net.links[0].intf1
    _, other, _ = addresses(net)
    end.config(loss=100)
    h1.sendCmd(f"ping -c 1 -W 60 {other}")
    net.run("1.5s")  # two questions
    end.config(loss=0)
    result = parse_ping(text := h1.waitOutput())
    assert result.received == 1, text
    assert result.least == pytest.approx(2000 + 4 * DELAY, abs=1), text


def test_that_nobody_has_an_address_is_seen_after_three_virtual_seconds(net):
    _, _, nobody = addresses(net)
    begun = net.now
    result = net["h1"].cmd(f"ping -c 1 -W 60 {nobody}")
    assert "nreachable" in result, result
    assert (net.now - begun) / 1e9 == pytest.approx(3, abs=0.01), result


def test_a_question_outlasts_real_time(net):
    """A busy machine may need seconds to carry it to the other end of a large network."""
    h1 = net["h1"]
    _, other, _ = addresses(net)
    before = net.links[0].counters(0).tx_frames
    h1.sendCmd(f"ping -c 1 {other}")
    net.run("5ms")
    time.sleep(KERNEL_GIVES_UP)
    result = parse_ping(text := h1.waitOutput())
    assert result.received == 1 and result.least == pytest.approx(4 * DELAY, abs=1), text
    if not h1.ipv6:  # which sends other frames as well
        assert net.links[0].counters(0).tx_frames == before + 2
