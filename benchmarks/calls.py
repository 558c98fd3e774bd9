"""What single calls cost: clock reads, untimed system calls, blocking reads, new processes."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.runs import repeated
from benchmarks.table import Figure, seconds


def _compare(measure: str, command: list[str | Path], count: int, limit: float | None) -> Figure:
    native, dilated = repeated(command, count)
    return Figure(measure, seconds(dilated), f"native {seconds(native)}", dilated / native, limit=limit)


def measure(programs: Path) -> Iterator[Figure]:
    """Yield the figures of this subject."""
    calls = programs / "system_calls"
    yield _compare("clock_gettime", [calls, "clock"], 10_000_000, 1.5)
    yield _compare("getppid", [calls, "getppid"], 2_000_000, 1.05)
    yield _compare("pread of 4 KiB", [calls, "pread"], 1_000_000, 1.05)
    yield _compare("pipe ping-pong of two tasks of a host", [programs / "ping_pong"], 20_000, 4)
    yield _compare("fork, exec and exit of /bin/true", [programs / "spawn"], 200, 3)
