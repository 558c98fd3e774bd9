"""Waits that nothing interrupts, as for a disk: virtual time stands for them, and is never faster than they.

A file system that is frozen stands for the disk: whoever writes to it waits.
"""

import os
import subprocess
import sys
import threading
import time

import pytest

from mininet_kronos.experiment import Experiment
from tests.dilated import TIMESTEP, run_alone, start

SECOND = 1_000_000_000
HOLD = 5 * SECOND  # real time for which virtual time stands
TICKS = "import time\nwhile True: time.sleep(0.001)"

# Four threads that wait for all CPUs' grace periods again and again, until half a second has passed.
BARRIERS = """
import ctypes, threading, time
membarrier, command_global = 324, 1
libc = ctypes.CDLL(None)
end = time.monotonic() + 0.5
def wait():
    while time.monotonic() < end:
        assert libc.syscall(membarrier, command_global, 0) == 0
threads = [threading.Thread(target=wait) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("through")
"""


class Disk:
    """A file system of its own."""

    def __init__(self, directory):
        self.directory = directory / "disk"
        self.directory.mkdir()
        image = directory / "image"
        image.write_bytes(b"")
        os.truncate(image, 16 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True, timeout=60)
        subprocess.run(["mount", "-o", "loop", image, self.directory], check=True, timeout=60)

    def freeze(self):
        subprocess.run(["fsfreeze", "-f", self.directory], check=True, timeout=60)

    def thaw(self):
        subprocess.run(["fsfreeze", "-u", self.directory], timeout=60)


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path)
    yield made
    made.thaw()
    subprocess.run(["umount", "-l", made.directory], check=True, timeout=60)


@pytest.fixture
def experiment(cpus):
    with Experiment(cpus=cpus) as running:
        running.add_host("h1")
        running.add_host("h2", counter="free")
        running.synchronize_and_freeze()
        start(running, "h2", sys.executable, "-S", "-c", TICKS)
        running.progress(TIMESTEP, 100)
        yield running


def start_writer(experiment, disk):
    return start(experiment, "h1", "sh", "-c", f"echo >{disk.directory}/file")


def test_virtual_time_stands_while_a_disk_is_waited_for(experiment, disk):
    disk.freeze()
    writer = start_writer(experiment, disk)
    pidfd = os.pidfd_open(writer.pid)
    begin, real = experiment.now, time.monotonic_ns()
    thawing = threading.Timer(1, disk.thaw)
    thawing.start()
    experiment.progress(TIMESTEP, 100_000, pidfd)
    passed, real = experiment.now - begin, time.monotonic_ns() - real
    thawing.join()
    os.close(pidfd)
    assert writer.poll() == 0
    assert passed < max(0, real - HOLD) + SECOND // 10


def test_virtual_time_is_no_faster_than_a_disk_that_takes_very_long(experiment, disk):
    disk.freeze()
    begin, real = experiment.now, time.monotonic_ns()
    writer = start_writer(experiment, disk)
    pidfd = os.pidfd_open(writer.pid)
    for rounds in 1000, 500:  # what one is late the next one may make up for
        experiment.progress(TIMESTEP, rounds, pidfd)
        assert writer.poll() is None
        assert time.monotonic_ns() - real >= HOLD + experiment.now - begin
    disk.thaw()
    experiment.progress(TIMESTEP, 100_000, pidfd)
    os.close(pidfd)
    assert writer.poll() == 0


@pytest.mark.parametrize("counter", ["cputime", "free"])
def test_time_goes_on_for_who_waits_again_and_again(tmp_path, counter):
    ended = run_alone([sys.executable, "-c", BARRIERS], tmp_path, counter=counter)
    assert (ended.status, ended.out) == (0, "through\n"), ended
