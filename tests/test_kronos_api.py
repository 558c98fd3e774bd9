"""Scripts and programs that were written for Kronos: kronos_functions, Kronos_functions.h, tracer."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TRACER_DIR = Path(__file__).parents[1] / "tracer"
NATIVE = Path(__file__).parents[1] / "mininet_kronos" / "native"
KERNEL_ENGINE = os.access("/dev/kronos", os.R_OK | os.W_OK)  # its module is loaded

# As a script for Kronos does it: fork, redirect, exec tracer; retry until everything is frozen.
ORCHESTRATOR = """
import os, sys, time
import kronos_functions as kf

def start_tracer(log, *arguments):
    if os.fork() == 0:
        fd = os.open(log, os.O_RDWR | os.O_CREAT)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.execvp("tracer", ["tracer", *arguments])

def freeze():
    while kf.synchronizeAndFreeze() <= 0:
        time.sleep(0.1)
"""

TWO_TRACERS = """
assert kf.initializeExp(2) >= 0
sleeper = "date +%s.%N; for i in 1 2 3; do sleep 1; done; date +%s.%N"
start_tracer("first", "-c", sleeper, "-r", "1.0")
start_tracer("second", "-f", "commands", "-r", "3.0")
freeze()
print("start", kf.getCurrentVirtualTime())
finished = 0
while finished < 2000:
    assert kf.progressBy(1000000, 100) == 0
    finished += 100
print("middle", kf.getCurrentVirtualTime())
assert kf.progressBy(10000000, 200) == 0
print("end", kf.getCurrentVirtualTime())
assert kf.stopExp() == 0
"""

CO_SIMULATION = """
import threading
assert kf.initializeVTExp(kf.EXP_CS, 2, 3) >= 0
for i, log in enumerate(("a", "b", "c")):
    start_tracer(log, "-t", str(i % 2), "-r", "1000", "-c", "while :; do sleep 0.25; date +%s.%N; done")
freeze()

def advance(timeline, rounds):
    for _ in range(rounds):
        assert kf.progressTimelineBy(timeline, 10_000_000) == 0

threads = [threading.Thread(target=advance, args=each) for each in ((0, 101), (1, 301))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("first timeline", kf.getCurrentVirtualTime())
assert kf.progressTimelineBy(0, 2_000_000_000) == 0
kf.stopExp()
"""

CLOCKS_OF_PROCESSES = """
assert kf.initializeExp(1) == 0
start_tracer("log", "-i", "7", "-c", "echo $$ >pid; exec sleep 100")
freeze()
kf.progressBy(500000, 1000)
pid = int(open("pid").read())
print(kf.getTimePID(pid), kf.getTimePID(os.getpid()))
print(kf.setNetDeviceOwner(7, "eth0"), kf.setNetDeviceOwner(3, "eth0"))
kf.stopExp()
"""

MISTAKES = """
results = [kf.progressBy(1000, 1), kf.stopExp(), kf.initializeExp(-1), kf.initializeVTExp(3, 1, 1),
           kf.initializeVTExp(2, 0, 1), kf.initializeExp(1), kf.initializeExp(1), kf.progressBy(1000, 1),
           kf.synchronizeAndFreeze(), kf.getCurrentVirtualTime(), kf.stopExp()]
print(results)
"""

PROGRAM = """
#include "Kronos_functions.h"

int main(void)
{
	if (initializeExp(1) < 0)
		return 1;
	if (fork() == 0)
		execlp("tracer", "tracer", "-c", "sleep 5; echo slept", "-r", "1", "-i", "1", (char *)NULL);
	while (synchronizeAndFreeze() <= 0)
		usleep(100000);
	for (int i = 0; i < 60; i++)
		if (progressBy(1000000, 100) < 0)
			return 2;
	printf("%lld %lld\\n", (long long)getCurrentVirtualTime(), (long long)getCurrentTimeTracer(1));
	return stopExp() < 0 ? 3 : 0;
}
"""


# A tracer of one's own, as Kronos' own tracers are: it is told of each round.
OWN_TRACER = """
#include <time.h>
#include "Kronos_functions.h"

static long ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(void)
{
	int pid = fork(), id, rounds = 0;
	long start = 0;
	s64 ns;

	if (pid == 0)
		for (;;)
			pause();
	if (registerTracer(-1, TRACER_TYPE_INS_VT, SIMPLE_REGISTRATION, 0, 0) < 0)
		return 1;
	id = getAssignedTracerID();
	if (addProcessesToTracerSq(id, &pid, 1) < 0)
		return 2;
	for (ns = writeTracerResults(id, NULL, 0); ns > 0; ns = writeTracerResults(id, NULL, 0)) {
		s64 begin = getCurrentTimeTracer(id);

		if (updateTracerClock(id, ns / 2) || getCurrentTimeTracer(id) != begin + ns / 2)
			return 3;
		if (++rounds == 1) {
			printf("tracer %d, process %d\\n", id, pid);
			start = ms();
		}
		if (rounds == 1001)
			printf("%ld ms\\n", ms() - start);
		fflush(stdout);
	}
	kill(pid, SIGKILL);
	printf("%d rounds of %s\\n", rounds, ns ? "?" : "all");
	return 0;
}
"""

WITH_OWN_TRACER = """
assert kf.initializeExp(2) == 0
if os.fork() == 0:
    fd = os.open("own", os.O_RDWR | os.O_CREAT)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.execv("./own_tracer", ["own_tracer"])
start_tracer("ids", "-i", "1", "-s", "-c", "echo $KRONOS_TRACER_ID; sleep 1; echo slept")
freeze()
for _ in range(3):
    assert kf.progressBy(1000000, 500) == 0
pid = int(open("own").read().split()[3])
print(kf.getCurrentVirtualTime(), kf.getTimePID(pid), kf._api.getCurrentTimeTracer(1))
kf.stopExp()
os.wait()
os.wait()
"""


@pytest.fixture
def orchestrate(run_script, tmp_path, monkeypatch):
    """Return a function that runs an orchestrator script in a directory of its own; tracer is in the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{NATIVE}:{os.environ['PATH']}")

    def run(code):
        return run_script(sys.executable, "-c", ORCHESTRATOR + code, cwd=tmp_path)

    return run


def test_the_guide_for_migrating(run_script, tmp_path):
    """Its script and its command for C run as they stand there."""
    guide = (TRACER_DIR.parent / "docs" / "migrating-from-kronos.md").read_text()
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "orchestrator.py").write_text(guide.split("```python\n")[1].split("```")[0])
    (tmp_path / "program.c").write_text(PROGRAM)
    run, build = re.search(r"`sudo (env PATH=.*?)`", guide), re.search(r"^    (gcc .*)$", guide, re.MULTILINE)
    assert run
    assert build
    done = run_script("bash", "-c", run[1], cwd=tmp_path)
    assert (done.status, done.err) == (0, ""), done
    assert done.out.endswith("3000000000\n")
    assert len(done.out.splitlines()) == 3
    env = {**os.environ, "PWD": str(tmp_path), "PATH": f"{NATIVE}:{os.environ['PATH']}"}
    done = run_script("bash", "-c", f"{build[1]} && ./program", cwd=tmp_path, env=env)
    assert (done.status, done.err) == (0, ""), done
    assert "6000000000 6000000000" in done.out


def stamps(path):
    """Return the times that `date` has written."""
    return [float(text) for text in re.findall(r"^\d+\.\d+$", Path(path).read_text(), re.MULTILINE)]


def test_an_orchestrator_script(orchestrate):
    Path("commands").write_text("sleep 1; date +%s.%N\n\nsleep 2.5; date +%s.%N\n")
    done = orchestrate(TWO_TRACERS)
    assert (done.status, done.err) == (0, ""), done
    assert done.out.split() == ["start", "0", "middle", "2000000000", "end", "4000000000"]
    begin, end = stamps("first")
    assert 3 <= end - begin < 3.1
    first, second = stamps("second")
    assert second - first == pytest.approx(1.5, abs=0.01)
    assert first - begin == pytest.approx(1, abs=0.05)


def test_an_external_simulator_owns_the_timelines(orchestrate):
    done = orchestrate(CO_SIMULATION)
    assert (done.status, done.err) == (0, ""), done
    assert done.out == "first timeline 1010000000\n"
    assert [len(stamps(log)) for log in ("a", "b", "c")] == [12, 12, 12]  # 3.01 s in quarters
    assert stamps("a")[0] == pytest.approx(stamps("c")[0], abs=0.01)


def test_clocks_of_processes(orchestrate):
    done = orchestrate(CLOCKS_OF_PROCESSES)
    assert done.out.split() == ["500000000", "-1", "0", "-1"], done
    assert "setNetDeviceOwner: there is no such tracer" in done.err


def test_mistakes_are_negative_results_and_one_line_each(orchestrate):
    done = orchestrate(MISTAKES)
    assert done.out == "[-1, -1, -1, -1, -1, 0, -1, -1, 0, 0, 0]\n", done
    lines = done.err.splitlines()
    assert len(lines) == 7, done
    assert all(line.startswith("kronos: ") for line in lines)
    assert "progressBy: the experiment is not frozen; fix: call synchronizeAndFreeze()" in lines[-1]


@pytest.mark.parametrize("kind", ["shared", "static"])
def test_a_program_in_c(run_script, tmp_path, monkeypatch, kind):
    monkeypatch.setenv("PATH", f"{NATIVE}:{os.environ['PATH']}")
    (tmp_path / "program.c").write_text(PROGRAM)
    library = tmp_path / "lib"
    library.mkdir()
    shutil.copy(TRACER_DIR / "build" / f"libkronosapi.{'so' if kind == 'shared' else 'a'}", library)
    # An engine is looked for beside the library, or beside a program that has the library in it.
    for engine in "kronos-engine", "kronos-kernel-engine":
        (library if kind == "shared" else tmp_path).joinpath(engine).symlink_to(NATIVE / engine)
    command = [
        "gcc",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{TRACER_DIR / 'include'}",
        "-o",
        tmp_path / "program",
    ]
    command += [tmp_path / "program.c", f"-L{library}", "-lkronosapi", "-lpthread"]
    subprocess.run(command, check=True)
    done = run_script(tmp_path / "program", env={**os.environ, "LD_LIBRARY_PATH": str(library)})
    assert done.status == 0, done
    assert sorted(done.out.splitlines()) == ["6000000000 6000000000", "slept"]


def test_a_tracer_of_ones_own(orchestrate, tmp_path):
    (tmp_path / "own_tracer.c").write_text(OWN_TRACER)
    build = ["gcc", "-Wall", "-Werror", f"-I{TRACER_DIR / 'include'}", "own_tracer.c", "-o", "own_tracer"]
    library = TRACER_DIR / "build"
    subprocess.run([*build, f"-L{library}", f"-Wl,-rpath,{library}", "-lkronosapi"], check=True)
    done = orchestrate(WITH_OWN_TRACER)
    assert done.status == 0, done
    assert done.out == "1500000000 1500000000 1500000000\n"
    found = re.fullmatch(
        r"tracer \d+, process \d+\n(\d+) ms\n1500 rounds of all\n", said := Path("own").read_text()
    )
    assert found, said
    if KERNEL_ENGINE:  # its clock, and its processes', is the machine's
        assert done.err == ""
        assert 999 <= int(found[1]) <= 1001  # a thousand rounds
    else:
        expected = r"processes that tracer [12] has added see real time with the user engine; fix: "
        assert re.search(expected, done.one_line())
    assert Path("ids").read_text() == "1\nslept\n"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("registerTracer(1, 3, 0, 0, 0)", "registerTracer: the type must be TRACER_TYPE_INS_VT or"),
        ("registerTracer(0, 1, 0, 0, 0)", "registerTracer: a tracer's id is a number from 1, or -1 for"),
        (
            "registerTracer(1, 1, 0, 0, 0)",
            "registerTracer: there is no experiment; fix: call initializeExp()",
        ),
        ("addProcessesToTracerSq(1, None, 1)", "addProcessesToTracerSq: this program is no tracer; fix:"),
        ("updateTracerClock(1, 5)", "updateTracerClock: this program is no tracer; fix:"),
        ("writeTracerResults(1, None, 0)", "writeTracerResults: this program is no tracer; fix:"),
        ("waitForExit(1)", "waitForExit: there is no experiment; fix: call initializeExp()"),
    ],
)
def test_mistakes_of_such_tracers_are_one_line(run_script, call, expected):
    done = run_script(sys.executable, "-c", f"import kronos_functions as kf; print(kf._api.{call})")
    assert (done.out, done.one_line().startswith(f"kronos: {expected}")) == ("-1\n", True), done


def test_a_second_experiment_is_refused(orchestrate):
    second = "import kronos_functions as kf; print(kf.initializeExp(0))"
    code = f"kf.initializeExp(0); os.spawnlp(os.P_WAIT, sys.executable, sys.executable, '-c', {second!r})"
    done = orchestrate(code)
    assert done.out == "-1\n"
    assert done.one_line() == "kronos: initializeExp: another experiment is running; fix: stop it first"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "give one of -c, -f and --host, and a command"),
        (["-c", "ls", "-f", "file"], "give one of -c, -f and --host, and a command"),
        (["-c", "ls", "-r", "0"], "the relative CPU speed must be a number above 0, or inf"),
        (["-c", "ls", "-i", "0"], "a tracer's id is a number from 1"),
        (["-c", "ls", "-t", "-1"], "a timeline is a number from 0"),
        (["-f", "/no/such/file"], "cannot read the file of commands"),
        (["-c", "ls"], "no experiment at /run/kronos/engine.sock"),
    ],
)
def test_tracers_mistakes_are_one_line(run_script, arguments, expected):
    done = run_script(NATIVE / "tracer", *arguments)
    assert done.status in (2, 125)
    assert expected in done.one_line()
    assert "; fix: " in done.err


def test_wait_for_exit(run_script):
    """A program beside the orchestrator waits until the experiment has ended."""
    code = (
        "import ctypes, os, sys, time, kronos_functions as kf\n"
        "kf.initializeExp(0)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(kf._api.waitForExit(1) + 42)\n"
        "while not open(f'/proc/{child}/syscall').read().startswith('7 '):  # poll()\n"
        "    time.sleep(0.01)\n"
        "kf.synchronizeAndFreeze()\n"
        "assert os.waitpid(child, os.WNOHANG) == (0, 0)\n"
        "kf.stopExp()\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = run_script(sys.executable, "-c", code)
    assert done.out == "42\n", done
