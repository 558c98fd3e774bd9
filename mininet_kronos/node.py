"""Mininet nodes whose every command runs under a tracer, in virtual time."""

from __future__ import annotations

import contextlib
import difflib
import math
import os
import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable

from mininet.log import error, warn
from mininet.node import Host
from mininet.util import errRun, quietRun

from mininet_kronos import pump as pumps
from mininet_kronos.errors import KronosError, ParameterError
from mininet_kronos.experiment import FIRST_CPU
from mininet_kronos.interfaces import set_sysctl
from mininet_kronos.namespace import namespace_of
from mininet_kronos.process import KronosPopen, await_tracer
from mininet_kronos.records import SPEEDS
from mininet_kronos.units import SECOND, parse_count

if TYPE_CHECKING:
    from mininet_kronos.pump import Pump

COUNTERS = ("auto", "instructions", "cputime", "free")
PACES = ("dilated", "instant", "realtime")
MAX_NAME = 63  # of a logical process
HOST_PARAMETERS = ("cpu_speed", "counter", "cores", "ipv6")
ALIKE = 0.75  # as difflib measures it


class KronosNodeMixin:
    """Puts a Mininet node's shell, and all that starts from it, into a logical process.

    Goes before a Mininet node class: `class MyHost(KronosNodeMixin, Host)`. KronosNet gives the pump.
    """

    kronos: Pump
    kronos_process: str  # name of the logical process

    # Mininet's Node has
    name: str
    shell: Any
    stdout: Any
    slave: int
    pid: int
    readbuf: str
    inNamespace: bool  # noqa: N815
    cleanup: Any

    def __init__(
        self, name: str, *args: Any, kronos: Pump, process: str, traced: bool = True, **params: Any
    ) -> None:
        """Make the node.

        kronos: the net's pump
        process: the logical process that the shell joins
        traced: False leaves the shell and its children outside virtual time
        """
        self.kronos = kronos
        self.kronos_process = process
        self.traced = traced
        self._lastRead = ""
        self._hasEnded = False  # the shell: its parent may be told later
        super().__init__(name, *args, **params)  # type: ignore[call-arg]

    # The shell

    def startShell(self, mnopts: str | None = None) -> None:
        """Start the shell under a tracer."""
        super().startShell(mnopts)  # type: ignore[misc]
        pumps.own(self.stdout.fileno(), self.kronos)
        self.kronos.watch_process(self.shell.pid, self._noticeEnd)  # its terminal may live on
        if not self.traced:
            self.kronos.experiment.on_abort(f"pkill -KILL -s {self.shell.pid}")

    def _noticeEnd(self) -> None:
        self._hasEnded = True

    def _popen(self, cmd: list[str], **params: Any) -> Any:
        if self.shell is None:  # startShell's: mnexec, its options, then the command
            shell = super()._popen([*cmd[:2], *self.tracer(), *cmd[2:]], **params)  # type: ignore[misc]
            if self.traced:
                await_tracer(shell, self.kronos)
            return shell
        if not self.traced:
            return super()._popen(cmd, **params)  # type: ignore[misc]
        return KronosPopen(self.kronos, cmd, node=self.name, **params)

    def tracer(self) -> list[str]:
        """Return what comes before a command to put it into this node's logical process."""
        if not self.traced:
            return []
        return self.kronos.experiment.command_prefix(self.kronos_process)

    def sendCmd(self, *args: Any, **params: Any) -> None:
        """Send a command, as in Mininet; refused while another has not ended, such as at a breakpoint."""
        if self.waiting:  # type: ignore[attr-defined]
            self._require_shell()
            raise KronosError(
                f"{self}: its command has not ended; 'continue {self}' goes on with it, "
                "or waitOutput() in a script"
            )
        super().sendCmd(*args, **params)  # type: ignore[misc]

    def write(self, data: str) -> None:
        """Write to the shell. It arrives before any time passes."""
        super().write(data)  # type: ignore[misc]
        pumps.is_ready(self.slave)  # the kernel hands it over when the reader's side is polled

    def read(self, size: int = 1024) -> str:
        """Read from the shell, waiting for it in virtual time."""
        fd = self.stdout.fileno()
        if not self.readbuf:
            self._require_output(fd)
        elif not pumps.is_ready(fd):
            data, self.readbuf = self.readbuf[:size], self.readbuf[size:]
            return data
        self._lastRead = super().read(size)  # type: ignore[misc]
        self.kronos.overheard(self.name, "shell", self._lastRead.encode())
        return self._lastRead

    def waitReadable(self, timeoutms: float | None = None) -> list[tuple[int, int]]:
        """Wait until the shell has written something; the timeout is virtual once the net is frozen."""
        fd = self.stdout.fileno()
        if self.readbuf:
            return [(fd, pumps.READ_EVENTS)]
        if timeoutms is None or timeoutms < 0:
            self._require_output(fd)
        elif not self.kronos.wait(fd, round(timeoutms * pumps.MILLISECOND), self.lives):
            return []
        return [(fd, pumps.READ_EVENTS)]

    def _require_output(self, fd: int) -> None:
        if not self.kronos.wait(fd, alive=self.lives):
            self._require_shell()

    def _require_shell(self) -> None:
        if not self.lives():
            said = " ".join(self._lastRead.split())
            raise KronosError(
                f"{self}: its shell has ended{', saying: ' + said if said else ''}; "
                "start the network again to go on with this node"
            )

    def lives(self) -> bool:
        """Tell whether the shell runs."""
        return self.shell is None or not (self._hasEnded or self.shell.poll() is not None)

    def cmd(self, *args: Any, **params: Any) -> Any:
        """Run a command and return its output, as in Mininet; nothing while the net is being taken down."""
        return "" if self.kronos.stopping else super().cmd(*args, **params)  # type: ignore[misc]

    def linkTo(self, node: Any, link: Any = None) -> Any:
        """Link to another node, as in Mininet; the net knows of it."""
        return self.kronos.add_link(self, node, cls=link)

    # Other processes

    def popen(self, *args: Any, **params: Any) -> KronosPopen:
        """Start a process in this node's namespace and virtual time, as in Mininet."""
        mncmd = params.pop("mncmd", ["mnexec", "-da", str(self.pid)])
        if params.get("shell"):
            os.environ.setdefault("SHELL", "/bin/bash")  # Mininet's popen reads it
        return super().popen(*args, mncmd=[*mncmd, *self.tracer()], **params)  # type: ignore[misc, no-any-return]

    def observe(self, *command: str) -> str:
        """Run a command of the orchestrator's in this node's namespaces; no virtual time passes."""
        enter = ["mnexec", "-a", str(self.pid)] if self.inNamespace else []
        out, err, _status = errRun([*enter, *command])
        return f"{out}{err}"

    # The end

    def endProcesses(self) -> None:
        """End the shell and what it started; a frozen process only minds SIGKILL."""
        if not self.traced:  # jobs have process groups of their own
            quietRun(["pkill", "-KILL", "-s", str(self.shell.pid)])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.shell.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """End all of this node's processes and clean up after it."""
        if self.shell:
            pumps.disown(self.stdout.fileno())
            self.kronos.unwatch_process(self.shell.pid)
            if not self.kronos.stopped:
                self.endProcesses()
        self.cleanup()


class KronosHost(KronosNodeMixin, Host):
    """A host with a clock of its own: virtual time passes with the work that it does."""

    def __init__(
        self,
        name: str,
        *args: Any,
        cpu_speed: float = 1.0,
        counter: str = "auto",
        cores: int = 1,
        ipv6: bool = False,
        kronos: Pump | None = None,
        **params: Any,
    ) -> None:
        """Make the host and start its shell.

        name: of the host and of its logical process
        cpu_speed: relative CPU speed, work per ns of virtual time ('inf': computation takes no time)
        counter: what work is: 'instructions', 'cputime', 'free' (no work counts) or 'auto'
        cores: virtual CPUs that its processes and threads share
        ipv6: whether interfaces have IPv6, whose solicitations and reports come in real time
        other parameters: as for Mininet's Host.
        """
        kronos = require_pump(self, name, kronos)
        warn_of_typos(name, params, HOST_PARAMETERS)
        kronos.experiment.add_host(
            name,
            cpu_speed=check_speed(name, cpu_speed),
            counter=check_counter(name, counter),
            cores=parse_count(cores, f"{name}: cores"),
            place=0 if params.get("inNamespace", True) else FIRST_CPU,  # else it shares a loopback
        )
        self.cpu_speed, self.counter = float(cpu_speed), counter
        self.ipv6 = bool(ipv6)
        super().__init__(name, *args, kronos=kronos, process=name, **params)

    def startShell(self, mnopts: str | None = None) -> None:
        """Start the shell; IPv6 sends frames, and looks for duplicates of addresses, in real time."""
        super().startShell(mnopts)
        if self.inNamespace:
            with namespace_of(self):
                set_sysctl("net/ipv6/conf/default/disable_ipv6", int(not self.ipv6))
                if self.kronos.experiment.engine == "user":
                    set_sysctl("net/ipv6/conf/default/accept_dad", 0)

    def endProcesses(self) -> None:
        """End every task of the host, detached ones as well."""
        self.kronos.experiment.kill_host(self.kronos_process)


def require_pump(node: Any, name: str, kronos: Pump | None) -> Pump:
    """Return the pump that KronosNet hands to its nodes; a plain Mininet has none."""
    if kronos is None:
        raise KronosError(
            f"{name}: {type(node).__name__} works only in a KronosNet; "
            "replace Mininet(...) by mininet_kronos.KronosNet(...)"
        )
    if not 0 < len(name) <= MAX_NAME:
        raise ParameterError(f"node name '{name}' has {len(name)} characters; use 1 to {MAX_NAME}")
    return kronos


def warn_of_typos(what: str, given: Iterable[str], ours: Iterable[str]) -> None:
    """Warn of parameters that look like ours: as in Mininet, what nobody knows is passed over in silence."""
    for name in given:
        close = difflib.get_close_matches(name, ours, 1, cutoff=ALIKE)
        if close and close[0] != name:
            warn(f"*** {what}: there is no parameter '{name}'; did you mean {close[0]}?\n")


def check_speed(name: str, cpu_speed: Any) -> float:
    """Return a relative CPU speed, or say what is wrong with it."""
    try:
        speed = float(cpu_speed)
    except (TypeError, ValueError):
        speed = math.nan
    if not speed > 0:
        raise ParameterError(f"{name}: cpu_speed {cpu_speed!r} must be a number above 0, or 'inf'")
    if not SPEEDS[0] <= speed <= SPEEDS[1] and not math.isinf(speed):
        raise ParameterError(
            f"{name}: cpu_speed {cpu_speed!r} is out of range; use 0.000001 to 1000000, or 'inf'"
        )
    return speed


def check_counter(name: str, counter: Any) -> str:
    """Return the name of a counter, or say which there are."""
    if counter not in COUNTERS:
        raise ParameterError(f"{name}: counter {counter!r} is unknown; use one of {', '.join(COUNTERS)}")
    return str(counter)


def add_process(node: str, kronos: Pump, *, pace: Any, cpu_speed: Any, counter: Any) -> bool:
    """Make a switch's or controller's logical process; return whether it is traced."""
    kronos.experiment.add_host(
        node,
        cpu_speed=check_speed(node, cpu_speed),
        counter=check_counter(node, counter),
        pace=check_pace(node, pace),
        place=FIRST_CPU,
    )
    if pace == "realtime":
        warn(
            f"*** {node} is outside virtual time (pace realtime): idle time passes in real time, "
            "and results depend on the machine\n"
        )
    return bool(pace != "realtime")


def report_end(kronos: Pump, title: str, pid: int, last_words: Callable[[], str]) -> None:
    """Say so, in one line, if a switch's or controller's process ends while rounds are run."""

    def ended() -> None:
        error(
            f"*** {title} has ended, at {kronos.now / SECOND:.3f} s of virtual time; "
            f"its last words: {last_words()}\n"
        )

    kronos.watch_process(pid, ended)


def check_pace(name: str, pace: Any) -> str:
    """Return the name of a pace, or say which there are."""
    if pace not in PACES:
        raise ParameterError(f"{name}: pace {pace!r} is unknown; use one of {', '.join(PACES)}")
    return str(pace)
