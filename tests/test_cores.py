"""Hosts with several virtual CPUs: how much work each of their tasks gets done in a time."""

import pytest

from mininet_kronos.errors import ParameterError
from mininet_kronos.experiment import Experiment
from tests.dilated import cpu_ns, start

MS = 1_000_000
ROUNDS = 100
SPIN = ("sh", "-c", "while :; do :; done")


@pytest.mark.parametrize(
    ("cores", "loops", "share"), [(1, 2, 1 / 2), (2, 1, 1), (2, 2, 1), (2, 3, 2 / 3), (4, 3, 1)]
)
def test_tasks_share_the_cores(cores, loops, share):
    with Experiment() as experiment:
        experiment.add_host("h1", cores=cores, counter="cputime")
        experiment.synchronize_and_freeze()
        processes = [start(experiment, "h1", *SPIN) for _ in range(loops)]
        experiment.progress(MS, 20)  # their starts
        before = [cpu_ns(process) for process in processes]
        experiment.progress(MS, ROUNDS)
        used = [(cpu_ns(process) - ns) / (ROUNDS * MS) for process, ns in zip(processes, before)]
    assert used == pytest.approx([share] * loops, rel=0.2)


@pytest.mark.parametrize("cores", [0, -1, 1.5, 5000, "two"])
def test_wrong_numbers_of_cores(cores):
    with Experiment() as experiment, pytest.raises(ParameterError, match="cores must be 1 to 1024"):
        experiment.add_host("h1", cores=cores)
