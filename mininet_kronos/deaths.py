"""Notice that processes end, whoever's children they are."""

from __future__ import annotations

import os
import select
from typing import Callable


class DeathWatch:
    """Calls a function for each of some processes that has ended; readable while there is one."""

    def __init__(self) -> None:
        self._pidfds = select.epoll()
        self._watched: dict[int, tuple[int, Callable[[], None]]] = {}  # by pid

    def fileno(self) -> int:
        """Return a descriptor that is readable while there is something to call."""
        return self._pidfds.fileno()

    def add(self, pid: int, ended: Callable[[], None]) -> None:
        """Let call() call a function, once, when a process has ended."""
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            ended()
            return
        self._pidfds.register(pidfd, select.EPOLLIN)
        self._watched[pid] = pidfd, ended

    def remove(self, pid: int) -> None:
        """Undo add()."""
        if pid in self._watched:
            pidfd, _ended = self._watched.pop(pid)
            self._pidfds.unregister(pidfd)
            os.close(pidfd)

    def call(self) -> None:
        """Call what is to be called."""
        ready = {pidfd for pidfd, _events in self._pidfds.poll(0)}
        for pid, (pidfd, ended) in [*self._watched.items()]:
            if pidfd in ready:
                self.remove(pid)
                ended()

    def close(self) -> None:
        """Watch nothing any more."""
        for pid in [*self._watched]:
            self.remove(pid)
        self._pidfds.close()
