"""Computation that is charged by counted instructions, which this machine's tests count by stepping."""

import subprocess
from pathlib import Path

import pytest

from mininet_kronos.errors import EngineError
from mininet_kronos.experiment import Experiment
from mininet_kronos.libkronos import native_path
from tests.dilated import run_until_end

SOURCE = Path(__file__).parent / "counted.c"
SPEED = 0.1  # instructions per ns
LOOP, REPEAT = 4000, 0  # instructions of the parts of counted.c that are known


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    program = tmp_path_factory.mktemp("counted") / "counted"
    command = ["gcc", "-O1", "-static", "-o", program, SOURCE, "-lpthread"]
    subprocess.run(command, check=True, timeout=60)
    return program


def run(command, directory, **params):
    """Run it where its addresses are always the same; return what it wrote and the host's clock."""
    with Experiment() as experiment:
        experiment.add_host("h1", counter="instructions", cpu_speed=SPEED, **params)
        experiment.synchronize_and_freeze()
        ended = run_until_end(experiment, "h1", command, directory / "out", 1, repeatable=True)
        assert ended.status == 0, ended
        return ended.out, experiment.host_time("h1")


@pytest.mark.parametrize("params", [{}, {"cores": 2}], ids=["one core", "two cores"])
def test_runs_are_equal_to_the_instruction(counted, tmp_path, monkeypatch, params):
    results = []
    for source in ("step", "step:700", "step:5000"):
        monkeypatch.setenv("KRONOS_COUNTER", source)
        results.append(run([counted], tmp_path, **params))
    assert results[0] == results[1] == results[2]
    times = dict(line.split(" ", 1) for line in results[0][0].splitlines())
    assert int(times["loop"]) == LOOP / SPEED
    assert int(times["repeat"]) == REPEAT
    assert int(times["sleep"]) >= 5_000_000
    assert int(times["alarms"].split()[1]) >= 1
    assert int(times["threads"]) >= (1 if params else 2) * LOOP / SPEED
    assert int(times["processes"]) >= (1 if params else 2) * LOOP / SPEED


def test_a_shell_is_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("KRONOS_COUNTER", "step")
    command = ["/bin/sh", "-c", "(exit 3) || echo $(echo $?) | { read x; echo $x; }"]
    first, second = (run(command, tmp_path) for _ in range(2))
    assert first == second
    assert first[0] == "3\n"


def test_a_tracer_counts(monkeypatch, tmp_path):
    monkeypatch.setenv("KRONOS_COUNTER", "step")
    with Experiment(expected_tracers=1) as experiment:
        options = ["--socket", experiment.socket, "-r", "1", "-n", "instructions"]
        tracer = subprocess.Popen([native_path("tracer"), *options, "-c", "exit 3"])
        experiment.synchronize_and_freeze()
        experiment.progress(1_000_000, 1000)
        assert tracer.wait(60) == 3


def test_what_cannot_be_counted_is_refused(monkeypatch):
    monkeypatch.delenv("KRONOS_COUNTER", raising=False)
    with Experiment() as experiment, pytest.raises(EngineError, match=r"no working instruction counter.*fix"):
        experiment.add_host("h1", counter="instructions")
