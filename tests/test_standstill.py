"""When virtual time does not move, one line on stderr says who is waited for."""

import re
import sys
import time

import pytest

PREAMBLE = """
import os, signal, socket, struct, subprocess, sys
from mininet_kronos.errors import EngineError
from mininet_kronos.experiment import Experiment
from mininet_kronos.process import await_tracer
from mininet_kronos.records import LinkParams
from mininet_kronos.taps import open_tap
"""

WAITS_FOR_INPUT = """
with Experiment(cpus=int(sys.argv[1])) as experiment:
    for host in "h1", "h2":
        experiment.add_host(host)
    experiment.synchronize_and_freeze()
    process = subprocess.Popen([*experiment.command_prefix("h2"), "cat"], stdin=subprocess.PIPE)
    await_tracer(process, experiment)
    experiment.progress(1_000_000, 10)
    print("status", experiment.host_status("h2").tasks[0], flush=True)
    experiment.progress(1_000_000, 10**9, os.pidfd_open(process.pid))
"""

STUCK_TRACER = """
with Experiment() as experiment:
    experiment.add_host("h1")
    begun, begin = os.pipe()
    child = os.fork()
    if child == 0:  # registers as the tracer does, and then does nothing
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(experiment.socket)
        connection.send(struct.pack("=64siIIId", b"h1", 0, 0, 0, 0, 1.0))
        connection.recv(1 << 16)
        os.write(begin, b"x")
        signal.pause()
        os._exit(0)
    os.read(begun, 1)
    print("child", child)
    experiment.synchronize_and_freeze()
    for _ in range(3):
        experiment.progress(1_000_000, 1000)
    print("now", experiment.now)
os.waitpid(child, 0)
"""

MISSING_TRACER = """
with Experiment(expected_tracers=2) as experiment:
    try:
        experiment.synchronize_and_freeze(7000)
    except EngineError as problem:
        print(problem)
"""

SPINS = """
with Experiment() as experiment:
    experiment.add_host("s1", pace="instant")
    for link in range(int(sys.argv[1])):
        ends = [(open_tap(name), "s1", name) for name in (f"spin{link}a", f"spin{link}b")]
        experiment.add_link(*ends, LinkParams(), LinkParams())
        for tap, _, _ in ends:
            os.close(tap)
    experiment.synchronize_and_freeze()
    loop = [*experiment.command_prefix("s1"), "sh", "-c", "while :; do :; done"]
    await_tracer(subprocess.Popen(loop), experiment)
    print("rounds", experiment.progress(1_000_000, 10))
"""


def test_a_process_that_waits_for_nothing_in_the_network(start_script, cpus):
    script = start_script(sys.executable, "-c", PREAMBLE + WAITS_FOR_INPUT, str(cpus))
    assert "program='cat', state='waiting', call='read', deadline=None" in script.expect("status")
    deadline = time.monotonic() + 60
    while "virtual time" not in (said := script.read()[1]) and time.monotonic() < deadline:
        time.sleep(0.1)
    line = (
        r"kronos: virtual time has stood at 0\.0\d+ s for 5 s of real time, and nothing is due: "
        r"h2: process \d+ \(cat\) waits in read\(\)"
    )
    assert re.search(line, said), said


def test_a_tracer_that_never_begins_its_command(run_python):
    done = run_python(PREAMBLE + STUCK_TRACER)
    said = re.fullmatch(r"child (\d+)\nnow (\d+)\n", done.out)
    assert said, done
    assert f"h1: process {said[1]} has registered and does not begin its command" in done.one_line()
    assert int(said[2]) == 3_000_000_000


def test_a_freeze_that_waits_for_tracers(run_python):
    done = run_python(PREAMBLE + MISSING_TRACER)
    assert "0 of 2 tracers have registered" in done.out
    assert done.one_line() == "kronos: the freeze waits for tracers: 0 of 2 have registered"


@pytest.mark.parametrize("links", [0, 5])
def test_an_instant_process_that_spins(run_python, links):
    """With more links it has longer: a flood over all of them may come in no virtual time."""
    done = run_python(PREAMBLE + SPINS, str(links))
    assert done.out == "rounds 10\n"
    computed = re.search(r"s1 has computed for (\d+) ms in no virtual time", done.one_line())
    assert computed and int(computed[1]) >= 2000 + 100 * links, done.err
