"""Nodes that come and go while the network is frozen, under names that were used before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import Pair, ping


def connect(net: Any, host: Any, switch: Any) -> Any:
    """Link a host to a switch that has started."""
    link = net.addLink(host, switch, bw=100, delay="10ms")
    switch.attach(link.intf2.name)
    host.setIP(f"10.0.0.{host.name[1:]}/8")
    return link


def require_answers(source: Any, target: Any) -> None:
    result, text = ping(source, target, 2)  # which finds addresses and flows
    result, text = ping(source, target, 3)
    assert result.received == 3, text
    assert result.least >= 40, text


def has_ended(process: Path) -> bool:
    """Tell whether a process is gone, or only waits for its parent to be told."""
    try:
        return "State:\tZ" in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_deleted_host_ends_and_gives_its_name_and_terminal_free(make_net):
    net = make_net(Pair())
    host = net["h1"]
    for _ in range(3):
        terminal = (host.slave, host.master)
        job = Path("/proc", host.cmd("sleep 1000 & echo $!").split()[-1])
        assert not has_ended(job)
        net.delHost(host)
        assert has_ended(job)
        host = net.addHost("h1")
        assert (host.slave, host.master) == terminal
    link = connect(net, host, net["s1"])
    assert [str(each) for each in net.links] == ["h2-eth0<->s1-eth2", str(link)]
    require_answers(host, net["h2"])


def test_a_deleted_switch_comes_back(make_net):
    net = make_net(Pair())
    net.delSwitch(net["s1"])
    assert not net.links
    assert net["h1"].cmd("ls /sys/class/net").split() == ["lo"]
    switch = net.addSwitch("s1")
    switch.start(net.controllers)
    for host in net.hosts:
        connect(net, host, switch)
    require_answers(*net.hosts)
