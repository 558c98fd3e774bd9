"""Many processes, hosts, forks, timers and rounds, sudden deaths: nothing hangs, and time stays right.

`make stress` makes them many more (KRONOS_STRESS=1).
"""

import os
import random
import signal
import subprocess
import sys
import threading

from mininet_kronos.experiment import Experiment
from mininet_kronos.process import await_tracer
from tests.dilated import TIMESTEP, engine_memory, run_alone

LONG = "KRONOS_STRESS" in os.environ
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


TREE = """
import os, sys
def tree(depth):
    for _ in range(2 if depth else 0):
        if not os.fork():
            tree(depth - 1)
            os._exit(0)
    for _ in range(2 if depth else 0):
        assert os.wait()[1] == 0
tree(int(sys.argv[1]))
print("all ended")
"""

# Half of them periodic, of which nobody takes the expiries until the end.
TIMERS = """
import ctypes, os, resource, signal, struct, sys, threading, time
count, threads = int(sys.argv[1]), int(sys.argv[2])
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
libc = ctypes.CDLL(None, use_errno=True)
def value(period):
    return struct.pack("qqqq", 0, period, 0, 400_000_000)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
for i in range(count // 2):
    timer = ctypes.c_void_p()
    event = struct.pack("qii48x", i, signal.SIGRTMIN, 0)
    assert not libc.timer_create(time.CLOCK_MONOTONIC, event, ctypes.byref(timer))
    assert not libc.timer_settime(timer, 0, value(0), None)
descriptors = [libc.timerfd_create(time.CLOCK_MONOTONIC, 0) for _ in range(count // 2)]
for i, fd in enumerate(descriptors):
    assert fd >= 0
    assert not libc.timerfd_settime(fd, 0, value(200_000_000 if i % 2 else 0), None)
sleepers = [threading.Thread(target=time.sleep, args=(0.5,)) for _ in range(threads)]
threading.stack_size(65536)
for sleeper in sleepers:
    sleeper.start()
for sleeper in sleepers:
    sleeper.join()
time.sleep(0.5)
taken = 0
while signal.sigtimedwait([signal.SIGRTMIN], 0):
    taken += 1
assert taken == count // 2, taken
for i, fd in enumerate(descriptors):
    ticks = struct.unpack("q", os.read(fd, 8))[0]
    assert ticks >= 3 if i % 2 else ticks == 1, (i, ticks)
print("all expired")
"""


def test_a_tree_that_forks_as_fast_as_it_can(tmp_path):
    ended = run_alone([sys.executable, "-c", TREE, "11" if LONG else "6"], tmp_path)
    assert (ended.status, ended.out) == (0, "all ended\n"), ended


def test_many_open_timers(tmp_path):
    counts = ("10000", "1000") if LONG else ("500", "50")
    ended = run_alone([sys.executable, "-c", TIMERS, *counts], tmp_path, counter="free")
    assert (ended.status, ended.out) == (0, "all expired\n"), ended


# Some end by themselves and some are killed at the same moment, so that signals tell of several ends at once.
ENDS = """
import os, signal, time
start = time.monotonic()
for turn in range(20):
    end = time.monotonic() + 0.01
    children = []
    for i in range(10):
        pid = os.fork()
        if not pid:
            if i % 2:
                signal.pause()
            time.sleep(max(end - time.monotonic(), 0))
            os._exit(0)
        children.append(pid)
    time.sleep(max(end - time.monotonic(), 0))
    for pid in children[1::2]:
        os.kill(pid, signal.SIGKILL)
    for pid in children:
        os.waitpid(pid, 0)
print(round(time.monotonic() - start, 2))
"""


def test_ends_at_the_same_moment(tmp_path):
    ended = run_alone([sys.executable, "-c", ENDS], tmp_path, counter="free")
    assert (ended.status, ended.out) == (0, "0.2\n"), ended


# What a tracee does when it is killed: it computes, sleeps (parked), waits in the kernel, forks, executes,
# begins threads.
VICTIMS = [
    "while :; do :; done",
    "while :; do sleep 0.001; done",
    "sleep 1000 & read x <&0 & wait",
    "while :; do (exit 0) & wait; done",
    """export SELF='exec sh -c "$SELF"'; eval "$SELF" """,
    f"exec {sys.executable} -c 'import threading\nwhile True: threading.Thread(target=int).start()'",
]


def test_processes_killed_from_outside(tmp_path):
    rng = random.Random(1)
    with Experiment() as experiment:
        experiment.add_host("h1")
        experiment.synchronize_and_freeze()
        for turn in range(600 if LONG else 24):
            process = subprocess.Popen(
                [*experiment.command_prefix("h1"), "sh", "-c", VICTIMS[turn % len(VICTIMS)]],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            await_tracer(process, experiment)
            experiment.progress(TIMESTEP, 3)
            delay = rng.random() / 100
            killer = threading.Timer(delay, os.killpg, (process.pid, signal.SIGKILL))
            killer.start()
            while killer.is_alive():
                experiment.progress(TIMESTEP // 10, 10)
            killer.join()
            experiment.progress(TIMESTEP, 50)
            assert process.wait() == -signal.SIGKILL
        experiment.progress(TIMESTEP, 50)
        assert experiment.stats().tasks == 0


def test_memory_does_not_grow_with_rounds():
    rounds = [1, 2, 5, 10] if LONG else [1, 2]
    unit = 1_000_000 if LONG else 5_000
    with Experiment() as experiment:
        experiment.add_host("h1", counter="free")
        experiment.synchronize_and_freeze()
        sleeper = "import time\nwhile True: time.sleep(0.001)"
        process = subprocess.Popen([*experiment.command_prefix("h1"), sys.executable, "-c", sleeper])
        await_tracer(process, experiment)
        done = experiment.progress(TIMESTEP, 1000)
        found = []
        for count in rounds:
            done += experiment.progress(TIMESTEP, count * unit - done)
            found.append(engine_memory("RssAnon"))  # its program's own pages come as they are needed
            print(f"{done} rounds: {found[-1]} KiB")
        process.kill()
        experiment.progress(TIMESTEP, 50)
        process.wait()
    assert found[-1] - found[0] <= 64, found
