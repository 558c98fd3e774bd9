"""An engine on several CPUs: one worker process each, the same results as on one."""

import os
import signal
import subprocess

import pytest

from mininet_kronos.errors import EngineError, ParameterError
from mininet_kronos.experiment import Experiment
from mininet_kronos.libkronos import native_path
from tests.conftest import Pair, ping, warm_up
from tests.dilated import cpu_ns, engines, start

MS = 1_000_000
TRACER = str(native_path("tracer"))
TOO_MANY = len(os.sched_getaffinity(0)) + 1
SPIN = ("/usr/bin/python3", "-S", "-c", "while True: pass")

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this machine has one CPU only")


def test_each_worker_has_a_cpu_and_every_host_its_share():
    with Experiment(cpus=2) as experiment:
        for index in range(4):
            experiment.add_host(f"h{index}")
        experiment.synchronize_and_freeze()
        loops = [start(experiment, f"h{index}", *SPIN) for index in range(4)]
        assert experiment.progress(MS, 1) == 1  # from then on all of them are pinned
        affinities = [os.sched_getaffinity(loop.pid) for loop in loops]
        assert len(set.union(*affinities)) == 2 and all(len(cpus) == 1 for cpus in affinities)
        assert {frozenset(os.sched_getaffinity(pid)) for pid in engines()} == set(map(frozenset, affinities))
        before = [cpu_ns(loop) for loop in loops]
        assert experiment.progress(MS, 100) == 100
        assert {experiment.host_time(f"h{index}") for index in range(4)} == {101 * MS}
        used = [cpu_ns(loop) - ns for loop, ns in zip(loops, before)]
        assert all(70 * MS < ns < 130 * MS for ns in used), used


def test_an_idle_network_costs_nothing_on_any_cpu():
    with Experiment(cpus=2) as experiment:
        for index in range(4):
            experiment.add_host(f"h{index}")
        experiment.synchronize_and_freeze()
        sleeps = [start(experiment, f"h{index}", "sleep", "100") for index in range(4)]
        experiment.progress(MS, 99_900)
        assert [sleep.poll() for sleep in sleeps] == [None] * 4
        assert experiment.stats().rounds_skipped > 99_000
        experiment.progress(MS, 1000)
        assert [sleep.wait(60) for sleep in sleeps] == [0] * 4


ECHO = """
import os, sys, time
mine, other = (os.open(path, os.O_RDWR) for path in sys.argv[1:])
start = time.monotonic()
for _ in range(20):
    os.write(other, b".")
    os.read(mine, 1)
print(time.monotonic() - start)
"""


def test_pipes_between_hosts_wake_at_once_on_any_cpu(tmp_path):
    ends = [tmp_path / "a", tmp_path / "b"]
    for end in ends:
        os.mkfifo(end)
    with Experiment(cpus=2) as experiment:
        for host in ("h1", "h2"):
            experiment.add_host(host)
        experiment.synchronize_and_freeze()
        echoes = [
            start(experiment, host, "/usr/bin/python3", "-S", "-c", ECHO, *paths, stdout=subprocess.PIPE)
            for host, paths in (("h1", ends), ("h2", ends[::-1]))
        ]
        experiment.progress(MS, 10_000)  # far more than they need
        seconds = [float(echo.communicate()[0]) for echo in echoes if echo.poll() == 0]
    assert len(seconds) == 2 and max(seconds) < 0.2, seconds


def test_the_number_of_cpus_changes_no_result(make_net, cpus):
    """The same ping, to the last digit, with the host on another CPU than the switches."""
    net = make_net(
        Pair(host={"counter": "free"}, loss=5, jitter="1ms"), seed=7, epoch=1e9, autoStaticArp=True, cpus=cpus
    )
    warm_up(net["h1"], net["h2"])
    result, text = ping(net["h1"], net["h2"], 20)
    results.setdefault("ping", text)
    assert text == results["ping"]
    assert 0 < result.received < 20


results: dict[str, str] = {}


def test_standalone_tracers_are_spread():
    with Experiment(cpus=2, expected_tracers=2) as experiment:
        commands = [
            [TRACER, "--socket", experiment.socket, "-c", f"sleep {tracer}; exit {tracer}", "-r", "1"]
            for tracer in (1, 2)
        ]
        tracers = [subprocess.Popen(command) for command in commands]
        assert experiment.synchronize_and_freeze() == 2
        assert len({frozenset(os.sched_getaffinity(tracer.pid)) for tracer in tracers}) == 2
        experiment.progress(MS, 1500)
        assert sorted(str(tracer.poll()) for tracer in tracers) == ["1", "None"]
        experiment.progress(MS, 1000)
        assert sorted(tracer.wait(60) for tracer in tracers) == [1, 2]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_worker_takes_the_others_with_it(victim):
    experiment = Experiment(cpus=2)
    experiment.initialize()
    experiment.add_host("h1")
    experiment.add_host("h2")
    experiment.synchronize_and_freeze()
    processes = [start(experiment, "h1", *SPIN), start(experiment, "h2", *SPIN)]
    workers = engines()
    experiment.progress(MS, 5)
    os.kill(workers[victim], signal.SIGKILL)
    with pytest.raises(EngineError, match="engine has ended unexpectedly"):
        experiment.progress(MS, 10**9)
    assert [process.wait(60) for process in processes] == [-signal.SIGKILL] * 2
    experiment.stop()


@pytest.mark.parametrize(
    ("parameters", "error", "said"),
    [
        ({"cpus": 0}, ParameterError, "cpus must be at least 1"),
        ({"cpus": TOO_MANY}, EngineError, f"{TOO_MANY} CPUs are asked for|at most 64"),
        ({"cpus": 1000}, EngineError, "cpus must be at most 64"),
        ({"cpus": None}, ParameterError, r"\$KRONOS_CPUS must be a whole number, not 'two'"),
        ({"cpus": 2, "cpu": 0}, EngineError, "1 if cpu is given"),
    ],
)
def test_cpus_that_cannot_be_given(parameters, error, said, monkeypatch):
    monkeypatch.setenv("KRONOS_CPUS", "two")
    with pytest.raises(error, match=said):
        Experiment(**parameters).initialize()
