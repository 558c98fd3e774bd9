"""Network interfaces, configured by the kernel's ioctls: a process for each takes longer.

Names are those of the current network namespace.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from pathlib import Path

# linux/sockios.h, linux/if.h and linux/if_arp.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFHWADDR = 0x8916, 0x891C, 0x8924
_IFF_UP = 1
_ARPHRD_ETHER = 1


def set_sysctl(name: str, value: int) -> None:
    """Set a sysctl, such as 'net/ipv4/ip_forward', if the kernel has it."""
    path = Path("/proc/sys", name)
    if path.exists():
        path.write_text(str(value))


def is_up(name: str) -> bool:
    """Tell whether an interface is up; errors: OSError."""
    return bool(_flags(name) & _IFF_UP)


def set_up(name: str, up: bool = True) -> None:
    """Set an interface up, or down; errors: OSError."""
    flags = _flags(name)
    _ask(_SIOCSIFFLAGS, name, "H14x", flags | _IFF_UP if up else flags & ~_IFF_UP)


def set_mac(name: str, address: str) -> None:
    """Set an interface's MAC address; errors: ValueError, OSError."""
    number = bytes.fromhex(address.replace(":", " "))
    if len(number) != 6:
        raise ValueError(f"{address} is no MAC address")
    _ask(_SIOCSIFHWADDR, name, "H6s8x", _ARPHRD_ETHER, number)


def set_ip(name: str, address: str, length: int) -> None:
    """Set an interface's IPv4 address, with a prefix of so many bits; errors: ValueError, OSError."""
    if length not in range(33):
        raise ValueError(f"an address has no prefix of {length} bits")
    mask = (2**32 - 1) << (32 - length) & (2**32 - 1)
    _ask(_SIOCSIFADDR, name, "H2x4s8x", socket.AF_INET, socket.inet_aton(address))
    _ask(_SIOCSIFNETMASK, name, "H2x4s8x", socket.AF_INET, mask.to_bytes(4, "big"))


def _flags(name: str) -> int:
    (flags,) = struct.unpack_from("16xH", _ask(_SIOCGIFFLAGS, name, "16x"))
    return int(flags)


def _ask(request: int, name: str, fields: str, *values: object) -> bytes:
    """Do an ioctl on a struct ifreq: the name, then 24 bytes, of which the last eight are padding."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        packed = struct.pack(f"=16s{fields}8x", name.encode(), *values)
        return fcntl.ioctl(any_socket, request, packed)
