"""Programs that compute, in windows of 1 ms."""

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.runs import Command, alternate, dilated, native
from benchmarks.table import Figure, seconds

PYTHON = "sum(i * i % 7 for i in range(6_000_000))"
BYTES = 400_000_000
TRACER = Path(__file__).parent.parent / "tracer"


def measure(programs: Path) -> Iterator[Figure]:
    """Yield the figures of this subject."""
    with tempfile.NamedTemporaryFile(prefix="kronos-bench-") as data:
        data.truncate(BYTES)
        source = TRACER / "src" / "engine" / "task.c"
        compiler = ["gcc", "-D_GNU_SOURCE", f"-I{TRACER}/include", "-O2", "-c", "-o", "/dev/null"]
        commands: dict[str, Command] = {
            "Python, a sum": [sys.executable, "-c", PYTHON],
            "openssl, SHA-256 of 400 MB": ["openssl", "dgst", "-sha256", data.name],
            "gcc -O2, a file of the engine's": [*compiler, source],
        }
        for name, command in commands.items():
            plain, virtual = alternate(5, partial(native, command), partial(dilated, command))
            yield Figure(name, seconds(virtual), f"native {seconds(plain)}", virtual / plain, limit=1.1)
