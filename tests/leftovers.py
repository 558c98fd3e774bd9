"""What an experiment could leave behind: processes, descriptors, interfaces, files, changed settings."""

import gc
import os
import resource
import signal
import time
import uuid
from pathlib import Path

TAG = f"KRONOS_TEST={uuid.uuid4()}"  # in the environment of every process that the tests start
SETTLE = 30  # s of real time after which what is still there counts as left behind
RUN_DIRECTORY = Path("/run/kronos")
SETTINGS = (
    "kernel/sched_rt_runtime_us",
    "kernel/sched_rt_period_us",
    "kernel/randomize_va_space",
    "kernel/perf_event_paranoid",
    "kernel/yama/ptrace_scope",
    "kernel/core_pattern",
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/disable_ipv6",
    "net/ipv6/conf/default/disable_ipv6",
)

name, _, value = TAG.partition("=")
os.environ[name] = value


def names(directory: str | Path, pattern: str = "*") -> set[str]:
    try:
        return {str(path) for path in Path(directory).glob(pattern)}
    except OSError:
        return set()


def our_processes() -> set[str]:
    """Return the processes, other than this one, that the tests have started, directly or not."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = TAG.encode() in (process / "environ").read_bytes().split(b"\0")
            if ours and int(process.name) != os.getpid():
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.add(f"process {process.name}: {command[:200]}")
        except OSError:
            continue  # it has just ended
    return found


def our_descriptors() -> set[str]:
    """Return what this process holds open that would keep a device, a namespace or the engine alive."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            target = str(path.readlink())
        except OSError:
            continue
        if target.startswith(("/dev/net", "/dev/ptmx", "/dev/pts", "net:", "anon_inode:[pidfd]")):
            found.add(f"descriptor {path.name}: {target}")
    return found


def settings() -> set[str]:
    """Return the kernel's settings that an engine might touch, and this process' own."""
    paths = [Path("/proc/sys", setting) for setting in SETTINGS]
    return {
        *(f"{path}: {path.read_text().strip()}" for path in paths if path.exists()),
        f"affinity: {sorted(os.sched_getaffinity(0))}",
        f"scheduling policy: {os.sched_getscheduler(0)}, nice {os.nice(0)}",
        f"core limit: {resource.getrlimit(resource.RLIMIT_CORE)}",
        f"SIGINT: {signal.getsignal(signal.SIGINT)}, SIGCHLD: {signal.getsignal(signal.SIGCHLD)}",
        f"working directory: {Path.cwd()}",
        *(f"environment: {key}={os.environ[key]}" for key in os.environ if key.startswith("OVS_")),
    }


def cgroups() -> set[str]:
    """Return hierarchies and the groups at their tops, where Mininet makes its own; systemd's come and go."""
    others = (".service", ".slice", ".scope", ".mount", ".socket")
    found = {path for depth in ("*/", "*/*/") for path in names("/sys/fs/cgroup", depth)}
    return {path for path in found if not path.endswith(others)}


def state() -> set[str]:
    gc.collect()
    return (
        our_processes()
        | our_descriptors()
        | settings()
        | cgroups()
        | names("/sys/class/net")  # interfaces, bridges
        | names("/run/netns")  # Mininet's namespaces have no name, and end with their processes
        | names(RUN_DIRECTORY)
    )


def wait_for(before: set[str]) -> None:
    """Wait until there is nothing that was not there before; fail if it does not come to that."""
    deadline = time.monotonic() + SETTLE
    while (left := state() - before) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, f"left behind or changed: {sorted(left)}"
