"""Captures and frame breakpoints of the kernel engine's links, on a veth pair in real time."""

import socket
import struct
import subprocess

import pytest

from mininet_kronos.errors import EngineError
from mininet_kronos.frames import FRAME_MAX, compile_filter
from mininet_kronos.kernel_taps import Capture, open_tap
from mininet_kronos.namespace import network_namespace
from tests.test_kernel_counters import namespace  # noqa: F401 (a fixture)

FRAMES = 500


@pytest.fixture
def send(namespace):  # noqa: F811
    """Yield a function that sends a frame of a kind from one end of the pair."""
    with network_namespace(namespace):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sender.bind(("v1", 0))
    with sender:
        yield lambda kind, text: sender.send(b"\xff" * 6 + b"\x02" * 6 + struct.pack("!H", kind) + text)


@pytest.mark.parametrize("end", ["v1", "v2"])
def test_a_capture_has_every_frame_when_it_ends(namespace, send, tmp_path, end):  # noqa: F811
    path = tmp_path / "frames.pcap"
    capture = Capture(namespace, end, path)
    for number in range(FRAMES):
        send(0x88B5, b"frame %d" % number)
    capture.stop()
    shown = subprocess.run(
        ["tcpdump", "-nqtr", path, "--time-stamp-precision=nano"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.count(" > ff:ff:ff:ff:ff:ff") == FRAMES, shown
    assert path.read_bytes()[:4] == struct.pack("=I", 0xA1B23C4D)  # with nanoseconds


def test_an_interface_that_is_not_there_cannot_be_captured(namespace, tmp_path):  # noqa: F811
    with pytest.raises(EngineError, match=r"v3 cannot be captured: .*No such device"):
        Capture(namespace, "v3", tmp_path / "frames.pcap")


def test_a_tap_receives_the_frames_that_match(namespace, send):  # noqa: F811
    with open_tap(namespace, "v2", compile_filter("ether proto 0x88b6")) as tap:
        send(0x88B5, b"other")
        send(0x88B6, b"wanted")
        assert tap.recv(FRAME_MAX).endswith(b"wanted")
