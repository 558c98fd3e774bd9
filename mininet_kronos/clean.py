"""Remove what a run has left behind whose orchestrator and engine were both killed."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mininet_kronos.machine import check_root
from mininet_kronos.ovs import RUN_DIRECTORY, clean_left_behind

PREFIX = "net-"  # of a net's directory: then the orchestrator's pid


def make_directory(pid: int) -> Path:
    """Make a net's directory for logs and the like."""
    RUN_DIRECTORY.mkdir(mode=0o755, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{pid}-", dir=RUN_DIRECTORY))


def clean() -> int:
    """Remove what nets have left whose orchestrator is gone; return 0."""
    check_root()
    removed = clean_left_behind()
    for directory in RUN_DIRECTORY.glob(f"{PREFIX}*-*"):
        pid = directory.name[len(PREFIX) :].partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(directory, ignore_errors=True)
            removed.append(directory)
    served = Path("/proc/net/unix").read_text()
    for socket in RUN_DIRECTORY.glob("*.sock*"):  # an engine's
        if f" {socket}\n" not in served:
            socket.unlink(missing_ok=True)
            removed.append(socket)
    for path in removed:
        print(f"removed {path}")
    return 0
