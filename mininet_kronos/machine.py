"""What a network needs from the machine: checked before anything is changed, and by `kronos doctor`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mininet_kronos import explain_missing
from mininet_kronos.errors import EngineError, KronosError, MissingProgramError
from mininet_kronos.ryu_frameworks import TITLES, installed

PACKAGES = {  # Debian's, by program
    "mnexec": "mininet",
    "ifconfig": "net-tools",
    "ip": "iproute2",
    "ovs-vsctl": "openvswitch-switch",
    "ovs-vswitchd": "openvswitch-switch",
    "ovsdb-server": "openvswitch-switch",
}
TUN = Path("/dev/net/tun")
ROOTS_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def complete_path() -> None:
    """Let what is in root's directories be found; on Debian users' PATH lacks them, and `su` keeps it."""
    path = os.environ.get("PATH", os.defpath).split(":")
    os.environ["PATH"] = ":".join([*path, *(each for each in ROOTS_PATH if each not in path)])


def check_root() -> str:
    """Return a line if this is root; raise KronosError if not."""
    if os.geteuid() != 0:
        raise KronosError("a network needs root; run the same command with sudo")
    return "running as root"


def check_programs() -> str:
    """Return a line if all programs are there; raise MissingProgramError if not."""
    complete_path()
    for program, package in PACKAGES.items():
        if not shutil.which(program):
            raise MissingProgramError(f"{program} is not installed; run: apt-get install {package}")
    return "the programs of Mininet and Open vSwitch are installed"


def check_namespaces() -> str:
    """Return a line if hosts can have namespaces; raise EngineError if not: Mininet would wait for ever."""
    new = _mnexec("-n", "true")
    top = Path("/").stat()
    seen = _mnexec("-a", str(os.getpid()), "stat", "--format=%d %i", "/")
    if seen.stdout.split() != [str(top.st_dev), str(top.st_ino)]:
        raise EngineError(
            "this is a chroot, which hosts' programs would leave (mnexec goes to the top of its mounts); "
            "use a container instead, such as systemd-nspawn -D DIR"
        )
    if new.returncode:
        raise EngineError(
            f"mnexec cannot make a host's namespaces ({new.stderr.strip()}); in a container: "
            "run it with CAP_SYS_ADMIN, such as docker run --privileged"
        )
    return "hosts can have namespaces of their own"


def _mnexec(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Mininet's helper."""
    return subprocess.run(["mnexec", *arguments], capture_output=True, text=True, check=False)


def check_tun() -> str:
    """Return a line if TAP devices can be made; raise MissingProgramError if not."""
    if not TUN.exists():
        raise MissingProgramError(f"{TUN} does not exist; load the module with: modprobe tun")
    return f"{TUN} is there"


def check_ryu() -> str:
    """Return a line if Ryu, or os-ken, is installed; raise MissingProgramError if not."""
    found = [TITLES[name] for name in installed()]
    if not found:
        raise MissingProgramError(
            f"Ryu is not installed for {sys.executable}; run make setup, and use .venv/bin/python"
        )
    return f"{' and '.join(found)} installed"


def check_mininet() -> str:
    """Return a line if Mininet can be imported; raise MissingProgramError if not."""
    try:
        from mininet.net import VERSION
    except ModuleNotFoundError as problem:
        explain_missing(problem)
        raise
    return f"Mininet {VERSION} can be imported"


def check_engine() -> str:
    """Start the engine and return what its self-test chose; raise KronosError if it cannot start."""
    from mininet_kronos.experiment import Experiment

    experiment = Experiment()
    experiment.initialize()
    try:
        return f"engine: {experiment.mechanisms}"
    finally:
        experiment.stop()


def check_machine() -> None:
    """Raise KronosError, naming the fix, if this machine cannot run a net; changes nothing."""
    for check in (check_root, check_programs, check_tun, check_namespaces):
        check()
