"""What both engines need for the same script, side by side on a machine with the kernel module.

usage: python -m benchmarks.engines [--repetitions N]      (make vm-bench)

Real time, as the module tells it: while the kernel engine runs, the machine's own clocks stand.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.hosts import network
from benchmarks.runs import MSEC, alternate, programs, real_seconds
from benchmarks.table import Figure, print_table, seconds

ENGINES = "user", "kernel"
HOSTS = 32
START = 100  # rounds until all have begun, also where instructions are emulated


def hosts(commands: list[list[str | Path]], timestep: int, rounds: int, engine: str) -> float:
    """Return the real seconds that so many rounds of a host for each command take."""
    with network(commands, engine=engine) as experiment:
        experiment.progress(MSEC, START)
        taken = real_seconds(experiment, timestep, rounds)
        if (left := experiment.stats().tasks) < len(commands):
            raise RuntimeError(f"{engine} engine: {left} of {len(commands)} programs are left")
    return taken


def subjects(directory: Path) -> Iterator[tuple[str, Callable[[str], float]]]:
    """Yield what is measured: a name, and a function that takes an engine."""
    ticker: list[str | Path] = [directory / "ticker"]
    busy: list[str | Path] = [directory / "busy"]
    idle: list[str | Path] = ["sleep", "1000000"]
    yield f"{HOSTS} hosts with a timer of 1 s each, 100 s", partial(hosts, [ticker] * HOSTS, MSEC, 100_000)
    yield f"{HOSTS} hosts, one busy, 1 s", partial(hosts, [busy, *[idle] * (HOSTS - 1)], MSEC, 1000)
    yield "4 busy hosts, rounds of 100 us, 100 ms", partial(hosts, [busy] * 4, MSEC // 10, 1000)


def figures(repetitions: int) -> Iterator[Figure]:
    """Yield a row for each subject."""
    with programs() as directory:
        for name, run in subjects(directory):
            user, kernel = alternate(repetitions, *(partial(run, engine) for engine in ENGINES))
            print(f"figure {name}: user {seconds(user)}, kernel {seconds(kernel)}", flush=True)
            yield Figure(name, f"kernel {seconds(kernel)}", f"user {seconds(user)}", user / kernel)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The user engine's real time, against the kernel engine's.")
    parser.add_argument("--repetitions", type=int, default=3)
    print_table(list(figures(parser.parse_args().repetitions)))


if __name__ == "__main__":
    main()
