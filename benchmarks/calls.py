"""What single calls cost: clock reads, untimed system calls, blocking reads, new processes."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.runs import alternate, dilated, native, per_item, repeated
from benchmarks.table import Figure, seconds


def _compare(measure: str, command: list[str | Path], count: int, limit: float) -> Figure:
    plain, virtual = repeated(command, count)
    return Figure(measure, seconds(virtual), f"native {seconds(plain)}", virtual / plain, limit=limit)


def _ping_pong(programs: Path) -> Iterator[Figure]:
    """Yield the figure, and what a stop of each woken task takes natively, under an idle tracer."""
    count = 20_000
    plain, stopped, virtual = alternate(
        5,
        lambda: per_item(native, [programs / "ping_pong"], count),
        lambda: per_item(native, [programs / "ping_pong_stops"], count),
        lambda: per_item(dilated, [programs / "ping_pong"], count),
    )
    measure, against = "pipe ping-pong of two tasks of a host", f"native {seconds(plain)}"
    yield Figure(measure, seconds(virtual), against, virtual / plain, limit=4)
    yield Figure(f"{measure}, native, a stop each", seconds(stopped), against, stopped / plain)


def _over_sockets(programs: Path, kind: str, name: str) -> Figure:
    count, command = 20_000, [programs / "ping_pong"]
    plain, virtual = alternate(
        5,
        lambda: per_item(native, command, count, kind),
        lambda: per_item(dilated, command, count, kind),
    )
    measure = f"ping-pong of two tasks of a host, {name}"
    return Figure(measure, seconds(virtual), f"native {seconds(plain)}", virtual / plain, limit=4)


def _untimed(measure: str, command: list[str | Path], count: int) -> Iterator[Figure]:
    """Yield the figure, and what the kernel takes natively under a filter that allows everything."""
    plain, filtered, virtual = alternate(
        5,
        lambda: per_item(native, command, count),
        lambda: per_item(native, command, count, "filter"),
        lambda: per_item(dilated, command, count),
    )
    against = f"native {seconds(plain)}"
    yield Figure(measure, seconds(virtual), against, virtual / plain, limit=1.05)
    yield Figure(f"{measure}, native with any filter", seconds(filtered), against, filtered / plain)


def measure(programs: Path) -> Iterator[Figure]:
    """Yield the figures of this subject."""
    calls = programs / "system_calls"
    yield _compare("clock_gettime", [calls, "clock"], 10_000_000, 1.5)
    yield from _untimed("getppid", [calls, "getppid"], 2_000_000)
    yield from _untimed("pread of 4 KiB", [calls, "pread"], 1_000_000)
    yield from _ping_pong(programs)
    yield _over_sockets(programs, "unix", "socket pair")
    yield _over_sockets(programs, "tcp", "TCP")
    yield _over_sockets(programs, "epoll", "socket pair and epoll")
    yield _compare("fork, exec and exit of /bin/true", [programs / "spawn"], 200, 3)
