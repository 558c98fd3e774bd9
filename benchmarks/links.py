"""How many frames a second links carry on one CPU: the engine's, a veth pair, a relay without virtual time.

Sender, link and the receiver's kernel share the CPU. What has reached the receiver's interface counts.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mininet_kronos.experiment import Experiment
from mininet_kronos.process import await_tracer
from mininet_kronos.records import LinkParams
from mininet_kronos.taps import open_tap

COUNT = 100_000
SIZES = (18, 1472)  # bytes of payload: Ethernet frames of 60 and of 1514 bytes
CPU = max(os.sched_getaffinity(0))
MS = 1_000_000
ADDRESS = "10.99.0.{}"
SPACES = ("kronos-bench-1", "kronos-bench-2")
INTERFACES = ("kbench1", "kbench2")


def ip(*words: str) -> None:
    """Run ip."""
    subprocess.run(["ip", *words], check=True)


@contextmanager
def namespaces() -> Iterator[None]:
    """Make two namespaces and move an interface, which is there already, to each."""
    for space in SPACES:
        ip("netns", "add", space)
    try:
        for number, (space, interface) in enumerate(zip(SPACES, INTERFACES), 1):
            ip("link", "set", interface, "netns", space)
            ip("-n", space, "addr", "add", f"{ADDRESS.format(number)}/24", "dev", interface)
            ip("-n", space, "link", "set", interface, "up")
        subprocess.run(inside(0, "ping", "-c1", "-W1", ADDRESS.format(2)), capture_output=True, check=False)
        yield
    finally:
        for space in SPACES:
            ip("netns", "del", space)


def inside(index: int, *command: str | Path) -> list[str]:
    """Return a command that runs in a namespace."""
    return ["ip", "netns", "exec", SPACES[index], *map(str, command)]


def received() -> int:
    """Return how many frames the receiver's interface has got."""
    path = f"/sys/class/net/{INTERFACES[1]}/statistics/rx_packets"
    return int(subprocess.run(inside(1, "cat", path), capture_output=True, check=True).stdout)


def flood(program: Path, size: int) -> float:
    """Send in real time; return frames a second."""
    before, begin = received(), time.perf_counter()
    command = ["taskset", "-c", str(CPU), str(program), "send", ADDRESS.format(2), str(COUNT), str(size)]
    subprocess.run(inside(0, *command), check=True)
    return (received() - before) / (time.perf_counter() - begin)


def over_veth(program: Path, size: int) -> float:
    """Measure a veth pair, which is all in the kernel."""
    ip("link", "add", INTERFACES[0], "type", "veth", "peer", "name", INTERFACES[1])
    with namespaces():
        return flood(program, size)


def over_relay(program: Path, size: int) -> float:
    """Measure a process that reads one TAP and writes to the other."""
    taps = [open_tap(interface) for interface in INTERFACES]
    command = ["taskset", "-c", str(CPU), str(program), "relay", *map(str, taps)]
    relay = subprocess.Popen(command, pass_fds=taps)
    for tap in taps:
        os.close(tap)
    try:
        with namespaces():
            return flood(program, size)
    finally:
        relay.kill()
        relay.wait()


def over_engine(program: Path, size: int) -> float:
    """Measure a virtual link of 10 Gbit/s; return frames per second of real time."""
    model = LinkParams(bw_bps=10e9, delay_ns=MS)
    with ExitStack() as stack:
        experiment = stack.enter_context(Experiment(cpu=CPU))
        taps = [open_tap(interface) for interface in INTERFACES]
        for host in SPACES:
            experiment.add_host(host)
        ends = [(tap, host, interface) for tap, host, interface in zip(taps, SPACES, INTERFACES)]
        link = experiment.add_link(ends[0], ends[1], model, model)
        for tap in taps:
            os.close(tap)
        stack.enter_context(namespaces())
        experiment.synchronize_and_freeze()
        command = [*experiment.command_prefix(SPACES[0]), str(program), "send", ADDRESS.format(2)]
        sender = subprocess.Popen(inside(0, *command, str(COUNT), str(size)))
        await_tracer(sender, experiment)
        begin = time.perf_counter()
        pidfd = os.pidfd_open(sender.pid)
        experiment.progress(MS, 600_000, pidfd)
        os.close(pidfd)
        assert sender.wait() == 0
        while experiment.link_stats(link, 0).queued:
            experiment.progress(MS, 1)
        return experiment.link_stats(link, 0).rx_frames / (time.perf_counter() - begin)


def main() -> None:
    """Print a table."""
    source = Path(__file__).with_name("frames.c")
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory, "frames")
        subprocess.run(["cc", "-O2", "-o", program, source], check=True)
        print(f"{'frames/s on one CPU':28}" + "".join(f"{size + 42:>10} B" for size in SIZES))
        for name, measure in (
            ("virtual link", over_engine),
            ("relay without virtual time", over_relay),
            ("veth pair", over_veth),
        ):
            figures = (max(measure(program, size) for _ in range(3)) for size in SIZES)
            print(f"{name:28}" + "".join(f"{figure:12,.0f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
