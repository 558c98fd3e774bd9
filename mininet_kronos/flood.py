"""Notice a controller that floods its switches, or is flooded by them."""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING, Any, Callable

from mininet.log import error

from mininet_kronos.units import SECOND

if TYPE_CHECKING:
    from mininet_kronos.pump import Pump

MANY = 5000  # messages in a second: about what Ryu can do
LOOK_EVERY = SECOND // 2  # ns of real time at least, and a second of the controller's time


class FloodWatch:
    """Says so, in one line, if a controller goes on exchanging many messages with its switches.

    A controller writes each message by itself, so the kernel's count of segments is one of messages.
    Many at once, such as all of a network's flows, are none that go on.
    """

    def __init__(self, kronos: Pump, controller: str, port: int, pace: str, speed: float) -> None:
        """port: where the controller's program listens; pace, speed: as it has been given them."""
        self.kronos = kronos
        self.controller = controller
        self.port = port
        self.limit = MANY * (min(1.0, speed) if pace == "dilated" else 1)
        self._clock: Callable[[], int] = time.monotonic_ns if pace == "realtime" else lambda: kronos.now
        self._looked = time.monotonic_ns()
        self._seen = self._clock(), 0
        self._suspect = False
        kronos.tick_listeners.append(self.look)

    def look(self) -> None:
        """Compare the messages so far with those at the last look."""
        now = self._clock()
        passed = now - self._seen[0]
        if passed < SECOND or time.monotonic_ns() - self._looked < LOOK_EVERY:
            return
        count = self._count()
        rate = (count - self._seen[1]) * SECOND / passed
        if rate > self.limit and self._suspect:
            error(
                f"*** {self.controller}: {rate:.0f} messages a second between it and its switches, at "
                f"{self.kronos.now / SECOND:.3f} s of virtual time; it floods them, or they flood it\n"
            )
            self.stop()
        self._suspect = rate > self.limit
        self._seen = now, count
        self._looked = time.monotonic_ns()

    def _count(self) -> int:
        """Return how many messages the controller's connections have carried."""
        command: list[Any] = ["ss", "-tinH", "sport", "=", f":{self.port}"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return sum(map(int, re.findall(r"data_segs_(?:in|out):(\d+)", said)))

    def stop(self) -> None:
        """Watch no longer."""
        if self.look in self.kronos.tick_listeners:
            self.kronos.tick_listeners.remove(self.look)
