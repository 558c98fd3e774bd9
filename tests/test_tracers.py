"""The tracer program: standalone ones, files of commands, how they register, and what they say."""

import signal
import socket
import struct
import subprocess
import time

import pytest

from mininet_kronos.errors import EngineError
from mininet_kronos.experiment import Experiment
from mininet_kronos.libkronos import native_path
from tests.conftest import until
from tests.dilated import run_to_end, start

MS = 1_000_000
TRACER = str(native_path("tracer"))


def test_standalone_tracers_are_waited_for():
    with Experiment(expected_tracers=2) as experiment:
        with pytest.raises(EngineError, match="0 of 2 tracers"):
            experiment.synchronize_and_freeze(timeout_ms=50)
        commands = [
            [TRACER, "--socket", experiment.socket, "-c", "sleep 1; exit 3", "-r", "1.0", "-i", "1"],
            [TRACER, "--socket", experiment.socket, "-c", "sleep 2; exit 4", "-r", "0.5", "-i", "2"],
        ]
        tracers = [subprocess.Popen(command) for command in commands]
        assert experiment.synchronize_and_freeze() == 2
        experiment.progress(MS, 1500)
        assert [tracer.poll() for tracer in tracers] == [3, None]
        experiment.progress(MS, 1500)
        assert tracers[1].wait(60) == 4


def test_a_tracer_takes_a_file_of_commands(experiment, tmp_path):
    commands = tmp_path / "commands"
    commands.write_text(f"sleep 1; echo one >> {tmp_path}/out\n\nsleep 2; echo two >> {tmp_path}/out\n")
    tracer = subprocess.Popen([TRACER, "--socket", experiment.socket, "-f", commands, "-r", "1"])
    assert until(lambda: experiment.stats().tasks >= 1)
    experiment.synchronize_and_freeze()
    experiment.progress(MS, 1500)
    assert (tmp_path / "out").read_text() == "one\n"
    experiment.progress(MS, 1500)
    assert (tmp_path / "out").read_text() == "one\ntwo\n"
    assert tracer.wait(60) == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "give one of -c, -f and --host"),
        (("-c", "true", "-r", "0"), 2, "relative CPU speed"),
        (("-c", "true", "-r", "fast"), 2, "relative CPU speed"),
        (("-c", "true", "-n", "guesses"), 2, "counter must be"),
        (("-c", "true", "-i", "0"), 2, "id is a number from 1"),
        (("-f", "/nonexistent", "-r", "1"), 2, "cannot read the file"),
        (("--host", "h9", "--", "true"), 125, "unknown host h9"),
        (("--host", "h1", "--", "/nonexistent"), 127, "cannot run /nonexistent"),
        (("--host", "h1", "--", "/etc/passwd"), 126, "cannot run /etc/passwd"),
        (("--socket", "/nonexistent", "-c", "true"), 125, "no experiment at /nonexistent"),
    ],
)
def test_bad_tracer_input_gets_one_line(experiment, arguments, status, said):
    experiment.add_host("h1")
    result = subprocess.run(
        [TRACER, "--socket", experiment.socket, *arguments], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == status
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_two_tracers_cannot_have_one_id(experiment):
    command = [TRACER, "--socket", experiment.socket, "-r", "1", "-i", "7", "-c"]
    first = subprocess.Popen([*command, "sleep 100"])
    assert until(lambda: experiment.stats().hosts >= 1)
    second = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=60)
    assert second.returncode == 125
    assert "there is a tracer with id 7 already" in second.stderr
    experiment.stop()
    assert first.wait(60) == -signal.SIGKILL


def test_a_tracer_may_take_its_time_to_register(experiment):
    """And holds nobody up meanwhile."""
    experiment.add_host("h1")
    experiment.synchronize_and_freeze()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as slow:
        slow.connect(experiment.socket)
        process = start(experiment, "h1", "true")
        assert run_to_end(experiment, process)[1] == 0
        time.sleep(1.5)
        slow.send(struct.pack("=64siIIId", b"h9", 0, 0, 0, 0, 1.0))
        slow.settimeout(60)
        assert b"unknown host h9" in slow.recv(1 << 16)
