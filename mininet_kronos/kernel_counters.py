"""Counters of the kernel's own links: of interfaces, and of traffic control on what they send."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mininet_kronos.namespace import network_namespace

# Netlink, from linux/netlink.h, linux/rtnetlink.h and linux/gen_stats.h.
_REQUEST_DUMP = 0x301
_GET_QDISC, _NEW_QDISC, _DONE = 38, 36, 3
_STATS = 3  # an attribute
_HEADER = struct.Struct("=IHHII")
_TCMSG = struct.Struct("=B3xiIII")
_ATTRIBUTE = struct.Struct("=HH")
_TC_STATS = struct.Struct("=QIIIIIII")


@dataclass(frozen=True)
class Qdisc:
    """What a part of traffic control has dropped, and holds."""

    drops: int
    frames: int
    bytes: int


@dataclass(frozen=True)
class InterfaceCounters:
    """What an interface has carried, and its traffic control, by the major numbers of handles."""

    tx_frames: int
    tx_bytes: int
    rx_frames: int
    rx_bytes: int
    qdiscs: dict[int, Qdisc]


def read_counters(pid: int, interface: str) -> InterfaceCounters:
    """Return the counters of an interface in the network namespace of a process."""
    received, sent = _device(pid, interface)
    return InterfaceCounters(
        tx_frames=sent[1],
        tx_bytes=sent[0],
        rx_frames=received[1],
        rx_bytes=received[0],
        qdiscs=dict(_qdiscs(pid, interface)),
    )


def _device(pid: int, interface: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return bytes and frames that came, and that were sent."""
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == interface:
            values = [int(number) for number in numbers.split()]
            return (values[0], values[1]), (values[8], values[9])
    raise OSError(f"there is no interface {interface} in the namespace of process {pid}")


def _qdiscs(pid: int, interface: str) -> list[tuple[int, Qdisc]]:
    with network_namespace(pid):
        index = socket.if_nametoindex(interface)
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    size = _HEADER.size + _TCMSG.size
    with netlink:
        netlink.send(_HEADER.pack(size, _GET_QDISC, _REQUEST_DUMP, 1, 0) + _TCMSG.pack(0, index, 0, 0, 0))
        return [
            _qdisc(message)
            for message in _messages(netlink)
            if _TCMSG.unpack_from(message, _HEADER.size)[1] == index
        ]


def _messages(netlink: socket.socket) -> Iterator[bytes]:
    while True:
        data = netlink.recv(1 << 16)
        while data:
            length, kind = _HEADER.unpack_from(data)[:2]
            if kind == _DONE:
                return
            if kind == _NEW_QDISC:
                yield data[:length]
            data = data[_aligned(length) :]


def _qdisc(message: bytes) -> tuple[int, Qdisc]:
    handle = _TCMSG.unpack_from(message, _HEADER.size)[2]
    attributes: dict[int, bytes] = {}
    offset = _HEADER.size + _TCMSG.size
    while offset < len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, offset)
        attributes[kind] = message[offset + _ATTRIBUTE.size : offset + length]
        offset += _aligned(length)
    stats = _TC_STATS.unpack_from(attributes[_STATS])
    return handle >> 16, Qdisc(drops=stats[2], frames=stats[6], bytes=stats[7])


def _aligned(length: int) -> int:
    return length + 3 & ~3
