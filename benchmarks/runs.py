"""How benchmarks run commands: natively on one CPU, and dilated in an experiment."""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mininet_kronos.experiment import Experiment
from mininet_kronos.process import await_tracer

MSEC = 1_000_000
FOREVER = 10**12  # rounds
PROGRAMS = Path(__file__).parent / "programs"
Command = Sequence[str | Path]


@contextlib.contextmanager
def programs() -> Iterator[Path]:
    """Build the programs; yield the directory that has them."""
    with tempfile.TemporaryDirectory(prefix="kronos-bench-") as directory:
        subprocess.run(["make", "-s", "-C", PROGRAMS, f"BUILD={directory}"], check=True)
        yield Path(directory)


def last_cpu() -> int:
    """Return the CPU that an engine takes."""
    return max(os.sched_getaffinity(0))


def native(command: Command) -> float:
    """Run a command on one CPU, at the priority of dilated ones; return the seconds that it took."""
    pin = ["taskset", "-c", str(last_cpu()), "chrt", "--fifo", "10"]
    start = time.perf_counter()
    subprocess.run([*pin, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def start(experiment: Experiment, host: str, command: Command) -> subprocess.Popen[bytes]:
    """Start a command in a host; it waits at its exec for time to go on."""
    process = subprocess.Popen(
        [*experiment.command_prefix(host), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    await_tracer(process, experiment)
    return process


def dilated(command: Command, timestep: int = MSEC) -> float:
    """Run a command in a host to its end; return the real seconds that it took."""
    with Experiment() as experiment:
        experiment.add_host("h1", counter="cputime")
        experiment.synchronize_and_freeze()
        process = start(experiment, "h1", command)
        pidfd = os.pidfd_open(process.pid)
        try:
            begin = experiment.real_time
            experiment.progress(timestep, FOREVER, pidfd)
            seconds = (experiment.real_time - begin) / 1e9
        finally:
            os.close(pidfd)
        if process.wait():
            sys.exit(f"{command[0]} has failed with status {process.returncode}")
    return seconds


def real_seconds(experiment: Experiment, timestep: int, rounds: int) -> float:
    """Run rounds; return the real seconds that they took."""
    begin = experiment.real_time
    experiment.progress(timestep, rounds)
    return (experiment.real_time - begin) / 1e9


def alternate(repetitions: int, *measures: Callable[[], float]) -> list[float]:
    """Call each in turn, repeatedly, so that all meet the same machine; return their medians."""
    values = [[measure() for measure in measures] for _ in range(repetitions)]
    return [statistics.median(column) for column in zip(*values, strict=True)]


def per_item(run: Callable[[Command], float], command: Command, count: int, *options: str) -> float:
    """Return the seconds of one repetition of `command COUNT`, less what a run takes that does nothing."""
    return (run([*command, str(count), *options]) - run([*command, "0", *options])) / count


def repeated(command: Command, count: int, *, repetitions: int = 5) -> tuple[float, float]:
    """Return the seconds of one repetition of `command COUNT`, native and dilated."""
    medians = alternate(
        repetitions,
        lambda: per_item(native, command, count),
        lambda: per_item(dilated, command, count),
    )
    return medians[0], medians[1]
