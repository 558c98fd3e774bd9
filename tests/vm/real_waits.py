"""A pytest plugin (-p tests.vm.real_waits): tests wait in real time while the kernel engine holds the clock.

Else the first sleep of a test between two rounds would never end: it is not dilated, and its timer stands.
"""

import fcntl
import os
import struct
import subprocess
import time

import pytest

MODULE = "/dev/kronos"
CLOCK, WAIT = 0xC030B709, 0x4010B70A  # KRONOS_IOC_*
CLOCK_FIELDS, WAIT_FIELDS = "IIiIqqqq", "Iiq"  # their structures, which begin with their size


def real_ns() -> int:
    """Return real time as the module counts it."""
    size = struct.calcsize(CLOCK_FIELDS)
    answer = fcntl.ioctl(_module, CLOCK, struct.pack(CLOCK_FIELDS, size, *[0] * 7))
    return int(struct.unpack(CLOCK_FIELDS, answer)[-1])


def real_time() -> float:
    """Return the same in seconds."""
    return real_ns() / 1e9


def wait(seconds: float) -> None:
    """Wait for so much real time, whatever the clock does."""
    end = real_ns() + round(seconds * 1e9)
    while (left := end - real_ns()) > 0:
        fcntl.ioctl(_module, WAIT, struct.pack(WAIT_FIELDS, struct.calcsize(WAIT_FIELDS), -1, left))


_module = os.open(MODULE, os.O_RDWR | os.O_CLOEXEC)


@pytest.fixture(autouse=True, scope="session")
def waits_are_real():
    """Replace the clock and the sleep of this process, and those that subprocess has taken from it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", wait)
        patch.setattr(time, "monotonic", real_time)
        patch.setattr(time, "monotonic_ns", real_ns)
        patch.setattr(subprocess, "_time", real_time)
        yield
