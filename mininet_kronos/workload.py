"""Traffic for examples, the demo and tests: pings, iperf flows and UDP round trips.

Works on any Mininet, in real time and in virtual time.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mininet_kronos.errors import KronosError

UDP_PAYLOAD = 1470  # bytes of a datagram of iperf's
_RTT = re.compile(r"rtt min/avg/max/mdev = ([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+) ms")
_SERVER_REPORT = re.compile(r"Server Report:.*?([\d.]+) bits/sec +[\d.]+ ms +(\d+)/ *(\d+)", re.DOTALL)
_COUNT = re.compile(r"(\d+) packets transmitted, (\d+) (?:packets )?received")


@dataclass(frozen=True)
class PingResult:
    """What ping reports; times in ms."""

    sent: int
    received: int
    least: float = 0.0
    mean: float = 0.0
    most: float = 0.0
    mdev: float = 0.0


@dataclass(frozen=True)
class FlowResult:
    """What an iperf server reports of one UDP flow."""

    source: str
    target: str
    mbps: float  # Mbit/s of payload
    lost: int  # datagrams
    sent: int


def ping(source: Any, target: Any, count: int = 10, interval: float = 0.2) -> PingResult:
    """Ping one host from another; raise KronosError if ping says something unknown."""
    return parse_ping(source.cmd(f"ping -c {count} -i {interval} {target.IP()}"))


def parse_ping(text: str) -> PingResult:
    """Read ping's summary."""
    counts, times = _COUNT.search(text), _RTT.search(text)
    if not counts:
        raise KronosError(f"ping failed: {text.strip().splitlines()[-1:]}")
    numbers = [float(number) for number in times.groups()] if times else []
    return PingResult(int(counts[1]), int(counts[2]), *numbers)


def udp_flows(
    pairs: Iterable[tuple[Any, Any]], mbps: float, seconds: float, port: int = 5001
) -> list[FlowResult]:
    """Run an iperf UDP flow between each pair of hosts, all at once; return what the servers received.

    A ping goes before each, so that no flow waits for addresses or for the controller.
    """
    pairs = list(pairs)
    for source, target in pairs:
        ping(source, target, count=1)
    servers = [target.popen(["iperf", "-s", "-u", "-p", str(port)]) for _, target in pairs]
    try:
        for (_, target), server in zip(pairs, servers):
            server.stdout.readline()  # its first lines: it listens
            if server.returncode is not None:
                raise KronosError(f"iperf does not run on {target}; run: apt-get install iperf")
        command = f"iperf -u -b {mbps * 1e6:.0f} -t {seconds} -l {UDP_PAYLOAD} -p {port} -f b -c"
        clients = [source.popen([*command.split(), target.IP()]) for source, target in pairs]
        reports = [client.communicate()[0].decode() for client in clients]
    finally:
        for server in servers:
            server.kill()
            server.wait()
    return [_parse_flow(str(a), str(b), report) for (a, b), report in zip(pairs, reports)]


def _parse_flow(source: str, target: str, report: str) -> FlowResult:
    """Read the server's report, which the client prints at its end."""
    line = _SERVER_REPORT.search(report)
    if not line:
        raise KronosError(
            f"iperf from {source} to {target} got no report back; is there a path between them?"
        )
    return FlowResult(source, target, float(line[1]) / 1e6, int(line[2]), int(line[3]))


_ECHO_SERVER = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", {port}))
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(2048)
    s.sendto(data, peer)
"""
_ECHO_CLIENT = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("{address}", {port}))
s.settimeout(5)
for number in range({count}):
    begin = time.monotonic_ns()
    s.send(bytes({size}))
    try:
        s.recv(2048)
        print((time.monotonic_ns() - begin) / 1e6, flush=True)
    except OSError:
        pass
    time.sleep({interval})
"""


def udp_round_trips(
    pairs: Iterable[tuple[Any, Any]], count: int, interval: float, size: int = 64, port: int = 5002
) -> list[list[float]]:
    """Let each pair's first host ask and the second answer over UDP; return the round trips in ms."""
    pairs = list(pairs)
    servers = [target.popen([sys.executable, "-c", _ECHO_SERVER.format(port=port)]) for _, target in pairs]
    try:
        for server in servers:
            server.stdout.readline()
        clients = []
        for source, target in pairs:
            code = _ECHO_CLIENT.format(
                address=target.IP(), port=port, count=count, size=size, interval=interval
            )
            clients.append(source.popen([sys.executable, "-c", code]))
        return [[float(line) for line in client.communicate()[0].split()] for client in clients]
    finally:
        for server in servers:
            server.kill()
            server.wait()
