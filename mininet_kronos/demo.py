"""make demo: the same small network twice on a busy machine, in real time and in virtual time.

Plain Mininet runs first, then KronosNet, with the same topology, the same Ryu application and the same
traffic. One table compares both with the model; the exit status says whether virtual time matches it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mininet_kronos import explain_missing
from mininet_kronos.errors import KronosError
from mininet_kronos.machine import check_machine, check_ryu

BW, DELAY_MS = 1000, 5  # Mbit/s and ms, of each link
LINKS = 3  # h1 - s1 - s2 - h2
PING_FRAME, UDP_RATE = 98, 300.0  # bytes; Mbit/s
PINGS, INTERVAL, FLOW_SECONDS = 20, 0.2, 2
LOOPS_PER_CORE = 2
WIDTH = 17  # of a column


@dataclass(frozen=True)
class Figures:
    """What is compared."""

    mean: float  # ms, of a ping
    mdev: float  # ms
    lost_pings: int
    mbps: float  # Mbit/s, received of the UDP flow
    lost: float  # %, of the UDP flow

    def cells(self) -> list[str]:
        """Return the figures as text."""
        return [
            f"{self.mean:.3f} ms",
            f"{self.mdev:.3f} ms",
            f"{self.lost_pings} of {PINGS}",
            f"{self.mbps:.3f} Mbit/s",
            f"{self.lost:.2f} %",
        ]


ROWS = ("ping, mean round trip", "ping, deviation (mdev)", "pings lost", "UDP flow received", "UDP flow lost")


def model(delay_ms: float = DELAY_MS) -> Figures:
    """Return what the links' parameters imply."""
    serialization = PING_FRAME * 8 / (BW * 1e3)  # ms
    return Figures(2 * LINKS * (delay_ms + serialization), 0.0, 0, UDP_RATE, 0.0)


def make_topo() -> Any:
    """Return two hosts behind two switches."""
    from mininet.topo import Topo

    topo = Topo()
    for name in "h1", "h2":
        topo.addHost(name)
    for name in "s1", "s2":
        topo.addSwitch(name)
    for one, other in ("h1", "s1"), ("s1", "s2"), ("s2", "h2"):
        topo.addLink(one, other, bw=BW, delay=f"{DELAY_MS}ms")
    return topo


def measure(net: Any) -> Figures:
    """Run the traffic on a network, whichever its time."""
    from mininet_kronos.workload import ping, udp_flows

    h1, h2 = net.get("h1", "h2")
    ping(h1, h2, count=2, interval=INTERVAL)  # addresses and flows
    pings = ping(h1, h2, PINGS, INTERVAL)
    flow = udp_flows([(h1, h2)], UDP_RATE, FLOW_SECONDS)[0]
    return Figures(
        pings.mean, pings.mdev, pings.sent - pings.received, flow.mbps, 100 * flow.lost / max(1, flow.sent)
    )


def virtual_time() -> Figures:
    """Measure in virtual time."""
    from mininet_kronos.net import KronosNet

    net = KronosNet(topo=make_topo())
    try:
        net.start()
        return measure(net)
    finally:
        net.stop()


def real_time(netem: bool) -> Figures:
    """Measure in plain Mininet."""
    with plain_mininet(make_topo(), netem) as net:
        return measure(net)


@contextlib.contextmanager
def plain_mininet(topo: Any, netem: bool) -> Iterator[Any]:
    """Run a plain Mininet with our learning switch, and an Open vSwitch of its own: the system's may not run.

    netem: whether links have their delay, which needs it.
    """
    from mininet.link import TCLink
    from mininet.log import setLogLevel
    from mininet.net import Mininet
    from mininet.node import Controller, OVSSwitch

    from mininet_kronos.controller import LEARNING_SWITCH, ryu_command
    from mininet_kronos.ovs import PrivateOVS

    setLogLevel("critical")  # tc warns of its rounding
    with tempfile.TemporaryDirectory(prefix="kronos-demo-") as directory:

        class Ryu(Controller):
            def start(self) -> None:
                self.cmd(ryu_command(self.port, [LEARNING_SWITCH], Path(directory, "ryu")) + " & ryu=$!")

            def stop(self, *args: Any, **params: Any) -> None:
                self.cmd("kill $ryu; wait $ryu")
                self.terminate()

        class Link(TCLink):
            def __init__(self, *args: Any, delay: str | None = None, **params: Any) -> None:
                # A userspace switch needs finished checksums.
                super().__init__(*args, delay=delay if netem else None, txo=False, rxo=False, **params)

        ovs = PrivateOVS()
        ovs.start()
        try:
            with environment(ovs.env):
                net = Mininet(
                    topo=topo, build=False, controller=Ryu, switch=user_switch(OVSSwitch), link=Link
                )
                try:
                    net.start()
                    net.waitConnected(timeout=60)
                    yield net
                finally:
                    net.stop()
        finally:
            ovs.stop()


def user_switch(switch: Any) -> Any:
    """Return a switch class that uses the userspace datapath."""
    from mininet.util import specialClass

    return specialClass(switch, defaults={"datapath": "user"})


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Add variables to the environment for a while."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep every core busy for a while."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def has_netem() -> bool:
    """Tell whether the kernel can delay packets; tried in a network namespace that goes at once."""
    command = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def print_table(real: Figures, virtual: Figures) -> None:
    """Print one row for each figure."""
    print(f"\n{'':24}{'model':>{WIDTH}}{'real time':>{WIDTH}}{'virtual time':>{WIDTH}}")
    for row in zip(ROWS, model().cells(), real.cells(), virtual.cells()):
        print(f"{row[0]:24}" + "".join(f"{cell:>{WIDTH}}" for cell in row[1:]))


def differences(virtual: Figures) -> list[str]:
    """Return in what virtual time misses the model: hosts compute, and what that costs varies a little."""
    wanted = model()
    checks = {
        "mean round trip": abs(virtual.mean - wanted.mean) <= 0.1,
        "deviation": virtual.mdev <= 0.1,
        "lost pings": virtual.lost_pings == 0,
        "UDP rate": abs(virtual.mbps - wanted.mbps) <= 0.005 * wanted.mbps,
        "UDP loss": virtual.lost <= 0.1,
    }
    return [name for name, good in checks.items() if not good]


def run() -> int:
    """Measure twice, print the table and the verdict; return the exit status."""
    check_machine()
    check_ryu()
    loops = LOOPS_PER_CORE * (os.cpu_count() or 1)
    netem = has_netem()
    print(f"h1 - s1 - s2 - h2, links of {BW} Mbit/s and {DELAY_MS} ms, Ryu as the controller")
    print(f"busy loops beside it: {loops}, on {os.cpu_count()} cores", flush=True)
    with busy_loops(loops):
        print("plain Mininet in real time ...", flush=True)
        real = real_time(netem)
        print("the same in virtual time ...", flush=True)
        virtual = virtual_time()
    print_table(real, virtual)
    if not netem:
        print(
            "\nThis kernel has no netem (CONFIG_NET_SCH_NETEM), which virtual time does not need. In real\n"
            "time the links had their bandwidth but no delay: there a round trip should have been\n"
            f"{model(0).mean:.3f} ms."
        )
    wrong = differences(virtual)
    print("\nvirtual time matches the model" if not wrong else f"\nvirtual time misses: {', '.join(wrong)}")
    return 1 if wrong else 0


def main(argv: list[str] | None = None) -> int:
    """Run the demo; return its exit status."""
    argparse.ArgumentParser(prog="python -m mininet_kronos.demo", description=__doc__).parse_args(argv)
    try:
        try:
            return run()
        except ModuleNotFoundError as problem:
            explain_missing(problem)
            raise
    except KronosError as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
