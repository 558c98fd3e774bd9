"""The SDN controller: first pings, rerouting when a link fails, and how long large networks take to come up.

Each run is a new network, on this machine as it is and with busy loops on every CPU. A first ping's model:
four links of 5 ms, and the controller is asked for the request and for the reply, with 1.25 ms each way where
there is a control delay. Plain Mininet beside it is in real time.

    python -m benchmarks.controller [RUNS [PART...]]    (parts: first silence large; all of them, ten runs)
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Callable

from mininet.topo import Topo

from mininet_kronos import KronosNet, KronosRyu
from mininet_kronos.demo import busy_loops, has_netem, plain_mininet

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 10
PARTS = sys.argv[2:] or ["first", "silence", "large"]
FREE = {"counter": "free"}
CONTROLLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "instant": ("20", {}),
    "control_delay 1.25ms": ("25", {"control_delay": "1.25ms"}),
    "dilated, speed 0.5": ("20 and what it computes", {"pace": "dilated", "cpu_speed": 0.5}),
}


class Pair(Topo):
    """h1 -- s1 -- h2."""

    def build(self, host: dict[str, Any]) -> None:
        """Make it."""
        for name in "h1", "h2":
            self.addLink(
                self.addHost(name, **host), "s1" if name == "h2" else self.addSwitch("s1"), delay="5ms"
            )


class Ring(Topo):
    """Four switches in a ring, with a host each."""

    def build(self) -> None:
        """Make it."""
        switches = [self.addSwitch(f"s{number}") for number in range(1, 5)]
        for number, switch in enumerate(switches):
            self.addLink(switch, switches[number - 1], delay="3ms")
            self.addLink(self.addHost(f"h{number + 1}", **FREE), switch, delay="1ms")


class Row(Topo):
    """50 switches in a row, with a host each."""

    def build(self) -> None:
        """Make it."""
        for number in range(1, 51):
            self.addLink(self.addHost(f"h{number}"), self.addSwitch(f"s{number}"), delay="1ms")
            if number > 1:
                self.addLink(f"s{number - 1}", f"s{number}", delay="1ms")


@contextlib.contextmanager
def kronos(topo: Topo, *apps: str, **controller: Any) -> Iterator[KronosNet]:
    """Run a network in virtual time."""
    net = KronosNet(
        topo, controller=lambda name, **params: KronosRyu(name, *apps, **{**controller, **params})
    )
    try:
        net.start()
        yield net
    finally:
        net.stop()


def first_ping(network: Any) -> float:
    """Return a new network's first round trip, in ms."""
    with network as net:
        net.staticArp()
        said = net["h1"].cmd(f"ping -c 1 {net['h2'].IP()}")
        return float(re.findall(r"time=([\d.]+) ms", said)[0])


def first_ping_of(controller: dict[str, Any]) -> float:
    """Return the first round trip in virtual time, in ms."""
    return first_ping(kronos(Pair(host=FREE), **controller))


def silence() -> float:
    """Return for how long nothing came back, in ms, when a link failed on the way of pings every 2 ms."""
    with kronos(Ring(), "mininet_kronos.apps.routing", control_delay="1.25ms") as net:
        net.run("3s")
        net.pingAll()
        pinging = net["h1"].popen(f"ping -c 250 -i 0.002 {net['h2'].IP()}")
        net.run("105ms")
        net.configLinkStatus("s1", "s2", "down")
        said = pinging.communicate()[0].decode()
        came = sorted(map(int, re.findall(r"icmp_seq=(\d+) .*time=", said)))
        return max(b - a for a, b in zip(came, came[1:])) * 2.0


def row(title: str, model: str, measure: Callable[[], float]) -> None:
    """Print least and most of the runs, idle and loaded."""
    for load, loops in ("idle", 0), ("busy", 2 * (os.cpu_count() or 1)):
        with busy_loops(loops):
            found = [measure() for _ in range(RUNS)]
        print(f"{title:34}{model:>24}{load:>6}{min(found):10.3f}{max(found):10.3f}", flush=True)


def coming_up(networks: Iterable[tuple[str, Any]]) -> None:
    """Print how long 50 switches and 50 hosts take to come up, connected to their controller, and to go."""
    for title, network in networks:
        begin = time.monotonic()
        with network:
            started = time.monotonic()
        print(
            f"{title:34}up in {started - begin:5.1f} s, down in {time.monotonic() - started:5.1f} s",
            flush=True,
        )


def main() -> None:
    """Print the figures."""
    netem = has_netem()
    if PARTS != ["large"]:
        print(f"{f'ms, of {RUNS} runs':34}{'model':>24}{'load':>6}{'least':>10}{'most':>10}")
    if "first" in PARTS:
        for title, (model, controller) in CONTROLLERS.items():
            row(f"first ping, {title}", model, partial(first_ping_of, controller))
        model = "20" if netem else "0: no netem here"
        row("first ping, plain Mininet", model, lambda: first_ping(plain_mininet(Pair(host={}), netem)))
    if "silence" in PARTS:
        row("silence when a link fails", "equal", silence)
    if "large" in PARTS:
        print("\n50 switches, 50 hosts")
        coming_up([("virtual time", kronos(Row())), ("plain Mininet", plain_mininet(Row(), netem))])


if __name__ == "__main__":
    main()
