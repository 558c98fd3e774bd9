"""What tests share: no test leaves anything behind, a machine kept busy, scripts with a limit, networks."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_timeout
from mininet.topo import Topo

from mininet_kronos.experiment import Experiment
from tests.leftovers import state, wait_for


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is not for the engine that is asked for.

    Give each further attempt of a test a limit of time: pytest-timeout lets the first failure end it.
    """
    if os.environ.get("KRONOS_ENGINE") == "kernel" and (mark := item.get_closest_marker("user_engine")):
        pytest.skip(f"of the user engine only: {mark.args[0]}")
    if getattr(item, "execution_count", 1) > 1:
        settings = pytest_timeout._get_item_settings(item)
        item.config.hook.pytest_timeout_set_timer(item=item, settings=settings)


def until(condition: Callable[[], object], limit: float = 60) -> bool:
    """Wait for a condition, at most so many s of real time; return whether it holds."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# Nothing is left behind


@pytest.fixture(scope="module", autouse=True)
def module_leaves_nothing() -> Iterator[None]:
    """Fail a module whose own fixtures leave something behind."""
    before = state()
    yield
    wait_for(before)


@pytest.fixture
def standing() -> None:
    """What stands before a test and stays after it; a module may define its own."""


@pytest.fixture(autouse=True)
def test_leaves_nothing(module_leaves_nothing: None, standing: Any) -> Iterator[None]:
    """Fail a test that leaves something behind: processes, interfaces, files, settings."""
    before = state()
    yield
    wait_for(before)


# Several CPUs


@pytest.fixture(params=[1, 2], ids=["one CPU", "two CPUs"])
def cpus(request) -> int:
    """How many CPUs an experiment is to have: such tests hold for any number."""
    if len(os.sched_getaffinity(0)) < request.param:
        pytest.skip("this machine has one CPU only")
    return int(request.param)


@pytest.fixture
def experiment(cpus: int) -> Iterator[Experiment]:
    """Yield an experiment that has been initialized, for any number of CPUs."""
    with Experiment(cpus=cpus) as running:
        yield running


# Links without Mininet


class WireMaker:
    """Makes pairs of hosts with one link between them."""

    def __init__(self, cpus: int) -> None:
        self.cpus = cpus
        self.wires: list[Any] = []

    def __call__(self, *arguments, **options):
        from tests.wire import Wire

        self.wires.append(Wire(self.cpus, *arguments, **options))
        return self.wires[-1]

    def stop(self) -> None:
        while self.wires:
            self.wires.pop().stop()


@pytest.fixture
def wire(cpus):
    """Return a function that makes two hosts with one link between them."""
    maker = WireMaker(cpus)
    yield maker
    maker.stop()


# A busy machine


@pytest.fixture
def busy() -> Iterator[list[int]]:
    """Keep every CPU busy with a loop; yield the loops' process ids."""
    loops = []
    try:
        for cpu in sorted(os.sched_getaffinity(0)):
            loops.append(subprocess.Popen(["sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL))
            os.sched_setaffinity(loops[-1].pid, {cpu})
        yield [loop.pid for loop in loops]
        assert [loop.poll() for loop in loops] == [None] * len(loops), "a busy loop has ended"
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


# Scripts in a process of their own


@dataclasses.dataclass(frozen=True)
class Done:
    """A script that has ended."""

    status: int
    out: str
    err: str

    def one_line(self) -> str:
        """Return the only line on stderr; fail if there are more, or a traceback."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, f"one line expected on stderr, got:\n{self.err}\nstdout:\n{self.out}"
        return lines[0]


class Script:
    """A script that runs in a session of its own and is killed, with all its group, in the end."""

    def __init__(self, directory: Path, command: list[str], stdin: str = "", **params: Any) -> None:
        self.command = command
        self.files = [directory / f"script-{uuid.uuid4().hex[:8]}.{kind}" for kind in ("in", "out", "err")]
        self.files[0].write_text(stdin)
        with self.files[0].open() as given, self.files[1].open("w") as out, self.files[2].open("w") as err:
            self.process = subprocess.Popen(
                command, stdin=given, stdout=out, stderr=err, start_new_session=True, **params
            )

    def read(self) -> tuple[str, str]:
        return self.files[1].read_text(errors="replace"), self.files[2].read_text(errors="replace")

    def expect(self, text: str, limit: float = 120) -> str:
        """Wait until the script has printed a text; return all that it has printed."""
        deadline = time.monotonic() + limit
        while text not in (out := self.read()[0]):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{self.command}: no {text!r} in\n{out}\nstderr:\n{self.read()[1]}")
            time.sleep(0.02)
        return out

    def wait(self, limit: float = 120) -> Done:
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            out, err = self.read()
            pytest.fail(f"{self.command} hangs; so far:\n{out}\nstderr:\n{err}")
        return Done(status, *self.read())

    def kill(self) -> None:
        """Kill the script, and what it has started in its own process group."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start_script(tmp_path):
    """Return a function that starts a command in the background; it is killed after the test."""
    scripts = []

    def start(*command: str | Path, **params: Any) -> Script:
        scripts.append(Script(tmp_path, [str(word) for word in command], **params))
        return scripts[-1]

    yield start
    for script in scripts:
        script.kill()


@pytest.fixture
def run_script(start_script):
    """Return a function that runs a command to its end."""

    def run(*command: str | Path, limit: float = 120, **params: Any) -> Done:
        done: Done = start_script(*command, **params).wait(limit)
        return done

    return run


@pytest.fixture
def run_python(run_script):
    """Return a function that runs Python code, with the tests' interpreter, to its end."""

    def run(code: str, *arguments: str, **params: Any) -> Done:
        done: Done = run_script(sys.executable, "-c", code, *arguments, **params)
        return done

    return run


# Networks


class NetMaker:
    """Makes one network after the other, and stops each."""

    def __init__(self) -> None:
        self.net: Any = None

    def __call__(self, topo, start: bool = True, **params):
        from mininet_kronos import KronosNet

        self.stop()
        self.net = KronosNet(topo=topo, **params)
        if start:
            self.net.start()
        return self.net

    def stop(self) -> None:
        if self.net:
            net, self.net = self.net, None
            net.stop()


@pytest.fixture
def make_net():
    """Return a function that starts a KronosNet of a topology, after stopping the one before."""
    maker = NetMaker()
    yield maker
    maker.stop()


@pytest.fixture(scope="module")
def module_net_maker():
    """As make_net, for a network that the tests of a module share."""
    maker = NetMaker()
    yield maker
    maker.stop()


@dataclasses.dataclass(frozen=True)
class Ping:
    """What ping says; times in ms."""

    sent: int
    received: int
    replies: dict[int, float]  # round trip by sequence number
    least: float = 0.0
    mean: float = 0.0
    most: float = 0.0
    mdev: float = 0.0


def parse_ping(text: str) -> Ping:
    """Read ping's output."""
    counts = re.search(r"(\d+) packets transmitted, (\d+) (?:packets )?received", text)
    assert counts, text
    replies = {int(seq): float(ms) for seq, ms in re.findall(r"icmp_seq=(\d+) .*time=([\d.]+) ms", text)}
    times = re.search(r"rtt min/avg/max/mdev = ([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+) ms", text)
    return Ping(int(counts[1]), int(counts[2]), replies, *map(float, times.groups() if times else ()))


@dataclasses.dataclass(frozen=True)
class Flow:
    """What an iperf UDP server has received."""

    mbps: float  # Mbit/s of payload
    lost: int
    sent: int


def parse_iperf_udp(text: str) -> Flow:
    """Read the server's report, which an iperf client prints at its end (-f b)."""
    report = re.search(r"Server Report:.*?([\d.]+) bits/sec +[\d.]+ ms +(-?\d+)/ *(\d+)", text, re.DOTALL)
    assert report, f"no server report in:\n{text}"
    return Flow(float(report[1]) / 1e6, int(report[2]), int(report[3]))


PING_BITS = 8 * (64 + 20 + 14)  # of a ping's frame: ICMP with 56 bytes of data, IP, Ethernet


def ping(source: Any, target: Any, count: int, interval: float = 0.2, options: str = "") -> tuple[Ping, str]:
    """Ping one host from another; return the result, and the text for messages."""
    text = source.cmd(f"ping -c {count} -i {interval} {options} {target.IP()}")
    return parse_ping(text), text


def warm_up(source: Any, target: Any) -> None:
    """Let addresses and flows be found."""
    result, text = ping(source, target, 2)
    assert result.received == 2, text


# Topologies


class Pair(Topo):
    """h1 -- s1 -- h2."""

    def build(self, bw=100, delay="10ms", hosts=2, host=None, **link):
        switch = self.addSwitch("s1")
        for i in range(1, hosts + 1):
            self.addLink(self.addHost(f"h{i}", **(host or {})), switch, bw=bw, delay=delay, **link)


class Ring(Topo):
    """n switches in a ring, with a host each."""

    def build(self, n, host=None, delay="1ms", trunk="3ms"):
        switches = [self.addSwitch(f"s{i}") for i in range(1, n + 1)]
        for i, switch in enumerate(switches):
            self.addLink(switch, switches[i - 1], delay=trunk)
            self.addLink(self.addHost(f"h{i + 1}", **(host or {})), switch, delay=delay)


class TwoSwitches(Topo):
    """n hosts -- s1 -- s2 -- n hosts."""

    def build(self, n, bw, delay="1ms", trunk=1000):
        self.addLink(self.addSwitch("s1"), self.addSwitch("s2"), bw=trunk, delay=delay)
        for i in range(1, n + 1):
            self.addLink(self.addHost(f"h{i}"), "s1", bw=bw, delay=delay)
            self.addLink(self.addHost(f"r{i}"), "s2", bw=bw, delay=delay)
