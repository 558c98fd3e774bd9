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
from dataclasses import dataclass
from pathlib import Path

from mininet_kronos.errors import EngineError, ParameterError, UnknownNodeError

COUNTERS = {"auto": 0, "instructions": 1, "cputime": 2, "free": 3}
ENGINES = {"auto": 0, "user": 1, "kernel": 2}
PACES = {"dilated": 0, "instant": 1, "realtime": 2}
TASK_STATES = ("joining", "ready", "waiting", "stopped")
DISTRIBUTIONS = {"uniform": 0, "normal": 1, "pareto": 2, "paretonormal": 3}
FIRST_CPU = 1  # a place
_CORES_MAX = 1024

_NAME_MAX = 64
_RED, _ECN, _JITTER_REORDERS = 1, 2, 4  # flags of a link
_INTERFACE_MAX = 16
_SOCKET_MAX = 108
_NEVER = 2**63 - 1


@dataclass(frozen=True)
class LinkParams:
    """One direction of a link; probabilities and correlations are 0 to 1.

    jitter_ns is a standard deviation, or half the width of the uniform distribution.
    """

    bw_bps: float = 0.0  # bits per second; 0: infinite
    delay_ns: int = 0
    jitter_ns: int = 0
    max_queue: int = 0  # frames, waiting and in service; 0: unlimited
    max_queue_bytes: int = 0  # of them
    distribution: str = "uniform"  # of jitter: a key of DISTRIBUTIONS
    jitter_reorders: bool = False  # else no frame overtakes another by jitter
    red: bool = False  # random early detection with TCLink's parameters
    ecn: bool = False  # the same, but frames that understand it are marked
    reorder_gap: int = 1  # every so many frames one may be reordered
    loss: float = 0.0
    loss_correlation: float = 0.0
    delay_correlation: float = 0.0
    ge_p: float = 0.0  # Gilbert-Elliott, instead of loss: from the good to the bad state
    ge_r: float = 0.0  # and back
    ge_bad_loss: float = 0.0  # 1-h of netem's loss gemodel
    ge_good_loss: float = 0.0  # 1-k
    duplicate: float = 0.0
    duplicate_correlation: float = 0.0
    corrupt: float = 0.0  # one bit
    corrupt_correlation: float = 0.0
    reorder: float = 0.0  # such frames have no delay
    reorder_correlation: float = 0.0


@dataclass(frozen=True)
class LinkStats:
    """What one direction of a link has carried so far."""

    tx_frames: int
    tx_bytes: int
    rx_frames: int
    rx_bytes: int
    dropped_queue: int = 0
    dropped_loss: int = 0
    late: int = 0  # frames that came after the receiver's clock had passed their arrival
    queued: int = 0  # in flight or queued now
    queue_frames: int = 0  # waiting or being sent now
    queue_bytes: int = 0
    dropped_red: int = 0
    dropped_down: int = 0  # the receiver's interface was down
    duplicated: int = 0
    corrupted: int = 0
    reordered: int = 0
    marked: int = 0  # by ECN
    max_late_ns: int = 0


@dataclass(frozen=True)
class Stats:
    """What the engine has done so far."""

    rounds: int
    rounds_skipped: int  # of rounds: passed over because nobody had work
    slices: int  # times a task was let run
    stops: int  # ptrace stops handled
    frames: int
    late_frames: int
    hosts: int
    tasks: int


@dataclass(frozen=True)
class HostStats:
    """What one host has done so far."""

    cpu_ns: int  # real CPU time that its tasks were charged for
    slices: int  # times that one of them was let run
    tasks: int  # now


@dataclass(frozen=True)
class TaskStatus:
    """Where a thread of a host stands."""

    pid: int
    tid: int
    program: str
    state: str  # one of TASK_STATES
    call: str  # the system call that it waits in, or ''
    deadline: int | None  # when that call times out, in ns since the freeze


@dataclass(frozen=True)
class HostStatus:
    """Where a host stands; times in ns since the freeze."""

    name: str
    clock: int
    next: int | None  # when it can act again; None: nothing is due
    pace: str
    counter: str
    cpu_speed: float
    tasks: tuple[TaskStatus, ...]  # the youngest first


# The structures of kronos.h.


class _Config(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("expected_tracers", ctypes.c_uint32),
        ("seed", ctypes.c_uint64),
        ("epoch_ns", ctypes.c_int64),
        ("engine_path", ctypes.c_char_p),
        ("socket_path", ctypes.c_char_p),
        ("cpu", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
        ("cpus", ctypes.c_uint32),
        ("engine", ctypes.c_uint32),
    ]


class _HostConfig(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("pace", ctypes.c_uint32),
        ("counter", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("place", ctypes.c_uint32),
        ("cores", ctypes.c_uint32),
        ("cpu_speed", ctypes.c_double),
        ("name", ctypes.c_char * _NAME_MAX),
    ]


_PROBABILITIES = (
    "loss", "loss_correlation", "delay_correlation", "ge_p", "ge_r", "ge_bad_loss", "ge_good_loss",
    "duplicate", "duplicate_correlation", "corrupt", "corrupt_correlation", "reorder", "reorder_correlation",
)  # fmt: skip


class _LinkParams(ctypes.Structure):
    _fields_ = [
        ("bw_bps", ctypes.c_double),
        ("delay_ns", ctypes.c_int64),
        ("jitter_ns", ctypes.c_int64),
        ("max_queue", ctypes.c_int64),
        ("max_queue_bytes", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("distribution", ctypes.c_uint32),
        ("reorder_gap", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        *((name, ctypes.c_double) for name in _PROBABILITIES),
    ]


class _LinkConfig(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("host", ctypes.c_uint32 * 2),
        ("tap_fd", ctypes.c_int32 * 2),
        ("dir", _LinkParams * 2),
        ("name", (ctypes.c_char * _INTERFACE_MAX) * 2),
    ]


class _RelayConfig(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("host", ctypes.c_uint32 * 2),
        ("listener", ctypes.c_int32),
        ("port", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("delay_ns", ctypes.c_int64),
    ]


class _LinkStats(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int64 if name == "max_late_ns" else ctypes.c_uint64)
        for name in LinkStats.__dataclass_fields__
    ]


class _Stats(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in Stats.__dataclass_fields__]


class _HostStats(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in HostStats.__dataclass_fields__]


class _HostStatus(ctypes.Structure):
    _fields_ = [
        ("clock", ctypes.c_int64),
        ("next", ctypes.c_int64),
        ("tasks", ctypes.c_uint32),
        ("pace", ctypes.c_uint32),
        ("counter", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("cpu_speed", ctypes.c_double),
    ]


class _Task(ctypes.Structure):
    _fields_ = [
        ("pid", ctypes.c_int32),
        ("tid", ctypes.c_int32),
        ("state", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("deadline", ctypes.c_int64),
        ("call", ctypes.c_char * 32),
        ("program", ctypes.c_char * 16),
    ]


def native_path(name: str) -> Path:
    """Return the path of a built C part: installed with the package, or in a source tree."""
    package = Path(__file__).resolve().parent
    for directory in (package / "native", package.parent / "tracer" / "build"):
        if (directory / name).exists():
            return directory / name
    raise EngineError(f"{name} has not been built; fix: make setup")


def _or_never(time: int) -> int | None:
    return None if time == _NEVER else time


def _name_of(names: dict[str, int], number: int) -> str:
    return next(name for name, value in names.items() if value == number)


def _readable(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(str(native_path("libkronos.so")))
    pointer, text, i64, u32 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_uint32
    prototypes: dict[str, tuple[object, list[object]]] = {
        "initialize": (ctypes.c_int, [ctypes.POINTER(pointer), ctypes.POINTER(_Config)]),
        "socket": (text, [pointer]),
        "mechanisms": (text, [pointer]),
        "error": (text, [pointer]),
        "add_host": (ctypes.c_int, [pointer, ctypes.POINTER(_HostConfig)]),
        "kill_host": (ctypes.c_int, [pointer, u32]),
        "add_link": (ctypes.c_int, [pointer, ctypes.POINTER(_LinkConfig)]),
        "remove_link": (ctypes.c_int, [pointer, u32]),
        "capture": (ctypes.c_int, [pointer, u32, u32, ctypes.c_int]),
        "set_link": (ctypes.c_int, [pointer, u32, u32, ctypes.POINTER(_LinkParams)]),
        "link_stats": (ctypes.c_int, [pointer, u32, u32, ctypes.POINTER(_LinkStats)]),
        "add_relay": (ctypes.c_int, [pointer, ctypes.POINTER(_RelayConfig)]),
        "on_abort": (ctypes.c_int, [pointer, text]),
        "freeze": (ctypes.c_int, [pointer, ctypes.c_int]),
        "thaw": (ctypes.c_int, [pointer]),
        "progress": (i64, [pointer, i64, i64, ctypes.c_int]),
        "now": (i64, [pointer]),
        "host_time": (i64, [pointer, u32]),
        "real_time": (i64, [pointer]),
        "real_wait": (ctypes.c_int, [pointer, ctypes.c_int, i64]),
        "stats": (ctypes.c_int, [pointer, ctypes.POINTER(_Stats)]),
        "host_stats": (ctypes.c_int, [pointer, u32, ctypes.POINTER(_HostStats)]),
        "host_status": (ctypes.c_int, [pointer, u32, ctypes.POINTER(_HostStatus)]),
        "task": (ctypes.c_int, [pointer, u32, u32, ctypes.POINTER(_Task)]),
        "watch_link": (ctypes.c_int, [pointer, u32, ctypes.c_int]),
        "watch_fd": (ctypes.c_int, [pointer, ctypes.c_int]),
        "unwatch_fd": (ctypes.c_int, [pointer, ctypes.c_int]),
        "engine": (ctypes.c_int, [pointer]),
        "task_time": (i64, [pointer, ctypes.c_int32]),
        "stop": (ctypes.c_int, [pointer]),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(library, f"kronos_{name}")
        function.restype, function.argtypes = result, arguments
    return library


def _link_params(params: LinkParams) -> _LinkParams:
    return _LinkParams(
        bw_bps=params.bw_bps,
        delay_ns=params.delay_ns,
        jitter_ns=params.jitter_ns,
        max_queue=params.max_queue,
        max_queue_bytes=params.max_queue_bytes,
        flags=params.red * _RED | params.ecn * _ECN | params.jitter_reorders * _JITTER_REORDERS,
        distribution=DISTRIBUTIONS[params.distribution],
        reorder_gap=params.reorder_gap,
        **{name: getattr(params, name) for name in _PROBABILITIES},
    )


class Experiment:
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
            cpus = 1 if cpu is not None else int(os.environ.get("KRONOS_CPUS", "1"))
        if cpus < 1:
            raise ParameterError(f"cpus must be at least 1, not {cpus!r}")
        self._config = _Config(
            struct_size=ctypes.sizeof(_Config),
            expected_tracers=expected_tracers,
            seed=seed & (2**64 - 1),
            epoch_ns=-1 if epoch is None else round(epoch * 1e9),
            socket_path=socket_path.encode() if socket_path else None,
            cpu=-1 if cpu is None else cpu,
            flags=flags | int(os.environ.get("KRONOS_FLAGS", "0"), 0),
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
        self._library = _load()
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
        return "State:\tt" in Path(f"/proc/{pid}/status").read_text()

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
        if cores not in range(1, _CORES_MAX + 1):
            raise ParameterError(f"cores must be 1 to {_CORES_MAX}, not {cores!r}")
        if not 0 < len(name.encode()) < _NAME_MAX:
            raise ParameterError(f"a host's name has 1 to {_NAME_MAX - 1} bytes, not {name!r}")
        config = _HostConfig(
            struct_size=ctypes.sizeof(_HostConfig),
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
        return [str(native_path("tracer")), "--socket", socket, "--host", name, "--"]

    def add_link(
        self,
        end0: tuple[int, str, str],
        end1: tuple[int, str, str],
        params01: LinkParams,
        params10: LinkParams,
    ) -> int:
        """Connect two TAP devices; return the link's id.

        Each end is (descriptor of the TAP, host that owns it, name of the interface). The engine
        duplicates the descriptors: close yours.
        """
        ends = (end0, end1)
        config = _LinkConfig(struct_size=ctypes.sizeof(_LinkConfig))
        for index, (descriptor, host, interface) in enumerate(ends):
            config.host[index] = self._host(host)
            config.tap_fd[index] = descriptor
            config.name[index].value = interface.encode()[: _INTERFACE_MAX - 1]
        config.dir[0], config.dir[1] = _link_params(params01), _link_params(params10)
        return self._call("add_link", ctypes.byref(config))

    def set_link(self, link: int, direction: int, params: LinkParams) -> None:
        """Change one direction of a link (0: from end0 to end1) from now on."""
        self._call("set_link", link, direction, ctypes.byref(_link_params(params)))

    def remove_link(self, link: int) -> None:
        """Let a link's devices go, and lose what is on its way; its counters stay."""
        self._call("remove_link", link)

    def capture(self, link: int, end: int, descriptor: int = -1) -> None:
        """Write what an end of a link sends and receives to a file, as pcap with virtual stamps.

        The engine duplicates the descriptor: close yours. Without one the capture ends.
        """
        self._call("capture", link, end, descriptor)

    def link_stats(self, link: int, direction: int) -> LinkStats:
        """Return the counters of one direction of a link."""
        stats = _LinkStats()
        self._call("link_stats", link, direction, ctypes.byref(stats))
        return LinkStats(*(getattr(stats, name) for name in LinkStats.__dataclass_fields__))

    def add_relay(self, host: str, listener: int, target: str, port: int, delay_ns: int) -> None:
        """Connect who connects to a listening socket to a port of 127.0.0.1, with a delay each way.

        host -- who connects; target -- who listens at the port; both have place FIRST_CPU. The engine
        duplicates the listener's descriptor: close yours.
        """
        config = _RelayConfig(
            struct_size=ctypes.sizeof(_RelayConfig),
            host=(ctypes.c_uint32 * 2)(self._host(host), self._host(target)),
            listener=listener,
            port=port,
            delay_ns=delay_ns,
        )
        self._call("add_relay", ctypes.byref(config))

    def watch_link(self, link: int, descriptor: int) -> None:
        """Send every frame that is sent on a link to one end of a datagram socket pair as well.

        It ends when the other end is closed, whose SO_ATTACH_FILTER filter chooses among the frames.
        """
        self._call("watch_link", link, descriptor)

    def on_abort(self, shell_command: str) -> None:
        """Let the engine run this command if this process dies before :meth:`stop`."""
        self._call("on_abort", shell_command.encode())

    def kill_host(self, name: str) -> None:
        """End every task of a host with SIGKILL and wait until they are gone."""
        self._call("kill_host", self._host(name))

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
        stats = _Stats()
        self._call("stats", ctypes.byref(stats))
        return Stats(*(getattr(stats, name) for name in Stats.__dataclass_fields__))

    def host_stats(self, name: str) -> HostStats:
        """Return what one host has done so far."""
        stats = _HostStats()
        self._call("host_stats", self._host(name), ctypes.byref(stats))
        return HostStats(*(getattr(stats, field) for field in HostStats.__dataclass_fields__))

    def host_status(self, name: str) -> HostStatus:
        """Return where a host and each of its tasks stand."""
        host = self._host(name)
        status, task = _HostStatus(), _Task()
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
