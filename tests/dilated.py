"""A command in a host with a network of its own, in virtual time, without Mininet."""

import dataclasses
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mininet_kronos.experiment import Experiment
from mininet_kronos.process import await_tracer

TIMESTEP = 1_000_000

# As a host of Mininet: a network namespace with nothing but its own loopback.
OWN_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


@dataclasses.dataclass(frozen=True)
class Ended:
    """What became of a command."""

    status: int | None  # None: it still ran after all the rounds that it was given
    out: str  # and what it wrote to stderr
    seconds: float  # of virtual time that it took

    def __str__(self) -> str:
        return f"status {self.status} after {self.seconds} virtual seconds:\n{self.out}"


def start(experiment: Experiment, host: str, *command: str | Path, **params: Any) -> Any:
    """Start a command in a host; it stands under the engine then, if the experiment is frozen."""
    process = subprocess.Popen([*experiment.command_prefix(host), *command], **params)
    if experiment.frozen:
        await_tracer(process, experiment)
    return process


def run_to_end(
    experiment: Experiment, process: subprocess.Popen[Any], rounds: int = 100_000
) -> tuple[int, int | None]:
    """Run rounds until a process has ended; return how many, and its status (None: it still runs)."""
    pidfd = os.pidfd_open(process.pid)
    done = experiment.progress(TIMESTEP, rounds, pidfd)
    os.close(pidfd)
    return done, process.poll()


def require_bpf_latch(experiment: Experiment) -> None:
    """Skip the test where this kernel has no latch with BPF."""
    if "latch with BPF" not in experiment.mechanisms:
        pytest.skip(f"this kernel has no latch with BPF: {experiment.mechanisms}")


def cpu_ns(process: subprocess.Popen[Any]) -> int:
    """Return the real CPU time that a process has had, in ns."""
    return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0])


def children(pid: int) -> list[int]:
    """Return the pids of a process' children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def engines() -> list[int]:
    """Return the pids of the workers of this process' engine, the first one first."""
    names = "kronos-engine\n", "kronos-kernel-e\n"
    (first,) = (pid for pid in children(os.getpid()) if Path(f"/proc/{pid}/comm").read_text() in names)
    return [first, *children(first)]


def engine_memory(kind: str) -> int:
    """Return what all workers have of a kind of memory, as /proc/PID/status names it, in KiB."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in engines()]
    return sum(int(status.split(f"\n{kind}:")[1].split()[0]) for status in statuses)


def run_until_end(
    experiment: Experiment,
    host: str,
    command: Sequence[str | Path],
    path: Path,
    seconds: float,
    repeatable: bool = False,
    **params: Any,
) -> Ended:
    """Run a command in a host with a network of its own, to its end or for so many virtual seconds.

    repeatable: each run has the same addresses and environment.
    """
    start = experiment.now
    own = [*OWN_NETWORK]
    if repeatable:
        own = ["setarch", "-R", *own]
        params["env"] = {"PATH": os.environ["PATH"]}
    with path.open("wb") as output:
        process = subprocess.Popen(
            [*own, *experiment.command_prefix(host), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **params,
        )
    await_tracer(process, experiment)
    pidfd = os.pidfd_open(process.pid)
    try:
        experiment.progress(TIMESTEP, round(seconds * 1e9) // TIMESTEP, pidfd)
    finally:
        os.close(pidfd)
    return Ended(process.poll(), path.read_text(errors="replace"), (experiment.now - start) / 1e9)


def run_alone(
    command: Sequence[str | Path],
    directory: Path,
    seconds: float = 60,
    counter: str = "cputime",
    **params: Any,
) -> Ended:
    """Run a command in an experiment with one host, h1."""
    with Experiment() as experiment:
        experiment.add_host("h1", counter=counter)
        experiment.synchronize_and_freeze()
        return run_until_end(experiment, "h1", command, directory / "out", seconds, cwd=directory, **params)
