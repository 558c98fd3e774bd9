"""What the two engines need from the machine: found or not, what follows, and how to fix it."""

from __future__ import annotations

import gzip
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from mininet_kronos import machine
from mininet_kronos.errors import KronosError

USER, KERNEL = "user", "kernel"
ENGINES = (USER, KERNEL)
LEAST_KERNEL = (6, 1)
RAISE = "sysctl -w {}; to keep it, put the same into /etc/sysctl.d/60-kronos.conf"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    good: bool
    found: str
    follows: str = ""  # what it means for networks
    fix: str = ""
    needed_by: tuple[str, ...] = ()  # engines that do not run without it

    @property
    def verdict(self) -> str:
        """One of ok, note and PROBLEM."""
        if self.good:
            return "ok"
        return "PROBLEM" if USER in self.needed_by else "note"


def examine() -> list[Finding]:
    """Look at everything; changes nothing, and needs no root."""
    return [finding for check in CHECKS for finding in check()]


def would_run(engine: str, findings: list[Finding]) -> bool:
    """Tell whether an engine would run a network here and now."""
    return all(finding.good for finding in findings if engine in finding.needed_by)


# The machine


def _setting(name: str) -> str | None:
    """Return a value below /proc/sys, or None if this kernel has no such setting."""
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def _kernel_config() -> dict[str, str]:
    """Return the kernel's configuration, empty if it does not show it."""
    for path, read in (
        (Path("/proc/config.gz"), gzip.open),
        (Path("/boot", f"config-{platform.release()}"), open),
    ):
        if path.exists():
            with read(path, "rt") as lines:
                return dict(re.findall(r"^CONFIG_(\w+)=(\w+)$", lines.read(), re.MULTILINE))
    return {}


def _has_module(name: str, option: str) -> str | None:
    """Return how the kernel has a part: loaded, built in or as a module that can be loaded; or None."""
    if Path("/sys/module", name).exists():
        return "loaded"
    if _kernel_config().get(option) == "y":
        return "built in"
    listing = Path("/lib/modules", platform.release(), "modules.dep")
    if Path("/proc/modules").exists() and listing.exists() and f"/{name}.ko" in listing.read_text():
        return "a module that can be loaded"
    return None


def _kernel_version() -> Iterator[Finding]:
    release = platform.release()
    version = tuple(int(number) for number in re.findall(r"\d+", release)[:2])
    yield Finding(
        "kernel",
        version >= LEAST_KERNEL,
        f"Linux {release}",
        "perf events that stop a task when it blocks came with Linux 6.1",
        "install a newer kernel, such as Debian 12's or a later one",
        ENGINES,
    )
    x86 = platform.machine() == "x86_64"
    yield Finding(
        "processor", x86, platform.machine(), "only x86-64 is supported", "use such a machine", ENGINES
    )


def _time_stamp_counter() -> Iterator[Finding]:
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    have = set(flags[1].split()) if flags else set()
    steady = {"constant_tsc", "nonstop_tsc"} <= have
    cpus = len(os.sched_getaffinity(0))
    yield Finding(
        "time stamp counter",
        steady,
        "steady" if steady else "may change its rate or stop",
        "what computation costs (counter='cputime') is less exact; counter='free' does not depend on it",
        "in a VM: give it the host's processor (libvirt: cpu_mode = 'host-passthrough')",
    )
    yield Finding(
        "CPUs",
        cpus > 1,
        str(cpus),
        "networks run, and everything else stands still while one does",
        "give the VM another CPU",
    )


def _instruction_counter() -> Iterator[Finding]:
    devices = [path.name for path in Path("/sys/bus/event_source/devices").glob("cpu*")]
    yield Finding(
        "instruction counter (PMU)",
        bool(devices),
        ", ".join(sorted(devices)) or "none",
        "counter='instructions' is refused (the engine's line below says why); cputime and free work",
        "in a VM: VMware needs vpmc.enable = TRUE, libvirt cpu_mode = 'host-passthrough'",
    )


# What the user engine does to processes


def _tracing() -> Iterator[Finding]:
    scope = _setting("kernel/yama/ptrace_scope")
    yield Finding(
        "ptrace",
        scope != "3",
        "no Yama" if scope is None else f"kernel.yama.ptrace_scope = {scope}",
        "nobody may trace a process, not even root",
        "remove kernel.yama.ptrace_scope = 3 from /etc/sysctl.d and reboot: it cannot be lowered at run time",
        (USER,),
    )
    actions = _setting("kernel/seccomp/actions_avail") or ""
    yield Finding(
        "seccomp filters",
        "trace" in actions.split(),
        actions or "none",
        "timed system calls cannot be stopped",
        "use a kernel with CONFIG_SECCOMP_FILTER",
        (USER,),
    )


def _perf_and_bpf() -> Iterator[Finding]:
    paranoid = _setting("kernel/perf_event_paranoid")
    yield Finding(
        "perf events",
        paranoid is not None,
        "none" if paranoid is None else f"kernel.perf_event_paranoid = {paranoid}; root may use them",
        "a task that blocks cannot be stopped when it wakes",
        "use a kernel with CONFIG_PERF_EVENTS, and a container that may call perf_event_open",
        (USER,),
    )
    btf = Path("/sys/kernel/btf/vmlinux").exists()
    yield Finding(
        "BPF",
        btf and _setting("kernel/unprivileged_bpf_disabled") is not None,
        "with kernel types (BTF)" if btf else "no /sys/kernel/btf/vmlinux",
        "every switch of a task costs a stop, where only real waits would; networks run more slowly",
        "use a kernel with CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF, such as Debian's",
    )


def _scheduling() -> Iterator[Finding]:
    runtime = _setting("kernel/sched_rt_runtime_us") or "0"
    period = _setting("kernel/sched_rt_period_us")
    yield Finding(
        "real-time scheduling",
        runtime != "0",
        f"kernel.sched_rt_runtime_us = {runtime} of {period}",
        "the engine cannot run above other programs",
        RAISE.format("kernel.sched_rt_runtime_us=950000"),
        (USER,),
    )
    group = _own_cpu_cgroup()
    share = group / "cpu.rt_runtime_us" if group else None
    found = share.read_text().strip() if share and share.exists() else None
    version = "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1"
    if not Path("/sys/fs/cgroup").is_mount() and not any(Path("/sys/fs/cgroup").glob("*")):
        version = "none mounted"
    yield Finding(
        "cgroups",
        found != "0",
        f"{version}, cpu.rt_runtime_us = {found}" if found else version,
        "this cgroup has no real-time share, and the engine cannot run",
        f"echo 900000 >{share}",
        (USER,),
    )


def _own_cpu_cgroup() -> Path | None:
    """Return this process' group of the v1 cpu controller, if there is one."""
    try:
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _number, controllers, path = line.split(":", 2)
            if "cpu" in controllers.split(","):
                return Path("/sys/fs/cgroup/cpu", path.lstrip("/"))
    except OSError:
        pass
    return None


# What networks are made of


def _as_finding(topic: str, check: Callable[[], str], engines: tuple[str, ...], follows: str = "") -> Finding:
    """Return what one of machine.py's checks says; its error names the fix."""
    try:
        return Finding(topic, True, check(), needed_by=engines)
    except KronosError as problem:
        return Finding(topic, False, str(problem), follows, needed_by=engines)


def _network_parts() -> Iterator[Finding]:
    yield _as_finding("root", machine.check_root, ENGINES)
    yield _as_finding("Mininet", machine.check_mininet, ENGINES, "there are no networks")
    yield _as_finding("programs", machine.check_programs, ENGINES, "networks cannot be made")
    if os.geteuid() == 0 and shutil.which("mnexec"):
        yield _as_finding("namespaces", machine.check_namespaces, ENGINES, "hosts cannot be made")
    yield _as_finding("TUN", machine.check_tun, (USER,), "links need TAP devices")
    yield _as_finding("Ryu", machine.check_ryu, (), "networks need another controller, or bridges")


def _kernel_parts() -> Iterator[Finding]:
    for name, topic, option, follows in (
        ("sch_netem", "netem", "NET_SCH_NETEM", "Mininet's own TCLink cannot delay"),
        ("openvswitch", "kernel datapath", "OPENVSWITCH", "Open vSwitch forwards in user space"),
    ):
        how = _has_module(name, option)
        yield Finding(
            topic,
            how is not None,
            how or f"this kernel has no {name}",
            f"{follows}; the user engine needs none",
            f"use a kernel with CONFIG_{option}, such as Debian's",
        )


def _module() -> Iterator[Finding]:
    loadable = Path("/proc/modules").exists()
    build = Path("/lib/modules", platform.release(), "build")
    loaded = Path("/dev/kronos").exists()
    if loaded:
        fix = ""
    elif not loadable:
        fix = "use a VM whose kernel loads modules (see kernel_module/README.md)"
    elif not build.exists():
        fix = f"apt-get install linux-headers-{platform.release()}, then see kernel_module/README.md"
    else:
        fix = "see kernel_module/README.md"
    yield Finding(
        "kronos.ko",
        loaded,
        "loaded" if loaded else "not loaded" if loadable else "this kernel loads no modules",
        "what the kernel times itself, such as TCP, stays in real time: only the kernel engine has it",
        fix,
        (KERNEL,),
    )


def _self_test() -> Iterator[Finding]:
    """Start the engine: what it depends on really works, or not."""
    if os.geteuid() == 0:
        yield _as_finding("self-test", machine.check_engine, (USER,))


CHECKS = (
    _kernel_version,
    _time_stamp_counter,
    _instruction_counter,
    _tracing,
    _perf_and_bpf,
    _scheduling,
    _network_parts,
    _kernel_parts,
    _module,
    _self_test,
)


# For people


def show(findings: list[Finding]) -> None:
    """Print a table, and a line for each engine."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        colour = {"ok": "green", "note": "yellow", "PROBLEM": "bold red"}[finding.verdict]
        lines = [finding.found]
        if not finding.good:
            lines += [finding.follows] if finding.follows else []
            lines += [f"fix: {finding.fix}"] if finding.fix else []
        table.add_row(f"[{colour}]{finding.verdict}[/]", finding.topic, Text("\n".join(lines)))
    # In a file no text is broken into lines, or filled up with blanks.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)
    with console.capture() as printed:
        console.print(table)
    print("\n".join(line.rstrip() for line in printed.get().splitlines()))
    for engine in ENGINES:
        missing = [f.topic for f in findings if engine in f.needed_by and not f.good]
        print(f"{engine} engine: would {'not run: ' + ', '.join(missing) if missing else 'run'}")
