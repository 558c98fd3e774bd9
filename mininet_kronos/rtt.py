"""`mn --test rtt`: whether round trips take what the links' delays add up to."""

from __future__ import annotations

import heapq
import itertools
import re
from typing import Any

from mininet.log import output

from mininet_kronos.errors import KronosError
from mininet_kronos.units import format_duration


def test_round_trips(net: Any, count: int = 3) -> None:
    """Ping between all pairs of hosts; print the least round trip beside what the links' delays alone make.

    Raises KronosError if a pair does not answer, or faster than light.
    """
    output("*** Round trips: between all pairs, and the links' delays alone\n")
    for a, b in itertools.combinations(net.hosts, 2):
        a.cmd(f"ping -c 1 {b.IP()}")  # addresses and flows are found
        said = a.cmd(f"ping -c {int(count)} -i 0.2 {b.IP()}")
        found = re.search(r"rtt min/avg/max/mdev = ([\d.]+)/[\d.]+/([\d.]+)/", said)
        if not found:
            raise KronosError(f"{b} does not answer to {a}")
        least = sum(_least_delay(net, *pair) for pair in ((a, b), (b, a)))
        output(f"{a} -> {b}: {found[1]} to {found[2]} ms, delays {format_duration(least)}\n")
        if float(found[1]) * 1e6 < least - 1000:  # ping rounds to us
            raise KronosError(f"{a} -> {b}: {found[1]} ms are less than the delays, {format_duration(least)}")


test_round_trips.__test__ = False  # type: ignore[attr-defined]  # not pytest's


def _least_delay(net: Any, source: Any, target: Any) -> int:
    """Return the least sum of delays on the way from one node to another, in ns (Dijkstra's algorithm)."""
    ways: list[tuple[int, str]] = [(0, source.name)]
    seen = set()
    while ways:
        delay, name = heapq.heappop(ways)
        if name == target.name:
            return delay
        if name in seen:
            continue
        seen.add(name)
        for link in net.links:
            for sent, near, far in zip(link.delays, (link.intf1, link.intf2), (link.intf2, link.intf1)):
                if near.node.name == name:
                    heapq.heappush(ways, (delay + sent, far.node.name))
    raise KronosError(f"there is no way from {source} to {target}")
