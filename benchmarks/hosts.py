"""What many hosts cost: busy ones, idle ones, and the memory that the engine has for each."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.runs import MSEC, alternate, native, per_item, real_seconds, start
from benchmarks.table import Figure, seconds
from mininet_kronos.experiment import Experiment

HOSTS = 128
CPUS = 2
TIMESTEP = MSEC


@contextlib.contextmanager
def network(
    commands: list[list[str | Path]], cpus: int = 1, engine: str | None = None
) -> Iterator[Experiment]:
    """Freeze an experiment with a host for each command."""
    processes: list[subprocess.Popen[bytes]] = []
    with Experiment(cpus=cpus, engine=engine) as experiment:
        for number in range(len(commands)):
            experiment.add_host(f"h{number}", counter="cputime")
        experiment.synchronize_and_freeze()
        for number, command in enumerate(commands):
            processes.append(start(experiment, f"h{number}", command))
        experiment.progress(TIMESTEP, 10)  # all are started up
        yield experiment
    for process in processes:
        process.wait()


def _round_seconds(commands: list[list[str | Path]], rounds: int, cpus: int = 1) -> float:
    with network(commands, cpus) as experiment:
        return real_seconds(experiment, TIMESTEP, rounds) / rounds


def _engine_memory(hosts: int) -> float:
    """Return the bytes that the engine alone has, with so many idle hosts."""
    with network([["sleep", "1000000"]] * hosts):
        pids = subprocess.run(["pidof", "kronos-engine"], capture_output=True, text=True).stdout.split()
        rollup = Path("/proc", pids[0], "smaps_rollup").read_text()
    return sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Private"))


def _sleepers(programs: Path) -> Iterator[Figure]:
    """Yield the figures, and what the stops of as many processes that sleep take natively."""
    virtual = 100
    ticker: list[str | Path] = [programs / "ticker"]

    def passed(cpus: int) -> float:
        with network([ticker] * HOSTS, cpus) as experiment:
            return real_seconds(experiment, TIMESTEP, virtual * 1000) / virtual

    one, two, stops = alternate(
        5,
        lambda: passed(1),
        lambda: passed(2),
        lambda: per_item(native, [programs / "sleep_stops", *ticker, str(HOSTS)], HOSTS * virtual) * HOSTS,
    )
    name = f"{HOSTS} idle hosts with a timer of 1 s each"
    for cpus, real in (("1 CPU", one), ("2 CPUs", two)):
        yield Figure(
            f"{name}, {cpus}",
            f"{seconds(real)} a virtual s",
            f"stops {seconds(stops)}",
            1 / real,
            " virtual s/s",
            limit=1000,
            at_least=True,
        )
    yield Figure(f"{name}: the stops alone, native", seconds(stops), "", 1 / stops, " virtual s/s")


def measure(programs: Path) -> Iterator[Figure]:
    """Yield the figures of this subject."""
    busy: list[str | Path] = [programs / "busy"]
    idle: list[str | Path] = ["sleep", "1000000"]

    alone, among = alternate(
        5,
        lambda: _round_seconds([busy], 1000),
        lambda: _round_seconds([busy, *[idle] * (HOSTS - 1)], 1000),
    )
    yield Figure(
        f"rounds per second of {HOSTS} hosts, one busy, 1 ms windows",
        f"{1 / among:,.0f}/s",
        f"alone {1 / alone:,.0f}/s",
        alone / among,
        limit=0.9,
        at_least=True,
    )
    taken = _round_seconds([busy] * HOSTS, 40, CPUS)
    ideal = HOSTS * TIMESTEP / 1e9 / CPUS
    yield Figure(
        f"{HOSTS} busy hosts, 1 ms windows, {CPUS} CPUs",
        f"{seconds(taken)} a round",
        f"ideal {seconds(ideal)}",
        taken / ideal,
        limit=1.15,
    )
    yield from _sleepers(programs)
    extra = (_engine_memory(HOSTS) - _engine_memory(1)) / (HOSTS - 1)
    yield Figure(
        "the engine's memory per idle host", f"{HOSTS} hosts", "1 host", extra / 1024, " KiB", limit=64
    )
