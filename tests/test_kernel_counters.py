"""Counters of the kernel's own links, which the kernel engine's run records have."""

import subprocess
from pathlib import Path

import pytest

from mininet_kronos.kernel_counters import Qdisc, read_counters


@pytest.fixture
def namespace():
    """Two ends of a veth pair in a network namespace of their own; yields a process that is in it."""
    sleeper = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        while Path(f"/proc/{sleeper.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            pass
        run(sleeper.pid, "ip link add v1 type veth peer name v2")
        for end in "v1", "v2":
            run(sleeper.pid, f"sysctl -qw net.ipv6.conf.{end}.disable_ipv6=1")
            run(sleeper.pid, f"ip link set {end} up")
        yield sleeper.pid
    finally:
        sleeper.kill()
        sleeper.wait()


def run(pid, command):
    """Run a command in the namespace."""
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", *command.split()], check=True)


def send(pid, frames):
    """Send frames of 1000 bytes from v1."""
    code = (
        "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('v1', 0))\n"
        f"for _ in range({frames}): s.send(bytes(1000))"
    )
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "python3", "-c", code], check=True)


def test_what_is_sent_arrives(namespace):
    """The sender's and the receiver's counters agree, and this process' namespace stays its own."""
    ours = Path("/proc/self/ns/net").readlink()
    send(namespace, 5)
    sender, receiver = read_counters(namespace, "v1"), read_counters(namespace, "v2")
    assert (sender.tx_frames, sender.tx_bytes) == (receiver.rx_frames, receiver.rx_bytes) == (5, 5000)
    assert sender.qdiscs == {0: Qdisc(drops=0, frames=0, bytes=0)}  # noqueue, without a handle
    assert Path("/proc/thread-self/ns/net").readlink() == ours


def test_unknown_interface(namespace):
    """It is named."""
    with pytest.raises(OSError, match="no interface v3"):
        read_counters(namespace, "v3")
