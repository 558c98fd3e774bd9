"""TAP devices: the ends of links with the user engine."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time

from mininet_kronos.errors import KronosError, MissingProgramError
from mininet_kronos.interfaces import set_sysctl

LEAVING = 3.0  # s of real time that an ended network has for removing its devices

TUN_DEVICE = "/dev/net/tun"
TUNSETIFF, TUNSETPERSIST = 0x400454CA, 0x400454CB
IFF_TAP, IFF_NO_PI, IFF_TUN_EXCL = 0x0002, 0x1000, 0x8000


def open_tap(name: str) -> int:
    """Make a TAP device; return its descriptor. The device goes when the last descriptor is closed."""
    try:
        tap = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise MissingProgramError(
            f"{TUN_DEVICE}: {problem.strerror}; load the module with: modprobe tun"
        ) from problem
    try:
        make_tap(tap, name)
    except OSError as problem:
        os.close(tap)
        if problem.errno == errno.EBUSY:
            raise KronosError(
                f"interface {name} exists already; stop the Mininet that uses it, "
                "or run 'kronos clean' if that one has crashed"
            ) from problem
        raise KronosError(
            f"cannot make interface {name}: {problem.strerror}; is this run by root?"
        ) from problem
    return tap


def make_tap(tap: int, name: str) -> None:
    """Give an opened descriptor its TAP device.

    A network whose orchestrator was killed a moment ago still has its devices: they are waited for.
    """
    request = struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL)
    deadline = time.monotonic() + LEAVING
    while True:
        try:
            fcntl.ioctl(tap, TUNSETIFF, request)
            return
        except OSError as problem:
            if problem.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def leave_to_namespace(tap: int) -> None:
    """Let a device go with its network namespace, with all others at once, not with its descriptor."""
    fcntl.ioctl(tap, TUNSETPERSIST, 1)


def keep_quiet(name: str) -> None:
    """Keep an interface of this namespace from sending IPv6 messages of its own."""
    set_sysctl(f"net/ipv6/conf/{name}/disable_ipv6", 1)
