"""Frames and tcpdump's filters for them, as classic BPF."""

from __future__ import annotations

import ctypes
import socket
import struct
import subprocess

from mininet_kronos.errors import MissingProgramError, ParameterError

SO_ATTACH_FILTER = 26  # <asm/socket.h>
FRAME_MAX = 65600


def compile_filter(expression: str) -> bytes:
    """Return a tcpdump filter for Ethernet as classic BPF; raise ParameterError if it is wrong."""
    command = ["tcpdump", "-y", "EN10MB", "-ddd", expression]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MissingProgramError("tcpdump is not installed; run: apt-get install tcpdump") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ParameterError(f"filter '{expression}' is not understood: {said.removeprefix('tcpdump: ')}")
    lines = done.stdout.split("\n")[1:]
    return b"".join(struct.pack("=HBBI", *map(int, line.split())) for line in lines if line.strip())


def attach_filter(receiver: socket.socket, program: bytes) -> None:
    """Let a socket receive only what a classic BPF program lets through."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HL", len(program) // 8, ctypes.addressof(buffer))
    receiver.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, header)


def describe_frame(frame: bytes) -> str:
    """Return a frame as tcpdump prints it."""
    capture = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, FRAME_MAX, 1)
    capture += struct.pack("=IIII", 0, 0, len(frame), len(frame)) + frame
    done = subprocess.run(["tcpdump", "-n", "-t", "-r", "-"], input=capture, capture_output=True, check=False)
    lines = done.stdout.decode(errors="replace").splitlines()
    return lines[0] if lines else f"{len(frame)} bytes"
