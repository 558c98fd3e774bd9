"""Tasks of a host that wake each other in turn hand over to each other without the engine in between."""

import os
import select
import sys

import pytest

from mininet_kronos.experiment import Experiment
from tests.dilated import cpu_ns, require_bpf_latch, run_alone, run_to_end, start

MS = 1_000_000
HOPS = 4000

# Passes a byte to and fro. In the end the first closes its pipe, and tells what both have used.
PIPES = """
import os, resource, sys, time
hops, work = int(sys.argv[1]) // 2, [int(times) for times in sys.argv[2:4]] or [0, 0]
there, back = os.pipe(), os.pipe()
start, first = time.monotonic(), time.process_time()
second = os.fork()
if second:
    os.close(there[0])
    for i in range(hops):
        sum(range(work[0]))
        os.write(there[1], b"x")
        os.read(back[0], 1)
    os.close(there[1])
    status = os.waitpid(second, 0)[1]
    used = [resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(status, used[0] - first, used[1], time.monotonic() - start)
else:
    os.close(there[1])
    seen = 0
    while byte := os.read(there[0], 1):
        sum(range(work[1]))
        seen += 1
        last = time.monotonic()
        os.write(back[1], byte)
    os._exit(0 if seen == hops and time.monotonic() >= last else 1)
"""

THREADS = """
import sys, threading
hops, turns = int(sys.argv[1]) // 2, [threading.Semaphore(0), threading.Semaphore(0)]
def play(number):
    for i in range(hops):
        turns[number].acquire()
        turns[not number].release()
threads = [threading.Thread(target=play, args=(number,)) for number in (0, 1)]
for thread in threads:
    thread.start()
turns[0].release()
for thread in threads:
    thread.join()
"""


# The second answers all that the first sends. Then the first waits for what does not come.
SOCKETS = """
import ctypes, os, select, socket, struct, sys, time
hops, kind = int(sys.argv[1]) // 2, sys.argv[2]
if kind == "tcp":
    with socket.create_server(("127.0.0.1", 0)) as server:
        first = socket.create_connection(server.getsockname())
        second, _ = server.accept()
    for end in first, second:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
else:
    first, second = socket.socketpair()
pid = os.fork()
ours = first if pid else second
late = []
if kind == "timerfd" and pid:
    libc, period = ctypes.CDLL(None), 5_000_000
    timer = libc.timerfd_create(1, 0)
    due = time.monotonic_ns() + period
    libc.timerfd_settime(timer, 0, struct.pack("4q", 0, period, 0, period), None)
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    poll.register(timer, select.POLLIN)
    def wait():
        global due
        while ours.fileno() not in (ready := dict(poll.poll())):
            late.append(time.monotonic_ns() - due)
            due += period * struct.unpack("Q", os.read(timer, 8))[0]
elif kind == "poll" or kind == "timerfd":
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    wait = poll.poll
elif kind == "epoll":
    epoll = select.epoll()
    epoll.register(ours, select.EPOLLIN)
    wait = epoll.poll
elif kind == "select":
    wait = lambda: select.select([ours], [], [])
else:
    wait = lambda: None
if pid:
    begin = time.monotonic()
    for _ in range(hops):
        ours.send(b"x")
        wait()
        assert ours.recv(9) == b"x"
    middle = time.monotonic()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("2q", 0, 500_000))
    try:
        ours.recv(9)
    except BlockingIOError:
        median = sorted(late)[len(late) // 2] if late else 0
        print(time.monotonic() - middle, middle - begin, len(late), median)
    ours.shutdown(socket.SHUT_RDWR)
    os.waitpid(pid, 0)
else:
    while True:
        wait()
        if not (byte := ours.recv(9)):
            break
        ours.send(byte)
"""


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        (PIPES, []),
        (THREADS, []),
        *((SOCKETS, [kind]) for kind in ("unix", "tcp", "poll", "epoll", "select", "timerfd")),
    ],
    ids=["pipes", "threads", "unix", "tcp", "poll", "epoll", "select", "timerfd"],
)
def test_few_stops_for_many_wakes(program, kind):
    with Experiment() as experiment:
        require_bpf_latch(experiment)
        experiment.add_host("h1", counter="cputime")
        experiment.synchronize_and_freeze()
        process = start(experiment, "h1", sys.executable, "-c", program, str(HOPS), *kind)
        assert run_to_end(experiment, process, 60_000)[1] == 0
        assert experiment.host_stats("h1").slices < HOPS / 2


def test_timeouts_of_another_hosts_sockets_do_not_matter():
    with Experiment() as experiment:
        require_bpf_latch(experiment)
        for host in "h1", "h2":
            experiment.add_host(host, counter="cputime")
        experiment.synchronize_and_freeze()
        for host, hops in ("h2", 1), ("h1", HOPS):
            process = start(experiment, host, sys.executable, "-c", SOCKETS, str(hops), "unix")
            assert run_to_end(experiment, process, 60_000)[1] == 0
        assert experiment.host_stats("h1").slices < HOPS / 2


@pytest.mark.parametrize("work", [(2000, 100), (100, 2000)])
def test_cpu_time_is_theirs(tmp_path, work):
    ended = run_alone([sys.executable, "-c", PIPES, str(HOPS), *map(str, work)], tmp_path)
    status, first, second, elapsed = (float(word) for word in ended.out.split())
    assert (ended.status, status) == (0, 0), ended
    assert first + second == pytest.approx(elapsed, rel=0.1), ended
    assert (first > 2 * second) if work[0] > work[1] else (second > 2 * first), ended


def test_others_do_not_starve():
    with Experiment() as experiment:
        experiment.add_host("h1", counter="cputime")
        experiment.synchronize_and_freeze()
        players = start(experiment, "h1", sys.executable, "-c", PIPES, "100000000")
        busy = start(experiment, "h1", "sh", "-c", "while :; do :; done")
        experiment.progress(MS, 200)  # their starts
        before = cpu_ns(busy)
        experiment.progress(MS, 200)
        share = (cpu_ns(busy) - before) / (200 * MS)
        experiment.kill_host("h1")
    assert share > 0.2
    assert players.wait(60) and busy.wait(60)


def test_nobody_runs_between_windows():
    with Experiment() as experiment:
        experiment.add_host("h1", counter="cputime")
        experiment.synchronize_and_freeze()
        players = start(experiment, "h1", sys.executable, "-c", PIPES, "100000000")
        experiment.progress(MS, 200)
        before = experiment.host_time("h1"), cpu_ns(players)
        select.select([], [], [], 0.1)
        assert (experiment.host_time("h1"), cpu_ns(players)) == before
        experiment.kill_host("h1")
    assert players.wait(60)


# As PIPES, with pipes that somebody outside has as well; in the end nobody else wakes the second.
SHARED = """
import os, sys, time
there, back, out = [tuple(map(int, pair.split(","))) for pair in sys.argv[2:5]]
if os.fork():
    for i in range(int(sys.argv[1]) // 2):
        os.write(there[1], b"x")
        os.read(back[0], 1)
    time.sleep(1000)
for i in range(int(sys.argv[1]) // 2):
    os.read(there[0], 1)
    os.write(back[1], b"x")
os.read(there[0], 1)
os.write(out[1], b"woken")
time.sleep(1000)
"""


def test_whoever_is_woken_from_outside_waits_for_the_next_window():
    pipes = [os.pipe() for _ in range(3)]
    there, _, out = pipes
    with Experiment() as experiment:
        experiment.add_host("h1", counter="cputime")
        experiment.synchronize_and_freeze()
        process = start(
            experiment,
            "h1",
            *(sys.executable, "-c", SHARED, str(HOPS), *(f"{end},{other}" for end, other in pipes)),
            pass_fds=[end for pipe in pipes for end in pipe],
        )
        experiment.progress(MS, 5000)
        os.write(there[1], b"x")
        assert not select.select([out[0]], [], [], 0.1)[0]
        assert experiment.progress(MS, 1000, out[0]) < 1000
        assert os.read(out[0], 5) == b"woken"
        experiment.kill_host("h1")
    assert process.wait(60)
    for end in [end for pipe in pipes for end in pipe]:
        os.close(end)


# A timer's signals come when they are due, however busy the pipe is.
SIGNALS = PIPES.replace(
    "start, first",
    """
import signal
late = []
def tick(number, frame):
    global due
    late.append(time.monotonic() - due)
    due += 0.005
due = time.monotonic() + 0.005
signal.signal(signal.SIGALRM, tick)
signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
start, first""",
    1,
).replace(
    "    print(",
    "    signal.setitimer(signal.ITIMER_REAL, 0)\n    print(len(late), sorted(late)[len(late) // 2], ",
)


def test_timers_are_in_time(tmp_path):
    ended = run_alone([sys.executable, "-c", SIGNALS, str(10 * HOPS)], tmp_path)
    ticks, late, status, _, _, elapsed = (float(word) for word in ended.out.split())
    assert (ended.status, status) == (0, 0), ended
    assert ticks > elapsed / 0.005 / 2, ended  # on a loaded machine two may come as one
    assert late < 0.005, ended


@pytest.mark.parametrize("kind", ["unix", "tcp", "epoll", "timerfd"])
def test_timeouts_of_sockets_and_timerfds_are_in_time(tmp_path, kind):
    ended = run_alone([sys.executable, "-c", SOCKETS, str(5 * HOPS), kind], tmp_path)
    assert ended.status == 0, ended
    timeout, played, ticks, late = (float(word) for word in ended.out.split())
    assert timeout == pytest.approx(0.5, abs=0.05), ended
    if kind == "timerfd":
        assert ticks > played / 0.005 / 2, ended  # on a loaded machine two may come as one
        assert late < 5_000_000, ended
