"""Let virtual time pass while Mininet waits for a descriptor.

Mininet's methods block in read() or poll() until a command has answered. A frozen network never answers,
so every such wait goes through a Pump, which runs rounds until the answer is there. Before the freeze it
simply waits. Nodes, processes and the CLI share their net's pump; nothing here knows of them.
"""

from __future__ import annotations

import heapq
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Protocol, Union

from mininet_kronos.deaths import DeathWatch
from mininet_kronos.errors import KronosError

if TYPE_CHECKING:
    from mininet_kronos.experiment import Experiment
    from mininet_kronos.ovs import PrivateOVS

MILLISECOND = 1_000_000
MAX_ROUNDS = 1 << 30  # in one call
READ_EVENTS = select.POLLIN | select.POLLPRI


class HasFileno(Protocol):
    """Something with a descriptor."""

    def fileno(self) -> int:
        """Return the descriptor."""


Descriptor = Union[int, HasFileno]
# Called with the node's name, which of its processes ("shell", or a pid and a stream), and what it wrote.
OutputListener = Callable[[str, str, bytes], None]


def is_ready(fd: int, events: int = READ_EVENTS) -> bool:
    """Tell whether a descriptor is ready now; looking also delivers what a pty holds back."""
    poller = select.poll()
    poller.register(fd, events)
    return bool(poller.poll(0))


class Pump:
    """Runs an experiment's rounds for those who wait."""

    def __init__(self, experiment: Experiment, directory: Path) -> None:
        """directory: for logs and the like; goes with the net."""
        self.experiment = experiment
        self.directory = directory
        self.captures = Path()  # where captures go that nobody has given a path
        self.timestep = MILLISECOND  # ns; set before the freeze
        self.stopped = False
        self.target: int | None = None  # virtual time that a run() is to reach
        self.require_ovs: Callable[[str], PrivateOVS]  # starts the net's Open vSwitch, if it does not run
        self.add_link: Callable[..., object]  # the net's
        self.stopping = False  # Mininet takes the net down, whose processes have ended
        self.output_listeners: list[OutputListener] = []
        self.tick_listeners: list[Callable[[], None]] = []  # several times a second of real time
        self._watched: dict[int, tuple[int, list[Callable[[], None]]]] = {}  # by descriptor
        self._halted: Exception | None = None
        self._deaths = DeathWatch()
        self._alarms: list[tuple[int, int, Callable[[], int | None]]] = []
        self._alarm_count = 0
        self._rounds = 64  # in one call: as many as take about a tenth of a second

    @property
    def frozen(self) -> bool:
        """Whether time stands still but for the rounds that are asked for."""
        return not self.stopped and self.experiment.frozen

    @property
    def now(self) -> int:
        """Virtual time in ns since the freeze."""
        return self.experiment.now

    def progress(self, rounds: int, timestep: int | None = None) -> int:
        """Run rounds of one timestep (None: the network's); return how many were done."""
        self._require_frozen()
        done = 0
        while done < rounds:
            done += self._step(rounds - done, timestep=timestep)
        return done

    def run(self, duration: int) -> None:
        """Let exactly `duration` ns of virtual time pass; the last round may be a shorter one."""
        self._require_frozen()
        rounds, rest = divmod(duration, self.timestep)
        self.target = self.now + duration
        try:
            self.progress(rounds)
            if rest:
                self.progress(1, rest)
        finally:
            self.target = None

    def at(self, time: int, alarm: Callable[[], int | None]) -> None:
        """Call a function at the end of the round in which virtual time reaches `time` (ns).

        It returns when it wants to be called again, or None.
        """
        self._alarm_count += 1
        heapq.heappush(self._alarms, (time, self._alarm_count, alarm))

    def wait(self, fd: int, timeout: int | None = None, alive: Callable[[], bool] | None = None) -> bool:
        """Wait until a descriptor is readable; return False if it is not.

        timeout: ns, of virtual time once frozen (None: without end)
        alive: asked now and then whether waiting still makes sense
        """
        if is_ready(fd):
            return True
        self._require_running()
        deadline = None if timeout is None else self._clock() + timeout
        while True:
            left = None if deadline is None else deadline - self._clock()
            if left is not None and left <= 0:
                return False
            if alive and not alive():
                return is_ready(fd)
            if self.frozen:
                self._step(MAX_ROUNDS if left is None else -(-left // self.timestep), fd)
            else:
                self._sleep(fd, left)
            if is_ready(fd):
                return True

    def wait_outside(self, fd: int) -> None:
        """Wait, in real time, until a descriptor of a program outside is readable; it may ask switches.

        What is instant answers. The kernel engine needs a little virtual time for it.
        """
        kernel = self.experiment.engine == "kernel"
        while not is_ready(fd):
            if kernel and self.frozen:
                self.progress(1, timestep=1)
            self._sleep(fd, MILLISECOND if kernel else None)

    @contextmanager
    def watching(self, fds: Iterable[int], callback: Callable[[], None]) -> Iterator[None]:
        """Call a function in each round in which one of these is readable."""
        fds = tuple(fds)
        try:
            for fd in fds:
                self.watch(fd, callback)
            yield
        finally:
            for fd in fds:
                self.unwatch(fd, callback)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Do so until unwatch(); nobody may leave what is there to be read there for long."""
        with _without_interrupts():
            if fd not in self._watched:
                self._watched[fd] = self.experiment.watch_fd(fd), []
            self._watched[fd][1].append(callback)

    def unwatch(self, fd: int, callback: Callable[[], None]) -> None:
        """Undo watch()."""
        with _without_interrupts():
            number, callbacks = self._watched.get(fd, (0, []))
            if callback in callbacks:
                callbacks.remove(callback)
                if not callbacks:
                    del self._watched[fd]
                    self.experiment.unwatch_fd(number)

    def _look(self, waited: int) -> None:
        """Call those who watch something else that is readable."""
        for fd, (_number, callbacks) in [*self._watched.items()]:
            for callback in [*callbacks]:
                if fd != waited and is_ready(fd):
                    callback()

    def halt(self, reason: Exception) -> None:
        """Raise this, in the call that runs rounds now or next, before another round."""
        self._halted = reason

    def heed_halt(self) -> None:
        """Raise what halt() was given, if it has not been raised yet."""
        if self._halted:
            reason, self._halted = self._halted, None
            raise reason

    def watch_process(self, pid: int, ended: Callable[[], None]) -> None:
        """Call a function, and look at what is waited for, in the round in which a process ends."""
        if self._deaths.fileno() not in self._watched:
            self.watch(self._deaths.fileno(), self._deaths.call)
        self._deaths.add(pid, ended)

    def unwatch_process(self, pid: int) -> None:
        """Do not mind any longer whether a process ends."""
        self._deaths.remove(pid)

    def close(self) -> None:
        """Let go of what the pump holds, when the net has been taken down."""
        self._deaths.close()

    def overheard(self, node: str, source: str, data: bytes) -> None:
        """Tell those who listen what a process has written, when the orchestrator reads it."""
        for listener in tuple(self.output_listeners):
            listener(node, source, data)

    def _clock(self) -> int:
        return self.now if self.frozen else time.monotonic_ns()

    def _step(self, most: int, fd: int = -1, timestep: int | None = None) -> int:
        """Run at least one round, and about as many as take a tenth of a second; return how many."""
        self.heed_halt()
        timestep = timestep or self.timestep
        rounds = min(self._rounds, most)
        if self._alarms:
            left = self._alarms[0][0] - self.now
            rounds = max(1, min(rounds, -(-left // timestep)))
        begin = self.experiment.real_time
        done = self.experiment.progress(timestep, rounds, fd)
        spent = self.experiment.real_time - begin
        if done == self._rounds and spent < 50 * MILLISECOND:
            self._rounds = min(2 * self._rounds, MAX_ROUNDS)
        elif spent > 200 * MILLISECOND and self._rounds > 1:
            self._rounds //= 2
        self._ring()
        self._look(fd)
        self.heed_halt()
        return done

    def _sleep(self, fd: int, left: int | None) -> None:
        """Wait in real time, for at most a second."""
        with select.epoll() as any_of:
            for each in {fd, *self._watched}:
                any_of.register(each, select.EPOLLIN)
            most = 1000 * MILLISECOND
            self.experiment.real_wait(most if left is None else min(most, left), any_of.fileno())
        self._look(fd)

    def _ring(self) -> None:
        """Call what is due."""
        for tick in tuple(self.tick_listeners):
            tick()
        while self._alarms and self._alarms[0][0] <= self.now:
            _time, number, alarm = heapq.heappop(self._alarms)
            again = alarm()
            if again is not None:
                heapq.heappush(self._alarms, (again, number, alarm))

    def _require_running(self) -> None:
        if self.stopped:
            raise KronosError("the network has been stopped; make a new KronosNet")

    def _require_frozen(self) -> None:
        self._require_running()
        if not self.frozen:
            raise KronosError(
                "virtual time is not frozen; call net.start() first, or net.freeze() ('freeze') after a thaw"
            )


def _leave() -> None:
    """Leave what has come to whoever waits for it."""


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back for a moment."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# Descriptors whose other end is in virtual time, and the pump that moves it.
_pumps: dict[int, Pump] = {}


def own(fd: int, pump: Pump) -> None:
    """Say that what comes over a descriptor comes in virtual time."""
    _pumps[fd] = pump


def disown(fd: int) -> None:
    """Forget a descriptor, before it is closed."""
    _pumps.pop(fd, None)


class Poller:
    """select.poll() that lets virtual time pass if it watches something that is in virtual time.

    Timeouts are then virtual as well. Takes the place of `poll` in mininet.util while a net is up, so that
    pmonitor() works unchanged.
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        self._events: dict[int, int] = {}

    def register(self, fd: Descriptor, events: int = READ_EVENTS | select.POLLOUT) -> None:
        """Watch a descriptor, as select.poll.register()."""
        number = fd if isinstance(fd, int) else fd.fileno()
        self._poll.register(number, events)
        self._events[number] = events

    modify = register

    def unregister(self, fd: Descriptor) -> None:
        """Stop watching a descriptor."""
        number = fd if isinstance(fd, int) else fd.fileno()
        self._poll.unregister(number)
        del self._events[number]

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """Return (descriptor, events) pairs; waits up to `timeout` ms (None or negative: without end)."""
        pump = next((_pumps[fd] for fd in self._events if fd in _pumps), None)
        if pump is None or not pump.frozen:
            return self._poll.poll(timeout)
        ready = self._poll.poll(0)
        if ready or timeout == 0:
            return ready
        with select.epoll() as both:
            for fd, events in self._events.items():
                both.register(fd, events)
            endless = timeout is None or timeout < 0
            # The engine has to look at a pty itself to see at once what was written to it.
            with pump.watching((fd for fd, events in self._events.items() if events & READ_EVENTS), _leave):
                pump.wait(both.fileno(), None if endless else round(float(timeout or 0) * MILLISECOND))
        return self._poll.poll(0)


def write_all(fd: int, data: bytes, pump: Pump) -> int:
    """Write to a pipe as much as goes in without blocking; waits in virtual time for the first bytes."""
    with select.epoll() as writable:
        writable.register(fd, select.EPOLLOUT)
        pump.wait(writable.fileno())
    return os.write(fd, data[: select.PIPE_BUF])
