"""What passes on the kernel's own links: captures by tcpdump, stamped in virtual time, and sockets."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
from pathlib import Path

from mininet_kronos.errors import EngineError, MissingProgramError
from mininet_kronos.frames import attach_filter
from mininet_kronos.namespace import network_namespace

_ETH_P_ALL = 0x0003
_LISTENING = b"listening on"
SPACE = ("-s", "2048", "-B", "8192")  # for 4096 frames that it has not yet written


def open_tap(pid: int, interface: str, program: bytes) -> socket.socket:
    """Return a socket that receives what an interface, in the namespace of a process, sends and receives.

    program: classic BPF that says which frames
    """
    with network_namespace(pid):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        attach_filter(tap, program)
        tap.bind((interface, _ETH_P_ALL))
    return tap


class Capture:
    """A tcpdump that is not dilated: it writes what is there while time stands, too."""

    def __init__(self, pid: int, interface: str, path: Path) -> None:
        """Begin; pid: a process in the interface's namespace."""
        command = ["nsenter", f"--net=/proc/{pid}/ns/net", "tcpdump", "-i", interface]
        command += ["-w", str(path.resolve()), *SPACE, "-U", "-Z", "root"]
        command += ["--immediate-mode", "--time-stamp-precision=nano"]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
            )
        except FileNotFoundError:
            raise MissingProgramError("nsenter is not installed; run: apt-get install util-linux") from None
        said = self._await_listening()
        if _LISTENING not in said:
            self._process.wait()
            raise EngineError(f"{interface} cannot be captured: {said.decode(errors='replace').strip()}")
        self.cleanup_command = (
            f"grep -qF {shlex.quote(path.name)} /proc/{self._process.pid}/cmdline 2>/dev/null && "
            f"kill {self._process.pid}"
        )

    def _await_listening(self) -> bytes:
        assert self._process.stderr
        said = b""
        for line in self._process.stderr:
            said += line
            if _LISTENING in line:
                break
        return said

    def stop(self) -> None:
        """End it when it has written all that it has got: then it waits for more."""
        while self._state() not in "SZ":
            os.sched_yield()  # a sleep would not end while time stands
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        assert self._process.stderr
        self._process.stderr.close()

    def _state(self) -> str:
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        return stat[stat.rindex(")") + 2]
