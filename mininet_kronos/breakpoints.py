"""Breakpoints: stop virtual time at a moment, at a node's output, or at a frame on a link."""

from __future__ import annotations

import re
import socket
from collections import deque
from typing import Any

from mininet_kronos.errors import BreakpointReached, ParameterError
from mininet_kronos.frames import FRAME_MAX, compile_filter, describe_frame
from mininet_kronos.pump import Pump
from mininet_kronos.units import format_duration, parse_duration

LINE_MAX = 4096  # characters of a line without end that a pattern is sought in


class Breakpoint:
    """Stops virtual time once; what runs rounds then raises BreakpointReached."""

    def __init__(self, pump: Pump, what: str) -> None:
        """Keep a description for users."""
        self.pump = pump
        self.what = what
        self.reached = False

    def reach(self, found: str = "") -> None:
        """Stop virtual time at the end of this round."""
        if not self.reached:
            self.clear()
            self.reached = True
            detail = f": {found}" if found else ""
            now = format_duration(self.pump.now)
            self.pump.halt(BreakpointReached(f"stopped at {now}: {self.what}{detail}"))

    def clear(self) -> None:
        """Take the breakpoint away."""


class TimeBreakpoint(Breakpoint):
    """Stops at a virtual time."""

    def __init__(self, pump: Pump, time: int) -> None:
        """time: in ns since the freeze."""
        super().__init__(pump, f"virtual time {format_duration(time)}")
        self._on = True
        pump.at(time, self._ring)

    def _ring(self) -> None:
        if self._on:
            self.reach()

    def clear(self) -> None:
        """Take the breakpoint away."""
        self._on = False


class OutputBreakpoint(Breakpoint):
    """Stops when a node writes what a regular expression matches: on its shell, or what a script reads."""

    def __init__(self, pump: Pump, node: Any, pattern: str) -> None:
        """node: a node of the net; pattern: sought in each line."""
        super().__init__(pump, f"output of {node} that matches '{pattern}'")
        try:
            self._pattern = re.compile(pattern)
        except re.error as problem:
            raise ParameterError(f"pattern '{pattern}' is not understood: {problem}") from None
        self._node = node
        self._lines: dict[str, str] = {}  # not yet ended, by process
        pump.output_listeners.append(self._hear)
        pump.watch(node.stdout.fileno(), self._read)

    def _read(self) -> None:
        """Hear what the shell writes while nobody waits for it; whoever waits later finds it."""
        if not self._node.lives():
            self.clear()
            return
        text = self._node.read()
        self._node.readbuf = text + self._node.readbuf

    def _hear(self, node: str, source: str, data: bytes) -> None:
        if node != self._node.name:
            return
        text = self._lines.pop(source, "") + data.decode(errors="replace")
        *lines, rest = re.split(r"[\r\n\x7f]+", text)
        self._lines[source] = rest[-LINE_MAX:]
        for line in [*lines, rest]:
            if self._pattern.search(line):
                self.reach(line)
                return

    def clear(self) -> None:
        """Take the breakpoint away."""
        if self._hear in self.pump.output_listeners:
            self.pump.output_listeners.remove(self._hear)
            self.pump.unwatch(self._node.stdout.fileno(), self._read)


class FrameBreakpoint(Breakpoint):
    """Stops at the first frame on a link that a tcpdump filter matches."""

    def __init__(self, pump: Pump, link: Any, expression: str) -> None:
        """link: a KronosLink; expression: as tcpdump takes it, '' for any frame."""
        super().__init__(pump, f"a frame on {link}{f' that matches {expression!r}' if expression else ''}")
        self._ours: socket.socket = link.frames(compile_filter(expression))
        pump.watch(self._ours.fileno(), self._take)

    def _take(self) -> None:
        self.reach(describe_frame(self._ours.recv(FRAME_MAX)))

    def clear(self) -> None:
        """Take the breakpoint away."""
        if self._ours.fileno() >= 0:
            self.pump.unwatch(self._ours.fileno(), self._take)
            self._ours.close()


class Breakpoints:
    """The breakpoints of a net that have not been reached."""

    def __init__(self, net: Any) -> None:
        self._net = net
        self._set: deque[Breakpoint] = deque()

    def __iter__(self) -> Any:
        return iter([each for each in self._set if not each.reached])

    def add(self, line: str) -> Breakpoint:
        """Set what a line asks for: a time, a node and a pattern, or a link and a filter."""
        first, _, rest = line.partition(" ")
        pump, rest = self._net.pump, rest.strip()
        if first in self._net:
            if not rest:
                raise ParameterError(
                    f"break {first}: a pattern is missing; for example: break {first} 64 bytes"
                )
            made: Breakpoint = OutputBreakpoint(pump, self._net[first], rest)
        elif link := self._net.findLink(first):
            made = FrameBreakpoint(pump, link, rest)
        elif first[:1].isdigit() or first[:1] in "+.":
            made = TimeBreakpoint(pump, self._time(line))
        else:
            raise ParameterError(
                f"'{first}' is no node, no link and no time; for example: break 10s, break h1 64 bytes, "
                "break s1-eth1 icmp"
            )
        self._set.append(made)
        return made

    def _time(self, text: str) -> int:
        now = self._net.now
        time = parse_duration(text.lstrip("+"), "time")
        time += now if text.startswith("+") else 0
        if time <= now:
            raise ParameterError(
                f"time {text} has passed: it is {format_duration(now)}; +{text} is from now on"
            )
        return time

    def clear(self) -> None:
        """Take all away."""
        while self._set:
            self._set.pop().clear()
