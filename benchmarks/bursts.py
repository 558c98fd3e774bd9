"""What a burst costs beyond its budget, and whether a host gets the work that it pays for."""

import mmap
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.runs import alternate, last_cpu, real_seconds, start
from benchmarks.table import Figure
from mininet_kronos.experiment import Experiment

USEC = 1_000
BUDGET = 100 * USEC
ROUNDS = 5_000
KRONOS_OVERHEAD = 180  # us, Kronos (PADS 2020), burst cost


class _Counter:
    """The page in which programs/busy counts its work."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "counter"
        with self.path.open("wb+") as file:
            file.truncate(mmap.PAGESIZE)
            self.page = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def __int__(self) -> int:
        return int(struct.unpack_from("Q", self.page)[0])


def _native_rate(programs: Path) -> float:
    """Return the work per ns of CPU time of a busy program."""
    counter = _Counter(programs)
    pid = os.posix_spawn(
        "/usr/bin/taskset",
        ["taskset", "-c", str(last_cpu()), str(programs / "busy"), str(counter.path)],
        os.environ,
    )
    try:
        clock = (~pid << 3) | 2  # as clock_getcpuclockid() makes it
        time.sleep(0.1)
        work, used = int(counter), time.clock_gettime_ns(clock)
        time.sleep(0.5)
        return (int(counter) - work) / (time.clock_gettime_ns(clock) - used)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _bursts(programs: Path, rates: list[float]) -> float:
    """Return the real ns of a round in which one host computes for its whole budget."""
    counter = _Counter(programs)
    with Experiment() as experiment:
        experiment.add_host("h1", counter="cputime")
        experiment.synchronize_and_freeze()
        process = start(experiment, "h1", [programs / "busy", counter.path])
        experiment.progress(BUDGET, 100)
        work = int(counter)
        seconds = real_seconds(experiment, BUDGET, ROUNDS)
        rates.append((int(counter) - work) / (ROUNDS * BUDGET))
    process.wait()
    return seconds * 1e9 / ROUNDS


def measure(programs: Path) -> Iterator[Figure]:
    """Yield the figures of this subject."""
    rates: list[float] = []
    rate, taken = alternate(5, lambda: _native_rate(programs), lambda: _bursts(programs, rates))
    yield Figure(
        "burst of 100 us, beyond its budget",
        f"{taken / USEC:.1f} us a round",
        f"Kronos {KRONOS_OVERHEAD} us",
        (taken - BUDGET) / USEC,
        " us",
        limit=20,
    )
    share = sorted(rates)[len(rates) // 2] / rate
    yield Figure("work of a burst of 100 us", "per virtual ns", "native, per ns of CPU time", share)
