"""One experiment in virtual time: the five stages, over libkronos.

This is the layer below the Mininet classes and works without Mininet: hosts are logical
processes with a name, commands are started with :meth:`Experiment.command_prefix` put before
them. Times are integers in nanoseconds of virtual time since the freeze.
"""

from __future__ import annotations

import ctypes
import math
import os
import select
from collections.abc import Sequence
from pathlib import Path

from mininet_kronos import libkronos
from mininet_kronos.errors import EngineError, ParameterError, UnknownNodeError
from mininet_kronos.experiment_links import LinkRequests
from mininet_kronos.records import (
    COUNTERS,
    ENGINES,
    PACES,
    TASK_STATES,
    HostStats,
    HostStatus,
    Stats,
    TaskStatus,
)

FIRST_CPU = 1  # a place

_SOCKET_MAX = 108  # bytes of a UNIX socket's path, with the final 0


def _or_never(time: int) -> int | None:
    return None if time == libkronos.NEVER else time


def _name_of(names: dict[str, int], number: int) -> str:
    return next(name for name, value in names.items() if value == number)


def _number_from_environment(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    try:
        return int(text, 0)
    except ValueError:
        raise ParameterError(f"${name} must be a whole number, not {text!r}; change it or unset it") from None


def _readable(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


class Experiment(LinkRequests):
    """Five stages: initialize, start commands, synchronize and freeze, progress, stop.

    Use it as a context manager, or call :meth:`stop`: it ends every dilated process. Until the
    freeze virtual time follows real time. If this process dies the engine ends them as well and
    runs what was registered with :meth:`on_abort`.

    seed -- of the links' random generators
    epoch -- CLOCK_REALTIME at the freeze in seconds since 1970 (None: it goes on from now)
    expected_tracers -- `tracer -c` processes that the freeze waits for
    cpu -- the CPU that runs the dilated processes (None: the last one allowed)
    cpus -- run them on so many CPUs, each for a part of the hosts (None: $KRONOS_CPUS, or one)
    engine -- 'user', 'kernel', or 'auto': kernel if its module is loaded (None: $KRONOS_ENGINE, or auto)
    socket_path -- where tracers find the engine, at most 107 bytes (None: a name that nobody else has)
    flags -- kronos.h's KRONOS_F_*; those of $KRONOS_FLAGS are added

    Raises ParameterError.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        epoch: float | None = None,
        expected_tracers: int = 0,
        cpu: int | None = None,
        cpus: int | None = None,
        engine: str | None = None,
        socket_path: str | None = None,
        flags: int = 0,
    ) -> None:
        if epoch is not None and not 0 <= epoch < 2**33:
            raise ParameterError(f"epoch must be seconds since 1970, not {epoch!r}")
        engine = engine or os.environ.get("KRONOS_ENGINE") or "auto"
        if engine not in ENGINES:
            raise ParameterError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
        if cpus is None:
            cpus = 1 if cpu is not None else _number_from_environment("KRONOS_CPUS", 1)
        if cpus < 1:
            raise ParameterError(f"cpus must be at least 1, not {cpus!r}")
        self._config = libkronos.Config(
            struct_size=ctypes.sizeof(libkronos.Config),
            expected_tracers=expected_tracers,
            seed=seed & (2**64 - 1),
            epoch_ns=-1 if epoch is None else round(epoch * 1e9),
            socket_path=socket_path.encode() if socket_path else None,
            cpu=-1 if cpu is None else cpu,
            flags=flags | _number_from_environment("KRONOS_FLAGS", 0),
            cpus=cpus,
            engine=ENGINES[engine],
        )
        self._handle = ctypes.c_void_p()
        self._library: ctypes.CDLL | None = None
        self._hosts: dict[str, int] = {}
        self._watches: set[int] = set()
        self.frozen = False

    def __enter__(self) -> Experiment:
        self.initialize()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it has been initialized and not yet stopped."""
        return bool(self._handle)

    def _call(self, name: str, *arguments: object) -> int:
        if self._library is None or not self._handle:
            raise EngineError("the experiment is not running; fix: initialize it first")
        result: int = getattr(self._library, f"kronos_{name}")(self._handle, *arguments)
        if result < 0:
            raise EngineError(self._library.kronos_error(self._handle).decode())
        return result

    def _host(self, name: str) -> int:
        try:
            return self._hosts[name]
        except KeyError:
            raise UnknownNodeError(
                f"unknown host {name!r}; hosts are: {', '.join(self._hosts) or 'none'}"
            ) from None

    # Stage 1

    def initialize(self) -> None:
        """Start the engine and test what it depends on; errors: EngineError."""
        if self.running:
            raise EngineError("the experiment is running already; fix: stop it first")
        self._library = libkronos.load()
        if self._library.kronos_initialize(ctypes.byref(self._handle), ctypes.byref(self._config)):
            raise EngineError(self._library.kronos_error(None).decode())

    @property
    def socket(self) -> str:
        """Where tracers register (tracer --socket)."""
        assert self._library is not None
        path: bytes = self._library.kronos_socket(self._handle)
        return path.decode()

    @property
    def mechanisms(self) -> str:
        """One line that says which mechanisms the engine has chosen."""
        assert self._library is not None
        line: bytes = self._library.kronos_mechanisms(self._handle)
        return line.decode()

    @property
    def engine(self) -> str:
        """Which engine runs: 'user' or 'kernel'."""
        assert self._library is not None
        return _name_of(ENGINES, self._library.kronos_engine(self._handle))

    def has_joined(self, pid: int) -> bool:
        """Tell whether a process that a tracer starts stands under the engine yet."""
        if self.engine == "kernel":
            assert self._library is not None
            return bool(self._library.kronos_task_time(self._handle, pid) >= 0)
        status = Path(f"/proc/{pid}/status").read_text()
        if "State:\tt" in status:
            return True
        if "TracerPid:\t0\n" in status:
            return False
        # A process of an instant host runs at once, and may wait for something by now.
        try:
            return Path(f"/proc/{pid}/exe").readlink() != libkronos.native_path("tracer").resolve()
        except FileNotFoundError:  # it has ended
            return False

    # Stage 2

    def add_host(
        self,
        name: str,
        *,
        cpu_speed: float = 1.0,
        counter: str = "auto",
        pace: str = "dilated",
        place: int = 0,
        cores: int = 1,
    ) -> int:
        """Declare a host (a logical process with a clock of its own) and return its id.

        cpu_speed -- relative CPU speed: work (instructions, or CPU nanoseconds) per nanosecond of
        virtual time; infinity is the free counter.
        place -- N for the Nth CPU of the experiment's, modulo their number; 0: chosen. Hosts that
        reach each other other than by links (loopback, pipes) need the same.
        cores -- virtual CPUs: while k of its tasks want to run the host's clock moves by the work
        that they do divided by the lesser of k and cores.
        """
        if counter not in COUNTERS:
            raise ParameterError(f"counter must be one of {', '.join(COUNTERS)}, not {counter!r}")
        if pace not in PACES:
            raise ParameterError(f"pace must be one of {', '.join(PACES)}, not {pace!r}")
        if not cpu_speed > 0 or math.isnan(cpu_speed):
            raise ParameterError(f"cpu_speed must be above 0, not {cpu_speed!r}")
        if cores not in range(1, libkronos.CORES_MAX + 1):
            raise ParameterError(f"cores must be 1 to {libkronos.CORES_MAX}, not {cores!r}")
        if not 0 < len(name.encode()) < libkronos.NAME_MAX:
            raise ParameterError(f"a host's name has 1 to {libkronos.NAME_MAX - 1} bytes, not {name!r}")
        config = libkronos.HostConfig(
            struct_size=ctypes.sizeof(libkronos.HostConfig),
            pace=PACES[pace],
            counter=COUNTERS[counter],
            place=place,
            cores=int(cores),
            cpu_speed=cpu_speed,
            name=name.encode(),
        )
        self._hosts[name] = self._call("add_host", ctypes.byref(config))
        return self._hosts[name]

    @property
    def hosts(self) -> Sequence[str]:
        """Names of the hosts declared so far."""
        return tuple(self._hosts)

    def command_prefix(self, name: str) -> list[str]:
        """Return the arguments that make a command put after them a process of this host."""
        self._host(name)
        # A host may have mounted something of its own over /run: the way to the socket goes by this process.
        socket = f"/proc/{os.getpid()}/root{self.socket}"
        if not self.socket.startswith("/") or len(socket) >= _SOCKET_MAX:
            socket = self.socket
        return [str(libkronos.native_path("tracer")), "--socket", socket, "--host", name, "--"]

    def watch_terminal(self, name: str, device: int, event: int) -> None:
        """Keep an eventfd readable while a process of a host waits for nothing but what is typed.

        device -- of the terminal's slave; a host has one at a time
        """
        self._call("watch_terminal", self._host(name), device, event)

    def on_abort(self, shell_command: str) -> None:
        """Let the engine run this command if this process dies before :meth:`stop`."""
        self._call("on_abort", shell_command.encode())

    def kill_host(self, name: str) -> None:
        """End every task of a host with SIGKILL and wait until they are gone."""
        self._call("kill_host", self._host(name))

    def remove_host(self, name: str) -> None:
        """End every task of a host for good; another one may have its name."""
        self._call("remove_host", self._host(name))
        del self._hosts[name]

    # Stage 3

    def synchronize_and_freeze(self, timeout_ms: int = -1) -> int:
        """Wait for the expected tracers, then freeze everything; return their number."""
        tracers = self._call("freeze", timeout_ms)
        self.frozen = True
        return tracers

    def thaw(self) -> None:
        """Let virtual time follow real time again, until the next freeze."""
        self._call("thaw")
        self.frozen = False

    # Stage 4

    def progress(self, timestep_ns: int, rounds: int, until_fd: int = -1) -> int:
        """Run rounds; return how many were done.

        Ends early in the round in which `until_fd` becomes readable. KeyboardInterrupt ends it
        after a round, with all clocks equal.
        """
        done = 0
        while True:
            done += self._call("progress", timestep_ns, rounds - done, until_fd)
            if done >= rounds or self._watches or (until_fd >= 0 and _readable(until_fd)):
                return done
            # A signal has ended it early; its handler has run here, without an exception.

    def watch_fd(self, descriptor: int) -> int:
        """End every progress() in the round in which this is readable, too; return its number."""
        number = self._call("watch_fd", descriptor)
        self._watches.add(number)
        return number

    def unwatch_fd(self, number: int) -> None:
        """Undo watch_fd()."""
        if self.running:
            self._call("unwatch_fd", number)
        self._watches.discard(number)

    @property
    def now(self) -> int:
        """The network's clock."""
        return self._call("now")

    @property
    def real_time(self) -> int:
        """Real time in ns from some start; time.monotonic() stands when the kernel engine has frozen all."""
        return self._call("real_time")

    def real_wait(self, timeout: int, fd: int = -1) -> None:
        """Wait for `timeout` ns of real time, or until a descriptor is readable, or a signal comes."""
        assert self._library is not None
        self._library.kronos_real_wait(self._handle, fd, timeout)

    def host_time(self, name: str) -> int:
        """Return a host's own clock; between rounds all are equal."""
        return self._call("host_time", self._host(name))

    def stats(self) -> Stats:
        """Return what the engine has done so far."""
        stats = libkronos.Stats()
        self._call("stats", ctypes.byref(stats))
        return Stats(*(getattr(stats, name) for name in Stats.__dataclass_fields__))

    def host_stats(self, name: str) -> HostStats:
        """Return what one host has done so far."""
        stats = libkronos.HostStats()
        self._call("host_stats", self._host(name), ctypes.byref(stats))
        return HostStats(*(getattr(stats, field) for field in HostStats.__dataclass_fields__))

    def host_status(self, name: str) -> HostStatus:
        """Return where a host and each of its tasks stand."""
        host = self._host(name)
        status, task = libkronos.HostStatus(), libkronos.Task()
        self._call("host_status", host, ctypes.byref(status))
        tasks: list[TaskStatus] = []
        while self._call("task", host, len(tasks), ctypes.byref(task)):
            state, call = TASK_STATES[task.state], task.call.decode()
            program = task.program.decode(errors="replace")
            tasks.append(TaskStatus(task.pid, task.tid, program, state, call, _or_never(task.deadline)))
        return HostStatus(
            name=name,
            clock=status.clock,
            next=_or_never(status.next),
            pace=_name_of(PACES, status.pace),
            counter=_name_of(COUNTERS, status.counter),
            cpu_speed=status.cpu_speed,
            tasks=tuple(tasks),
        )

    # Stage 5

    def stop(self) -> None:
        """End every dilated process and the engine; may be called again."""
        if self._library is None or not self._handle:
            return
        handle, self._handle = self._handle, ctypes.c_void_p()
        self.frozen = False
        self._library.kronos_stop(handle)
