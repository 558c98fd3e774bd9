"""Remove what a run has left behind whose orchestrator and engine were both killed."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

PREFIX = "kronos-net-"  # of a net's directory: then the orchestrator's pid


def make_directory(pid: int) -> Path:
    """Make a net's directory for logs and the like."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{pid}-"))


def clean() -> int:
    """Remove directories of nets whose orchestrator is gone; return 0."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = re.match(rf"{PREFIX}(\d+)-", directory.name)
        if owner and not Path("/proc", owner[1]).exists():
            shutil.rmtree(directory, ignore_errors=True)
            print(f"removed {directory}")
    return 0
