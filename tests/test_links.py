"""Virtual links against the closed formula, with real frames of real kernels.

    arrival = departure + waiting + 8 * bytes / bw + delay

The hosts use the free counter: their clocks move only by a fixed cost when they read them, so that
what they print is exact.
"""

import fcntl
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from mininet_kronos.experiment import Experiment, LinkParams
from mininet_kronos.process import await_tracer

MS = 1_000_000
READ = 100  # ns: what a clock read costs under the free counter
HEADERS = 14 + 20 + 8  # Ethernet, IPv4, UDP

# Sends datagrams of the given payload sizes back to back; prints the clock before each.
SENDER = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stamps = []
for size in map(int, sys.argv[2:]):
    stamps.append(time.monotonic_ns())
    out.sendto(bytes(size), (sys.argv[1], 9999))
print(*stamps)
"""
# Prints the clock after each datagram, until none has come for a second.
RECEIVER = """
import socket, time
inbox = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
inbox.bind(("0.0.0.0", 9999))
inbox.settimeout(1.0)
print("ready", flush=True)
try:
    while True:
        data = inbox.recv(65536)
        print(len(data), time.monotonic_ns(), flush=True)
except TimeoutError:
    pass
"""


def tap(name):
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1002))
    return descriptor


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, timeout=10)


class Wire:
    """Two hosts in namespaces of their own with one link between them."""

    def __init__(self, cpus, there, back=None, seed=0):
        self.name = f"krt{os.getpid() % 10000}"
        self.experiment = Experiment(seed=seed, cpus=cpus)
        self.experiment.initialize()
        ends = []
        for index in (0, 1):
            namespace, interface = f"{self.name}-{index}", f"{self.name}-{index}"
            ip("netns", "add", namespace)
            descriptor = tap(interface)
            ip("link", "set", interface, "netns", namespace)
            self.in_namespace(index, "ip", "addr", "add", f"10.66.0.{index + 1}/24", "dev", interface)
            self.in_namespace(index, "sysctl", "-q", "net.ipv6.conf.all.disable_ipv6=1")
            self.in_namespace(index, "ip", "link", "set", "lo", "up")
            self.in_namespace(index, "ip", "link", "set", interface, "up")
            self.experiment.add_host(f"h{index}", counter="free")
            ends.append((descriptor, f"h{index}", interface))
        for index in (0, 1):
            mac = self.in_namespace(
                1 - index, "cat", f"/sys/class/net/{self.name}-{1 - index}/address"
            ).strip()
            self.in_namespace(
                index, "ip", "neigh", "add", f"10.66.0.{2 - index}", "lladdr", mac,
                "dev", f"{self.name}-{index}",
            )  # fmt: skip
        self.link = self.experiment.add_link(ends[0], ends[1], there, back or there)
        for descriptor, _, _ in ends:
            os.close(descriptor)
        self.experiment.synchronize_and_freeze()

    def in_namespace(self, index, *command):
        return subprocess.run(
            ["ip", "netns", "exec", f"{self.name}-{index}", *command],
            check=True, capture_output=True, text=True, timeout=10,
        ).stdout  # fmt: skip

    def start(self, index, code, *arguments):
        prefix = ["ip", "netns", "exec", f"{self.name}-{index}", *self.experiment.command_prefix(f"h{index}")]
        process = subprocess.Popen(
            [*prefix, "/usr/bin/python3", "-S", "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
        )
        await_tracer(process, self.experiment)
        return process

    def until(self, process):
        pidfd = os.pidfd_open(process.pid)
        self.experiment.progress(MS, 60_000, pidfd)
        os.close(pidfd)
        assert process.wait(5) == 0
        output = process.stdout.read()
        process.stdout.close()
        return output

    def ready(self, process):
        self.experiment.progress(MS, 60_000, process.stdout.fileno())
        assert process.stdout.readline() == "ready\n"

    def send(self, *sizes):
        """Return times of departure and of arrival, in order."""
        receiver = self.start(1, RECEIVER)
        self.ready(receiver)
        sender = self.start(0, SENDER, "10.66.0.2", *sizes)
        departures = [int(stamp) for stamp in self.until(sender).split()]
        arrivals = [int(line.split()[1]) for line in self.until(receiver).splitlines()]
        return departures, arrivals

    def stop(self):
        self.experiment.stop()
        for index in (0, 1):
            ip("netns", "del", f"{self.name}-{index}")


@pytest.fixture
def wire(cpus):
    wires = []

    def make(*arguments, **options):
        wires.append(Wire(cpus, *arguments, **options))
        return wires[-1]

    yield make
    for made in wires:
        made.stop()


def modelled(departures, sizes, params):
    busy, arrivals = 0, []
    for departure, size in zip(departures, sizes):
        busy = max(busy, departure) + round((size + HEADERS) * 8e9 / params.bw_bps)
        arrivals.append(busy + params.delay_ns)
    return arrivals


def close_to(seen, expected):
    """A receiver sees a frame by a clock read, after what reads of its own it still had to make."""
    assert len(seen) == len(expected)
    late = [a - b for a, b in zip(seen, expected)]
    assert all(0 < ns <= 20 * READ for ns in late), late


@pytest.mark.parametrize("size", [10, 500, 1400])
@pytest.mark.parametrize("bw", [1e6, 10e6, 1e9])
def test_one_frame(wire, size, bw):
    params = LinkParams(bw_bps=bw, delay_ns=7_654_321)
    departures, arrivals = wire(params).send(size)
    close_to(arrivals, modelled(departures, [size], params))


def test_frames_back_to_back(wire):
    params = LinkParams(bw_bps=10e6, delay_ns=3 * MS)
    sizes = [1400, 100, 1000, 1, 1400] * 4
    departures, arrivals = wire(params).send(*sizes)
    close_to(arrivals, modelled(departures, sizes, params))


def test_delay_only(wire):
    departures, arrivals = wire(LinkParams(delay_ns=2_500_000)).send(100)
    close_to(arrivals, [departures[0] + 2_500_000])


def test_a_full_queue_drops_the_last(wire):
    params = LinkParams(bw_bps=1e6, delay_ns=1 * MS, max_queue=5)
    link = wire(params)
    departures, arrivals = link.send(*[1000] * 12)
    close_to(arrivals, modelled(departures[:5], [1000] * 5, params))
    stats = link.experiment.link_stats(link.link, 0)
    assert (stats.dropped_queue, stats.tx_frames, stats.rx_frames) == (7, 5, 5)
    assert stats.rx_bytes == 5 * (1000 + HEADERS)


def test_directions_have_their_own_parameters(wire):
    there, back = LinkParams(delay_ns=5 * MS), LinkParams(delay_ns=11 * MS)
    link = wire(there, back)
    output = link.until(
        link.start(
            0,
            "import subprocess, sys\n"
            "print(subprocess.run(['ping', '-c', '3', '10.66.0.2'], capture_output=True, text=True).stdout)",
        )
    )
    assert "3 received" in output
    rtt = output.split("rtt min/avg/max/mdev = ")[1].split("/")
    assert 16.0 <= float(rtt[0]) <= float(rtt[2]) < 16.01


def test_parameters_change_while_it_runs(wire):
    link = wire(LinkParams(delay_ns=5 * MS))
    departures, arrivals = link.send(100)
    close_to(arrivals, [departures[0] + 5 * MS])
    link.experiment.set_link(link.link, 0, LinkParams(delay_ns=9 * MS))
    departures, arrivals = link.send(100)
    close_to(arrivals, [departures[0] + 9 * MS])


def test_loss_is_seeded(cpus):
    params = LinkParams(delay_ns=2 * MS, loss=0.3)
    runs = []
    for seed in (1, 1, 2):
        link = Wire(cpus, params, seed=seed)
        departures, arrivals = link.send(*[100] * 200)
        link.stop()
        runs.append([arrival - departures[0] for arrival in arrivals])
    assert runs[0] == runs[1] != runs[2]
    assert 110 <= len(runs[0]) <= 170  # 140 expected, standard deviation 6.5


def test_jitter_never_reorders(wire):
    link = wire(LinkParams(bw_bps=1e9, delay_ns=20 * MS, jitter_ns=2 * MS))
    _, arrivals = link.send(*range(1, 101))
    assert len(arrivals) == 100
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] - arrivals[0] > 100_000  # far more than the serialization


def test_bad_parameters_are_refused():
    with Experiment() as experiment:
        experiment.add_host("h0")
        end = (0, "h0", "eth0")
        for bad in (
            LinkParams(delay_ns=-1),
            LinkParams(bw_bps=-1),
            LinkParams(loss=1.5),
            LinkParams(jitter_ns=-1),
            LinkParams(max_queue=-1),
        ):
            with pytest.raises(Exception, match="must"):
                experiment.add_link(end, end, bad, LinkParams())


def test_nothing_is_left():
    assert not [path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith("krt")]
    assert sys.platform == "linux"
