"""What the kernel itself takes for a system call under any seccomp filter: it bounds untimed calls."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.runs import alternate, native
from benchmarks.table import Figure, seconds

COUNT = 2_000_000


def measure(programs: Path) -> Iterator[Figure]:
    """Yield the figures of this subject."""
    command: list[str | Path] = [programs / "system_calls", "getppid", str(COUNT)]
    plain, filtered = alternate(5, lambda: native(command), lambda: native([*command, "filter"]))
    yield Figure(
        "getppid, native under a filter that allows everything",
        seconds(filtered / COUNT),
        f"native {seconds(plain / COUNT)}",
        filtered / plain,
    )
