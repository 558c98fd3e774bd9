"""Real programs, unmodified, each in one dilated host with a loopback of its own.

The scripts are in real_programs/; each prints what is expected here, and takes so much virtual time. Those
that do not depend on the network's or the clock's exactness print the same natively.
"""

import dataclasses
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dilated import OWN_NETWORK, run_alone

SCRIPTS = Path(__file__).parent / "real_programs"


@dataclasses.dataclass(frozen=True)
class Program:
    """A shell script, what it must print (regular expressions, in order), and how long it takes."""

    name: str
    expected: tuple[str, ...]
    seconds: tuple[float, float]  # of virtual time: at least, at most
    natively: bool = False

    @property
    def command(self) -> list[str | Path]:
        return ["bash", SCRIPTS / f"{self.name}.sh"]


PROGRAMS = [
    Program(
        "bash",
        (
            r"Stopped",
            r"ended 143",
            r"through",
            r"usr1",
            r"read 142",
            r"real\s0m1\.50",
        ),
        (6.5, 7.0),
    ),
    Program(
        "python",
        (
            r"threads 0\.5",
            r"timeout",
            r"asyncio 3\.[01]",
            r"\[5, 4, 3, 2, 1\]",
            r"15",
            r"killed",
        ),
        (3.5, 5),
    ),
    Program(
        "node",
        (
            r"worker",
            r"late [56]",
            r"ten",
            r"child",
        ),
        (2, 3),
    ),
    Program(
        "perl",
        (
            r"alarm",
            r"1\.0",
            r"0\.25",
            r"child",
        ),
        (1.25, 1.5),
    ),
    Program(
        "expect",
        (
            r"Stopped",
            r"Running",
            r"done 143",
        ),
        (2, 2.5),
    ),
    Program(
        "tmux",
        (
            r"1",
            r"typed",
        ),
        (5, 5.5),
    ),
    Program("screen", (r"inside",), (3, 3.5), natively=True),
    Program(
        "git_make",
        (
            r"Makefile one two",
            r"42",
        ),
        (1, 3),
        natively=True,
    ),
    Program(
        "sandboxes",
        (
            r"pid 2",
            r"0\n1",
            r"nobody",
        ),
        (3, 3.5),
    ),
    Program("sudo", (r"nobody",), (1, 1.5)),
    Program(
        "busybox",
        (
            r"real\s+0m 1\.0",
            r"143",
            r"1 2 3",
        ),
        (2, 2.5),
    ),
    Program("sqlite", (r"^3$",), (0, 1), natively=True),
    Program(
        "nginx_curl_wrk",
        (
            r"hello",
            r"200 0\.0\d",
            r"\d+ requests in 1\.\d",
            r"ended 0",
        ),
        (2, 4),
    ),
    Program(
        "redis",
        (
            r"OK",
            r"value",
            r"^0$",
            r"^2$",
            r"PONG\nPONG\nPONG",
            r"^1$",
        ),
        (5, 6.5),
    ),
    Program("memcached_socat", (r"STORED\s+VALUE k 0 5\s+hello\s+END\s+END\s+ended",), (5, 6), natively=True),
    Program("sshd_ssh_scp", (r"there", r"terminal", r"copied"), (2.5, 7), natively=True),
    Program(
        "dnsmasq_dig",
        (
            r"192\.0\.2\.7",
            r"status: (REFUSED|NXDOMAIN)",
            r"ended",
        ),
        (0.5, 6),
    ),
    Program("mosquitto", (r"one\ntwo",), (2, 3), natively=True),
    Program(
        "haproxy_netcat",
        (
            r"through",
            r"cut",
        ),
        (3, 13),
        natively=True,
    ),
    Program(
        "ping_traceroute",
        (
            r"5 received, 0% packet loss, time 20\d\dms",
            r"1  127\.0\.0\.1",
            r"\n2",
        ),
        (2, 6),
    ),
    Program("iperf3", (r"0\.00-2\.0\d +sec .* Mbits/sec .* receiver",), (2.2, 3)),
    Program(
        "iperf",
        (
            r"0\.0000-1\.0000 sec  1\.25 MBytes  10\.5 Mbits/sec",
            r"0\.0000-2\.00\d+ sec .* 0/1787 \(0%\)",
            r"SUM.* sec .*bits/sec",
            r"^1$",
        ),
        (3.2, 6),
    ),
    Program(
        "ovs_vswitchd",
        (
            r"3 received",
            r"^1\n0\nended",
        ),
        (6, 9),
    ),
    Program(
        "go",
        (
            r"sleepers 10\nticks 10 11\nslow answer 5\ncancelled true .* 2\ndeadline true 3",
            r"child\nsignal: killed 7\ncaught user defined signal 1\npreempted",
        ),
        (4, 15),
    ),
    Program(
        "java",
        (
            r"waits 2[0-2] 2[0-2]",  # its compilers compute besides
            r"ticks \d+\nsockets [67]",
            r"answer\ntimeout [23]\nended false\nstatus 143",
        ),
        (4.5, 15),
    ),
]


@pytest.fixture
def directory() -> Iterator[Path]:
    """Make a directory that users other than root can look into, such as nginx' workers."""
    with tempfile.TemporaryDirectory(prefix="kronos-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def check(program: Program, out: str) -> None:
    position = 0
    for pattern in program.expected:
        found = re.compile(pattern, re.MULTILINE).search(out, position)
        assert found, f"no {pattern!r} after character {position} of\n{out}"
        position = found.end()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_program(program: Program, directory: Path) -> None:
    ended = run_alone(program.command, directory, 60)
    assert ended.status == 0, ended
    check(program, ended.out)
    assert program.seconds[0] <= ended.seconds <= program.seconds[1], ended


@pytest.mark.parametrize(
    "program", [program for program in PROGRAMS if program.natively], ids=lambda p: p.name
)
def test_natively(program: Program, directory: Path) -> None:
    command = [*OWN_NETWORK, *program.command]
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    check(program, done.stdout)
