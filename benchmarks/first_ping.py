"""First pings of ten pairs of hosts through a learning switch, and how long 50 switches take to come up.

In virtual time each message between switch and controller takes 1.25 ms, each link 5 ms: the model says 25 ms
for a first ping (the controller is asked for the request and for the reply). Plain Mininet runs beside it.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from typing import Any

from mininet.topo import Topo

from mininet_kronos import KronosNet, KronosRyu
from mininet_kronos.demo import busy_loops, has_netem, plain_mininet

PAIRS = 10
LINK, CONTROL, MODEL = "5ms", "1.25ms", 25.0


class Star(Topo):
    """Pairs of hosts at one switch."""

    def build(self, host: dict[str, Any] | None = None) -> None:
        """Make it."""
        self.addSwitch("s1")
        for i in range(1, 2 * PAIRS + 1):
            self.addLink(self.addHost(f"h{i}", **(host or {})), "s1", delay=LINK)


class Row(Topo):
    """50 switches in a row, with a host each."""

    def build(self) -> None:
        """Make it."""
        for i in range(1, 51):
            self.addLink(self.addHost(f"h{i}"), self.addSwitch(f"s{i}"), delay="1ms")
            if i > 1:
                self.addLink(f"s{i - 1}", f"s{i}", delay="1ms")


def first_pings(net: Any) -> list[float]:
    """Ping once from the first host of each pair; return the times in ms."""
    net.staticArp()
    said = (a.cmd(f"ping -c 1 {b.IP()}") for a, b in zip(net.hosts[::2], net.hosts[1::2]))
    return [float(value) for text in said for value in re.findall(r"time=([\d.]+) ms", text)]


@contextlib.contextmanager
def kronos() -> Iterator[KronosNet]:
    """Run the network in virtual time."""
    topo = Star(host={"counter": "free"})
    net = KronosNet(topo, controller=lambda name, **params: KronosRyu(name, control_delay=CONTROL, **params))
    try:
        net.start()
        yield net
    finally:
        net.stop()


def main() -> None:
    """Print the figures."""
    netem = has_netem()
    print(f"first pings of {PAIRS} pairs; the model says {MODEL} ms")
    if not netem:
        print("this kernel has no netem: in plain Mininet links have no delay")
    for load, loops in ("idle", 0), ("busy", 2 * (os.cpu_count() or 1)):
        for title, network in (
            ("virtual time", kronos),
            ("plain Mininet", lambda: plain_mininet(Star(), netem)),
        ):
            with busy_loops(loops), network() as net:
                times = first_pings(net)
            print(f"{title:14}{load:6} least {min(times):8.3f} ms  most {max(times):8.3f} ms", flush=True)
    begin = time.monotonic()
    net = KronosNet(Row())
    net.start()
    started = time.monotonic()
    net.stop()
    print(f"50 switches, 50 hosts: up in {started - begin:.1f} s, down in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
