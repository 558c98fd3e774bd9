"""Questions for neighbours' addresses, which the kernel repeats in real time: virtual time waits for that."""

import pytest
from mininet.topo import Topo


class Direct(Topo):
    """h1 -- h2."""

    def build(self, host):
        self.addLink(self.addHost("h1", **host), self.addHost("h2", **host), delay="10ms")


@pytest.fixture(params=[False, True], ids=["ARP", "neighbour discovery"])
def net(request, make_net):
    return make_net(Direct({"counter": "free", "ipv6": request.param}), controller=None)


def addresses(net):
    if not net["h1"].ipv6:
        return ["10.0.0.1", "10.0.0.2", "10.0.0.99"]
    for name, address in ("h1", "fd00::1"), ("h2", "fd00::2"):
        net[name].cmd(f"ip address add {address}/64 dev {name}-eth0 nodad")
    return ["fd00::1", "fd00::2", "fd00::99"]


def test_a_lost_question_is_repeated(net):
    h1, end = net["h1"], net.links[0].intf1
    _, other, _ = addresses(net)
    end.config(loss=100)
    h1.sendCmd(f"ping -c 1 -W 60 {other}")
    net.run("50ms")
    end.config(loss=0)
    assert " 0% packet loss" in (text := h1.waitOutput()), text


def test_that_nobody_has_an_address_is_seen(net):
    _, _, nobody = addresses(net)
    result = net["h1"].cmd(f"ping -c 1 -W 60 {nobody}")
    assert "nreachable" in result, result
