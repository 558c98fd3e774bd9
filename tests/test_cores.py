"""Hosts with several virtual CPUs: how much work each of their tasks gets done in a time."""

import sys

import pytest

from mininet_kronos.errors import ParameterError
from mininet_kronos.experiment import Experiment
from tests.dilated import cpu_ns, start

MS = 1_000_000
ROUNDS = 100
SPIN = ("sh", "-c", "while :; do :; done")

FORKS = ("sh", "-c", "while :; do /bin/true; done")

# Two processes that wait for each other all the time.
PAIR = """
import os
there, back = os.pipe(), os.pipe()
os.write(there[1], b"x")
read, write = (there[0], back[1]) if os.fork() else (back[0], there[1])
while byte := os.read(read, 1):
    os.write(write, byte)
"""


def cpu_times(*commands, cores=1, starts=20, timestep=MS, rounds=ROUNDS):
    """Return the CPU time that each command has in so many rounds, together in one host, in ns."""
    with Experiment() as experiment:
        experiment.add_host("h1", cores=cores, counter="cputime")
        experiment.synchronize_and_freeze()
        processes = [start(experiment, "h1", *command) for command in commands]
        experiment.progress(MS, starts)
        before = [cpu_ns(process) for process in processes]
        experiment.progress(timestep, rounds)
        return [cpu_ns(process) - ns for process, ns in zip(processes, before)]


@pytest.mark.parametrize(
    ("cores", "loops", "share"), [(1, 2, 1 / 2), (2, 1, 1), (2, 2, 1), (2, 3, 2 / 3), (4, 3, 1)]
)
def test_tasks_share_the_cores(cores, loops, share):
    used = cpu_times(*[SPIN] * loops, cores=cores)
    assert used == pytest.approx([share * ROUNDS * MS] * loops, rel=0.2)


def test_tasks_that_wait_for_each_other_get_as_much_as_one_that_never_waits():
    spin, first = cpu_times(SPIN, (sys.executable, "-c", PAIR), starts=500, rounds=3 * ROUNDS)
    assert spin == pytest.approx(ROUNDS * MS, rel=0.2)
    assert first > 0


def test_a_task_that_computes_does_not_starve_beside_many_that_are_short():
    spin, _ = cpu_times(SPIN, FORKS, rounds=5 * ROUNDS)
    assert 0.25 < spin / (5 * ROUNDS * MS) < 0.75


def test_tasks_of_a_host_take_turns_within_a_long_round():
    used = cpu_times(SPIN, SPIN, timestep=2 * ROUNDS * MS, rounds=1)
    assert used == pytest.approx([ROUNDS * MS] * 2, rel=0.2)


@pytest.mark.parametrize("cores", [0, -1, 1.5, 5000, "two"])
def test_wrong_numbers_of_cores(cores):
    with Experiment() as experiment, pytest.raises(ParameterError, match="cores must be 1 to 1024"):
        experiment.add_host("h1", cores=cores)
