"""Remove what a run has left behind whose orchestrator and engine were both killed."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from mininet_kronos.machine import check_root
from mininet_kronos.ovs import RUN_DIRECTORY, clean_left_behind

LEAVING = 3.0  # s of real time
PREFIX = "net-"  # of a net's directory: then the orchestrator's pid


def make_directory(pid: int) -> Path:
    """Make a net's directory for logs and the like."""
    RUN_DIRECTORY.mkdir(mode=0o755, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{pid}-", dir=RUN_DIRECTORY))


def is_served(socket: Path) -> bool:
    """Tell whether an engine listens; one whose orchestrator is gone is about to end, and is waited for."""
    deadline = time.monotonic() + LEAVING
    while f" {socket}\n" in Path("/proc/net/unix").read_text():
        if Path("/proc", socket.name.partition(".")[0]).exists() or time.monotonic() > deadline:
            return True
        time.sleep(0.05)
    return False


def clean() -> int:
    """Remove what nets have left whose orchestrator is gone; return 0."""
    check_root()
    removed = clean_left_behind()
    for directory in RUN_DIRECTORY.glob(f"{PREFIX}*-*"):
        pid = directory.name[len(PREFIX) :].partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(directory, ignore_errors=True)
            removed.append(directory)
    for socket in RUN_DIRECTORY.glob("*.sock*"):  # an engine's
        if not is_served(socket):
            socket.unlink(missing_ok=True)
            removed.append(socket)
    for path in removed:
        print(f"removed {path}")
    return 0
