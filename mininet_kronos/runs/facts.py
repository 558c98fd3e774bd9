"""What a run has to be cited with: versions, and the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from mininet_kronos import __version__


def versions() -> dict[str, str]:
    """Return the versions of what a network is made of; what is not installed is left out."""
    found = {"mininet_kronos": __version__, "python": platform.python_version()}
    for package in ("ryu", "eventlet", "mininet"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    try:
        first = subprocess.run(
            ["ovs-vswitchd", "--version"], capture_output=True, text=True, check=True
        ).stdout
        found["openvswitch"] = first.split("\n")[0].rsplit(" ", 1)[-1]
    except (OSError, subprocess.CalledProcessError):
        pass
    return found


def machine() -> dict[str, str | int]:
    """Return what this machine is."""
    name = platform.uname()
    return {
        "kernel": f"{name.system} {name.release}",
        "architecture": name.machine,
        "processor": _field("/proc/cpuinfo", "model name"),
        "cpus": os.cpu_count() or 1,
        "memory_kib": int(_field("/proc/meminfo", "MemTotal").split()[0] or 0),
    }


def _field(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
