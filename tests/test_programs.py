"""Small C programs, run natively and dilated with the same assertions."""

import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mininet_kronos.experiment import Experiment
from mininet_kronos.process import await_tracer
from tests.dilated import require_bpf_latch

PROGRAMS = Path(__file__).parent / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.c"))
TIMESTEP = 1_000_000
LIMIT = 60_000  # rounds: far more virtual time than any of them needs

# How much later than due something may happen, in ns of virtual time: what the program's own work
# takes at this speed, and a part of a window for work that a busy machine makes dearer.
PACES: dict[str, tuple[dict[str, Any], int]] = {
    "real speed": ({"cpu_speed": 1.0, "counter": "cputime"}, 5_000_000),
    "a tenth": ({"cpu_speed": 0.1, "counter": "cputime"}, 50_000_000),
    "ten times": ({"cpu_speed": 10.0, "counter": "cputime"}, 2_000_000),
    "free": ({"counter": "free"}, 100_000),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    directory = tmp_path_factory.mktemp("programs")
    subprocess.run(["make", "-s", "-C", PROGRAMS, f"BUILD={directory}"], check=True, timeout=120)
    return directory


@pytest.mark.parametrize("name", NAMES)
def test_native(built, name):
    result = subprocess.run([built / name], capture_output=True, text=True, timeout=60)
    assert result.stdout.endswith("EXIT-SUCCESS\n"), result.stdout + result.stderr


def run_dilated(experiment, command, path):
    """Run it to its end, or for LIMIT rounds; return its status (None: it still runs) and output."""
    with path.open("wb") as output:
        process = subprocess.Popen(
            [*experiment.command_prefix("h1"), *command], stdout=output, stderr=subprocess.STDOUT
        )
    await_tracer(process, experiment)
    pidfd = os.pidfd_open(process.pid)
    experiment.progress(TIMESTEP, LIMIT, pidfd)
    os.close(pidfd)
    return process.poll(), path.read_text()


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("name", NAMES)
def test_dilated(built, name, pace, tmp_path):
    parameters, slack = PACES[pace]
    with Experiment() as experiment:
        experiment.add_host("h1", **parameters)
        experiment.synchronize_and_freeze()
        status, output = run_dilated(experiment, [built / name, str(slack)], tmp_path / "out")
    assert (status, output) == (0, "EXIT-SUCCESS\n")


def test_large_program_is_looked_at_by_one_engine_for_all(built, tmp_path):
    program = tmp_path / "tsc"
    program.write_bytes((built / "tsc").read_bytes() + bytes(1 << 20))
    program.chmod(0o755)
    for _ in range(2):  # what is known of it is right
        with Experiment() as experiment:
            experiment.add_host("h1")
            experiment.synchronize_and_freeze()
            assert run_dilated(experiment, [program], tmp_path / "out") == (0, "EXIT-SUCCESS\n")
    known = Path("/var/cache/kronos/tsc-1").read_bytes()
    status = program.stat()
    assert known.count(struct.pack("=QQ", status.st_dev, status.st_ino)) == 1


# Without BPF a preemption stops a task as well, and such stops are charged for a part of what they cost.
@pytest.mark.parametrize(
    ("flags", "slack"),
    [(0, 5_000_000), (1, 5_000_000), (3, 50_000_000)],
    ids=["latch with BPF", "plain latch", "no BPF"],
)
@pytest.mark.parametrize("name", NAMES)
def test_dilated_with_each_latch(built, name, flags, slack, tmp_path):
    with Experiment(flags=flags) as experiment:
        if flags == 0:
            require_bpf_latch(experiment)
        experiment.add_host("h1")
        experiment.synchronize_and_freeze()
        status, output = run_dilated(experiment, [built / name, str(slack)], tmp_path / "out")
    assert (status, output) == (0, "EXIT-SUCCESS\n")


def test_dilated_in_a_pid_namespace_of_its_own(built, tmp_path):
    with Experiment() as experiment:
        experiment.add_host("h1")
        experiment.synchronize_and_freeze()
        command = ["unshare", "--pid", "--fork", built / "waits", "5000000"]
        status, output = run_dilated(experiment, command, tmp_path / "out")
    assert (status, output) == (0, "EXIT-SUCCESS\n")


def read_zeros(experiment, count, path):
    """Read /dev/zero with dd, in calls that last for many windows; none may read less than was asked for."""
    experiment.add_host("h1")
    experiment.synchronize_and_freeze()
    command = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", f"count={count}"]
    status, output = run_dilated(experiment, command, path)
    assert (status, output.splitlines()[:2]) == (0, [f"{count}+0 records in", f"{count}+0 records out"])


@pytest.mark.parametrize("flags", [0, 1], ids=["latch with BPF", "plain latch"])
def test_the_end_of_a_slice_does_not_show_in_a_long_call(flags, tmp_path):
    with Experiment(flags=flags) as experiment:
        read_zeros(experiment, 2, tmp_path / "out")


def test_nor_where_other_programs_had_the_cpu_then(tmp_path, busy):
    """The kernel gives them a share even beside real-time tasks: there is some such end in so many calls."""
    with Experiment() as experiment:
        require_bpf_latch(experiment)
        read_zeros(experiment, 600, tmp_path / "out")


def test_the_end_of_a_slice_does_not_show_in_a_call_of_seconds(tmp_path):
    with Experiment() as experiment:
        experiment.add_host("h1")
        experiment.synchronize_and_freeze()
        status, output = run_dilated(
            experiment, ["dd", "if=/dev/urandom", "of=/dev/null", "bs=512M", "count=1"], tmp_path / "out"
        )
    assert (status, output.splitlines()[:2]) == (0, ["1+0 records in", "1+0 records out"])
