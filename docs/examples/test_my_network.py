"""Tests of a network of one's own; run with pytest."""

from mininet.topo import SingleSwitchTopo


def test_everybody_reaches_everybody(kronos_net):
    net = kronos_net(SingleSwitchTopo(3))
    assert net.pingAll() == 0


def test_a_minute_of_sleep_is_a_minute(kronos_net):
    net = kronos_net(SingleSwitchTopo(2))
    before = net.now
    net["h1"].cmd("sleep 60")
    assert 60 <= (net.now - before) / 1e9 < 60.1
