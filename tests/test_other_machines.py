"""Machines that lack something: the engine does without it, or says in one line what is missing."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A seccomp filter refuses one call, as a container, an older kernel or a security module would.
SCRIPT = """
import ctypes, json, resource, struct, subprocess, sys
from mininet_kronos.errors import EngineError
from mininet_kronos.experiment import Experiment

call, error, files, processes, host = json.loads(sys.argv[1])
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
code = (
    struct.pack("HBBI", 0x20, 0, 0, 0)  # the number of the call
    + struct.pack("HBBI", 0x15, 0, 1, call)
    + struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | error)
    + struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
if error and ctypes.CDLL(None).prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(program)):
    sys.exit("no seccomp filter")
if files:
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
experiment = Experiment()
try:
    experiment.initialize()
    experiment.add_host("h1", **host)
except EngineError as problem:
    sys.exit(str(problem))
with_prefix = experiment.command_prefix("h1")
experiment.synchronize_and_freeze()
command = [*with_prefix, sys.executable, "-S", "-c", "import time; time.sleep(0.5)"]
sleepers = [subprocess.Popen(command) for _ in range(processes)]
while any(sleeper.poll() is None and not experiment.has_joined(sleeper.pid) for sleeper in sleepers):
    pass
experiment.progress(1_000_000, 100_000)
print(json.dumps([experiment.mechanisms, sorted({sleeper.wait(60) for sleeper in sleepers})]))
experiment.stop()
"""
BPF, CLOSE_RANGE, PERF_EVENT_OPEN, PTRACE = 321, 436, 298, 101
SCHED_SETSCHEDULER, SECCOMP, UNSHARE = 144, 317, 272

SHARED_CPU, SHARED_CPU_NO_BPF = (
    "4",
    "6",
)  # flags of kronos.h: another experiment is none of these tests' business


def run(call=0, error=0, *, files=0, processes=1, host=None, **environment):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([call, error, files, processes, host or {}])],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "KRONOS_FLAGS": SHARED_CPU, **environment},
    )


@pytest.mark.parametrize(
    ("call", "error", "mechanism", "warning"),
    [
        (BPF, errno.EPERM, "plain latch", "no BPF program for the latch"),
        (CLOSE_RANGE, errno.ENOSYS, "latch", ""),
        (UNSHARE, errno.EPERM, "latch", "/proc/uptime shows real time"),
    ],
)
def test_the_engine_does_without(call, error, mechanism, warning):
    result = run(call, error)
    assert result.returncode == 0, result.stderr
    mechanisms, statuses = json.loads(result.stdout)
    assert mechanism in mechanisms and statuses == [0]
    assert warning in result.stderr and result.stderr.count("\n") <= 1


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (PERF_EVENT_OPEN, errno.EACCES, "perf context-switch events with sigtrap do not work here; fix: "),
        (PERF_EVENT_OPEN, errno.EINVAL, "perf context-switch events with sigtrap do not work here; fix: "),
        (PTRACE, errno.EPERM, "no process can be traced here (Operation not permitted); fix: "),
        (SCHED_SETSCHEDULER, errno.EPERM, "no real-time scheduling (Operation not permitted); fix: "),
    ],
)
def test_the_engine_says_what_it_needs(call, error, said):
    result = run(call, error)
    assert result.returncode == 1 and not result.stdout
    last = result.stderr.splitlines()[-1]
    assert last.startswith(said), result.stderr


def test_a_program_is_not_started_without_the_filter():
    result = run(SECCOMP, errno.EPERM)
    assert json.loads(result.stdout)[1] == [125]
    assert result.stderr == (
        "tracer: cannot install the seccomp filter; fix: run as root on a kernel with CONFIG_SECCOMP_FILTER\n"
    )


def may_raise_limits():
    """Tell whether root has CAP_SYS_RESOURCE here, which containers often take away."""
    code = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64));"
    code += "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128))"
    return not subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode


def test_many_processes_with_a_low_limit_of_open_files():
    result = run(files=64, processes=100)
    assert result.returncode == 0, result.stderr
    statuses = json.loads(result.stdout)[1]
    if may_raise_limits():
        assert statuses == [0] and not result.stderr
        return
    assert statuses == [0, 125]  # some are dilated, and go on so
    assert set(result.stderr.splitlines()) == {
        "tracer: the engine may have 64 open files and needs more; fix: raise the hard limit (ulimit -Hn)"
    }


def test_counted_instructions_need_a_latch_with_bpf():
    result = run(host={"counter": "instructions"}, KRONOS_FLAGS=SHARED_CPU_NO_BPF)
    assert result.returncode == 1
    said = result.stderr.splitlines()[-1]
    assert said.startswith("h1: no working instruction counter on this machine (the latch needs BPF, "), said
