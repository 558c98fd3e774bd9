"""Many processes, many hosts, many forks, sudden deaths: nothing hangs, and time stays right."""

import os
import subprocess
import sys

from mininet_kronos.experiment import Experiment
from mininet_kronos.process import await_tracer
from tests.dilated import TIMESTEP, run_alone

HOSTS = 128
SLEEPERS = 8  # in each host

KILLER = """
import os, random, signal, time
rng = random.Random(1)
for _ in range(100):
    pid = os.fork()
    if not pid:
        if rng.random() < 0.5:
            os.execvp("sh", ["sh", "-c", "sleep 1 & sleep 2 & wait"])
        while True:
            if not os.fork():
                os._exit(0)
            os.wait()
    time.sleep(rng.random() / 100)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
print("survived")
"""


def test_a_thousand_processes_on_many_hosts():
    script = f"i=0; while [ $i -lt {SLEEPERS} ]; do sleep 1 & i=$((i+1)); done; wait"
    with Experiment() as experiment:
        names = [f"h{i}" for i in range(HOSTS)]
        for name in names:
            experiment.add_host(name, counter="free")
        experiment.synchronize_and_freeze()
        start = experiment.now
        processes = []
        for name in names:
            process = subprocess.Popen([*experiment.command_prefix(name), "sh", "-c", script])
            await_tracer(process, experiment)
            processes.append(process)
        experiment.progress(TIMESTEP, 500)
        assert experiment.stats().tasks >= HOSTS * SLEEPERS
        for process in processes:
            pidfd = os.pidfd_open(process.pid)
            experiment.progress(TIMESTEP, 5_000, pidfd)
            os.close(pidfd)
            assert process.poll() == 0
        assert 1_000_000_000 <= experiment.now - start < 1_100_000_000


def test_processes_that_die_at_any_moment(tmp_path):
    ended = run_alone([sys.executable, "-c", KILLER], tmp_path)
    assert (ended.status, ended.out) == (0, "survived\n"), ended
