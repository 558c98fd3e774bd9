"""Switches that are processes: whether they read yet what arrives at their interfaces."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mininet.log import warn
from mininet.util import quietRun

from mininet_kronos.namespace import network_namespace

TIMEOUT = 20.0  # s of real time
QUIET = 2.0  # s of real time in which a switch that needs no packet sockets does nothing
PAUSE = 0.02


def await_switches(switches: Iterable[Any]) -> None:
    """Wait, in real time, until each reads its interfaces, or its processes wait for something else."""
    activities = {switch: _Activity(switch) for switch in switches}
    deadline = time.monotonic() + TIMEOUT
    while activities := {
        switch: activity
        for switch, activity in activities.items()
        if not reads_interfaces(switch) and not activity.is_over()
    }:
        if time.monotonic() > deadline:
            names = ", ".join(switch.name for switch in activities)
            warn(
                f"*** {names}: does not read its interfaces after {TIMEOUT:.0f} s; first frames may be lost\n"
            )
            return
        time.sleep(PAUSE)


def reads_interfaces(switch: Any) -> bool:
    """Tell whether each of a switch's links has a packet socket at this end."""
    with network_namespace(switch.pid):
        ends = {socket.if_nametoindex(intf.name) for intf in switch.intfList() if intf.link}
    lines = Path(f"/proc/{switch.pid}/net/packet").read_text().splitlines()[1:]
    bound = {int(line.split()[4]) for line in lines}
    return 0 in bound or ends <= bound


class _Activity:
    """What the processes of a switch, but for its shell, do."""

    def __init__(self, switch: Any) -> None:
        self._switch = switch
        self._spent: int | None = None
        self._since = 0.0

    def is_over(self) -> bool:
        """Tell whether there are none, or none has used CPU time or wanted to for long."""
        now = time.monotonic()
        states = list(self._states())
        spent = sum(ticks for _, ticks in states)
        if spent != self._spent or any(state in "RD" for state, _ in states):
            self._spent, self._since = spent, now
        return not states or now - self._since > QUIET

    def _states(self) -> Iterator[tuple[str, int]]:
        """Yield the state and CPU time of each process."""
        for pid in self._processes() - {self._switch.shell.pid}:
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                yield fields[0], int(fields[11]) + int(fields[12])

    def _processes(self) -> set[int]:
        """Return those of the logical process, or of the shell's session."""
        experiment = self._switch.kronos.experiment
        if self._switch.traced and experiment.engine == "user":
            return {task.pid for task in experiment.host_status(self._switch.kronos_process).tasks}
        return {int(pid) for pid in quietRun(["pgrep", "-s", str(self._switch.shell.pid)]).split()}
