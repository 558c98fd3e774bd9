"""Says on stderr how a run gets on: a live line on a terminal, plain lines at growing intervals elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from mininet_kronos.net import KronosNet

FIRST, GROWTH, LONGEST = 2.0, 2.0, 60.0  # s of real time between plain lines
REFRESH = 0.25  # s, of the live line


class ProgressLine:
    """Follows one network."""

    def __init__(self, net: KronosNet, console: Console | None = None) -> None:
        self._net = net
        self._console = console or Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._interval = FIRST
        self._begin = self._next = 0.0
        self._cpu: dict[str, int] = {}

    def started(self) -> None:
        """Begin, once the network is frozen."""
        self._begin = self._real()
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
            self._next = self._begin
        else:
            self._next = self._begin + FIRST
        self._net.pump.tick_listeners.append(self._tick)

    def stopped(self, _status: str) -> None:
        """Take the live line away, and say in one line what the run was."""
        if not self._begin:
            return
        if self._live:
            self._live.stop()
        self._net.pump.tick_listeners.remove(self._tick)
        self._console.print(self.line(), soft_wrap=True)

    def _real(self) -> float:
        return self._net.experiment.real_time / 1e9

    def _tick(self) -> None:
        now = self._real()
        if now < self._next:
            return
        if self._live:
            self._next = now + REFRESH
            self._live.update(Text(self.line(), no_wrap=True, overflow="ellipsis"), refresh=True)
        else:
            self._interval = min(GROWTH * self._interval, LONGEST)
            self._next = now + self._interval
            self._console.print(self.line(), soft_wrap=True)

    def line(self) -> str:
        """Return how things stand."""
        net = self._net
        real = max(self._real() - self._begin, 1e-9)
        virtual, target, stats = net.now, net.pump.target, net.experiment.stats()
        speed = virtual / 1e9 / real
        end = "" if target is None else f" of {target / 1e9:.3f}"
        parts = [
            f"virtual {virtual / 1e9:.3f}{end} s",
            f"{speed:.3g} virtual s/s",
            f"{stats.rounds:,} rounds, {stats.rounds_skipped:,} passed over",
            f"busiest {self._busiest()}",
        ]
        if target is not None and speed > 0:
            parts.append(f"{max(0.0, (target - virtual) / 1e9 / speed):.0f} s left")
        return " · ".join(parts)

    def _busiest(self) -> str:
        """Return the host that took most CPU time since the last line."""
        experiment = self._net.experiment
        cpu = {host: experiment.host_stats(host).cpu_ns for host in experiment.hosts}
        used = {host: spent - self._cpu.get(host, 0) for host, spent in cpu.items()}
        self._cpu = cpu
        return max(used, key=lambda host: used[host], default="none")
