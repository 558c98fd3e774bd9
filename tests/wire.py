"""Two hosts with one link between them, without Mininet: real frames of real kernels.

The hosts use the free counter: their clocks move only by a fixed cost when they read them, so that
what they print is exact.
"""

import fcntl
import os
import struct
import subprocess

from mininet_kronos.experiment import Experiment
from mininet_kronos.process import await_tracer

MS = 1_000_000
OUTPUT_MAX = 1 << 20  # bytes
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
    subprocess.run(["ip", *arguments], check=True, timeout=60)


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
            check=True, capture_output=True, text=True, timeout=60,
        ).stdout  # fmt: skip

    def start(self, index, code, *arguments):
        prefix = ["ip", "netns", "exec", f"{self.name}-{index}", *self.experiment.command_prefix(f"h{index}")]
        process = subprocess.Popen(
            [*prefix, "/usr/bin/python3", "-S", "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, OUTPUT_MAX)  # it is read when the process has ended
        await_tracer(process, self.experiment)
        return process

    def until(self, process):
        pidfd = os.pidfd_open(process.pid)
        self.experiment.progress(MS, 60_000, pidfd)
        os.close(pidfd)
        assert process.wait(60) == 0
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
