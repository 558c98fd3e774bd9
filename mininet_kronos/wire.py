"""What carries a link's frames with the user engine: two TAP devices whose descriptors the engine holds."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mininet_kronos.errors import KronosError
from mininet_kronos.frames import attach_filter
from mininet_kronos.interfaces import set_mac
from mininet_kronos.namespace import namespace_of
from mininet_kronos.records import LinkParams, LinkStats
from mininet_kronos.taps import keep_quiet, leave_to_namespace, open_tap

if TYPE_CHECKING:
    from mininet_kronos.pump import Pump


class EngineWire:
    """Each direction is one FIFO server with the link's rate and a drop-tail queue, then netem's models."""

    def __init__(self, kronos: Pump) -> None:
        self._kronos = kronos
        self._taps: list[int] = []
        self._ends: tuple[Any, Any] | None = None
        self._id: int | None = None

    def check(self, name: str, params: LinkParams) -> None:
        """Raise ParameterError for what this engine does not do: nothing."""

    def make(self, *ends: tuple[Any, str, str | None]) -> None:
        """Make the devices in these nodes' namespaces, with these names and addresses."""
        for node, name, address in ends:
            with namespace_of(node):
                self._taps.append(open_tap(name))
                if not node.inNamespace:
                    keep_quiet(name)
                if address:
                    set_mac(name, address)

    def release(self) -> None:
        """Close what is left of descriptors that are the engine's by now, or that it shall not have."""
        for tap in self._taps:
            os.close(tap)
        self._taps.clear()

    def connect(self, intf1: Any, intf2: Any) -> None:
        """Hand both ends to the engine."""
        ends = [(tap, intf.node.kronos_process, intf.name) for tap, intf in zip(self._taps, (intf1, intf2))]
        self._id = self._kronos.experiment.add_link(ends[0], ends[1], intf1.shape, intf2.shape)
        self._ends = intf1, intf2
        for tap, intf in zip(self._taps, self._ends):
            if intf.node.inNamespace:
                leave_to_namespace(tap)

    @property
    def id(self) -> int:
        """The link's number in the experiment; direction 0 is what the first end sends."""
        if self._id is None:
            raise KronosError("the link is not up")
        return self._id

    def shape(self, intf: Any, params: LinkParams) -> None:
        """Let what an end sends travel by these parameters from now on."""
        if self._id is not None:  # else it is being made
            self._kronos.experiment.set_link(self.id, self._direction(intf), params)

    def restore(self, intf: Any) -> None:
        """Have nothing to restore: Open vSwitch does not touch it."""

    def capture(self, intf: Any, path: Path | None) -> None:
        """Let an end's capture go to a file from now on, or nowhere."""
        capture = self._kronos.experiment.capture
        if path is None:
            capture(self.id, self._direction(intf))
        else:
            with path.open("wb") as file:
                capture(self.id, self._direction(intf), file.fileno())

    def frames(self, program: bytes) -> socket.socket:
        """Return a socket that receives what passes and a classic BPF program lets through."""
        theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with theirs:
            attach_filter(ours, program)
            self._kronos.experiment.watch_link(self.id, theirs.fileno())
        return ours

    def counters(self, direction: int) -> LinkStats:
        """Return what a direction has carried."""
        return self._kronos.experiment.link_stats(self.id, direction)

    def leave(self, intf: Any) -> None:
        """Hear that an interface is about to be deleted."""

    def delete(self) -> None:
        """Delete it when its interfaces are gone: what is on its way is lost."""
        if self._id is not None and not self._kronos.stopped:
            self._kronos.experiment.remove_link(self._id)
        self._id = None

    def _direction(self, intf: Any) -> int:
        assert self._ends
        return int(intf is self._ends[1])
