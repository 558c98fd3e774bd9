"""SDN controllers in virtual time: Ryu, or any other that is a program."""

from __future__ import annotations

import importlib.util
import shlex
import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mininet.log import warn
from mininet.node import Controller, RemoteController

from mininet_kronos.errors import ControllerError, ParameterError
from mininet_kronos.flood import FloodWatch
from mininet_kronos.node import KronosNodeMixin, add_process, check_speed, report_end, require_pump
from mininet_kronos.ryu_frameworks import choose_framework, installed, name_in
from mininet_kronos.units import parse_count, parse_delay

if TYPE_CHECKING:
    from mininet_kronos.pump import Pump

LEARNING_SWITCH = "mininet_kronos.apps.learning_switch"
LAUNCHER = "mininet_kronos.ryu_launcher"
OPENFLOW_PORT = 6653
START_TIMEOUT = 60  # s of real time


@dataclass(frozen=True)
class Endpoint:
    """Where a switch finds a controller; takes the controller's place in Switch.start()."""

    name: str
    protocol: str
    address: str
    port: int

    def IP(self) -> str:
        """Return the address. OVS reads unix:ADDRESS:PORT as a path that ends with the port."""
        return self.address


class _Late(type):
    """Makes of a controller no more than its name, until there is a net."""

    def __call__(cls, name: str, *args: Any, **params: Any) -> Any:
        controller = cls.__new__(cls)  # type: ignore[call-overload]
        controller.name, controller.arguments = name, (args, params)
        return controller


class LateController(KronosNodeMixin, metaclass=_Late):
    """A controller that may be made before its net, as in Mininet, and joins it when it is added."""

    arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def join(self, kronos: Pump) -> None:
        """Make the rest of the controller, or do nothing if that has been done."""
        if "arguments" in self.__dict__:
            args, params = self.__dict__.pop("arguments")
            self.__init__(self.name, *args, **params, kronos=kronos)  # type: ignore[misc]

    def __getattr__(self, attribute: str) -> Any:
        if "arguments" in self.__dict__:
            require_pump(self, self.name, None)
        raise AttributeError(f"{type(self).__name__} has no {attribute}")


class KronosController(LateController, Controller):
    """Runs a controller's program as a logical process that takes part in the rounds."""

    _ports: ClassVar[set[int]] = set()  # of the net's controllers

    def __init__(
        self,
        name: str,
        *args: Any,
        pace: str = "instant",
        cpu_speed: float = 1.0,
        counter: str = "auto",
        control_delay: str | None = None,
        port: int | None = None,
        kronos: Pump | None = None,
        **params: Any,
    ) -> None:
        """Make the controller; it starts with the network.

        pace: 'instant' (answers in zero virtual time), 'dilated' (its computation takes time), or 'realtime'
            (outside virtual time, for debugging)
        cpu_speed, counter: if dilated, as for KronosHost
        control_delay: what a message between a switch and the controller takes, each way, such as '1ms'
        port: TCP port where switches find it (None: 6653, or the next that the net's other ones leave)
        other parameters: as for Mininet's Controller (command, cargs).
        """
        kronos = require_pump(self, name, kronos)
        self.control_delay = parse_delay(control_delay, f"{name}: control_delay")
        kernel = kronos.experiment.engine == "kernel"
        if self.control_delay and kernel:
            raise ParameterError(f"{name}: control_delay is the user engine's; omit it, or engine='user'")
        port = self._choose_port() if port is None else parse_count(port, f"{name}: port")
        traced = add_process(name, kronos, pace=pace, cpu_speed=cpu_speed, counter=counter)
        self.log = kronos.directory / f"{name}.log"
        self._pid = 0  # the program's
        self._endpoints: dict[str, Endpoint] = {}  # by the switches' logical process
        super().__init__(name, *args, kronos=kronos, process=name, traced=traced, port=port, **params)
        self._ports.add(port)
        # A dilated one runs ahead of the switches within a round: what it says then must wait.
        self.relayed = self.control_delay > 0 or (pace == "dilated" and not kernel)
        self.servicePort = free_port() if self.relayed else port
        self._flood: FloodWatch | None = None
        self._pace = pace, check_speed(name, cpu_speed)

    @classmethod
    def _choose_port(cls) -> int:
        return next(port for port in range(OPENFLOW_PORT, 1 << 16) if port not in cls._ports)

    def checkListening(self) -> None:
        """Raise ControllerError if something else has our port already."""
        if is_listening(self.ip, self.port):
            raise ControllerError(
                f"{self.name}: port {self.port} is taken by another program (another controller?); "
                f"stop it, or give {type(self).__name__} another port"
            )

    def launchCommand(self) -> str:
        """Return the shell command that runs the controller's program at servicePort."""
        return with_log(f"{self.command} {self.cargs % self.servicePort}", self.log)

    def start(self) -> None:
        """Start the program and wait, in real time, until it listens."""
        self.cmd(f"{self.launchCommand()} &")
        self._pid = self.lastPid
        if not self.kronos.frozen:
            self.waitListening()
        report_end(self.kronos, f"{self.name}: {self.title}", self._pid, self.lastWords)
        self._flood = FloodWatch(self.kronos, self.name, self.servicePort, *self._pace)

    def waitListening(self, timeout: float = START_TIMEOUT) -> None:
        """Wait, in real time, until the program listens; raise ControllerError with its last words if not."""
        deadline = time.monotonic() + timeout
        while not is_listening(self.ip, self.servicePort):
            if not Path(f"/proc/{self.lastPid}").exists():
                raise ControllerError(f"{self.name}: {self.title} ended at once: {self.lastWords()}")
            if time.monotonic() > deadline:
                raise ControllerError(
                    f"{self.name}: {self.title} does not listen on port {self.servicePort} "
                    f"after {timeout:g} s: {self.lastWords()}"
                )
            time.sleep(0.05)

    @property
    def title(self) -> str:
        """What the program is called in messages."""
        return Path(shlex.split(self.command)[0]).name

    def endpoint(self, switch: Any) -> Endpoint | KronosController:
        """Return where a switch finds this controller.

        Messages that take time, or reach another network namespace, or are a dilated controller's, go by a
        relay of the engine's; there is one for each logical process of switches.
        """
        if not self.relayed and not switch.inNamespace:
            return self
        process = switch.kronos_process
        if process not in self._endpoints:
            found, listener = (
                self._unix_endpoint(switch.socketDirectory) if switch.inNamespace else self._tcp_endpoint()
            )
            with listener:
                self.kronos.experiment.add_relay(
                    process, listener.fileno(), self.kronos_process, self.servicePort, self.control_delay
                )
            self._endpoints[process] = found
        return self._endpoints[process]

    def _tcp_endpoint(self) -> tuple[Endpoint, socket.socket]:
        """Listen at our own port, or if that is taken, by the switches of another process, at any."""
        port = free_port() if self._endpoints else self.port
        return Endpoint(self.name, self.protocol, self.ip, port), socket.create_server((self.ip, port))

    def _unix_endpoint(self, directory: Path) -> tuple[Endpoint, socket.socket]:
        """Listen where every network namespace can connect to."""
        path = str(directory / f"relay-{self.port}")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{path}:{self.port}")
        listener.listen()
        return Endpoint(self.name, "unix", path, self.port), listener

    def lastWords(self) -> str:
        """Return the last line that the program has written."""
        try:
            lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        return lines[-1].strip() if lines else "it has said nothing"

    def stop(self, *_args: Any, **_params: Any) -> None:
        """End the program."""
        self.terminate()

    def terminate(self) -> None:
        """End all processes of the controller."""
        self._ports.discard(self.port)
        self.kronos.unwatch_process(self._pid)
        if self._flood:
            self._flood.stop()
        super().terminate()

    def endProcesses(self) -> None:
        """End every task of the controller."""
        if self.traced:
            self.kronos.experiment.kill_host(self.kronos_process)
        else:
            super().endProcesses()


class KronosRyu(KronosController):
    """Runs Ryu applications as a logical process that takes part in the rounds."""

    title = "Ryu"

    def __init__(
        self, name: str, *args: str, apps: str | Iterable[str] = (), ryuArgs: str = "", **params: Any
    ) -> None:
        """Make the controller; it starts with the network.

        args, apps: Ryu applications, as module names or files; the default is our learning switch. os-ken
            runs them instead of Ryu if one of them imports it, or if Ryu is not installed
        ryuArgs: more arguments of ryu-manager's, such as '--observe-links'
        other parameters: as for KronosController.
        """
        chosen = [*args, *([apps] if isinstance(apps, str) else apps)]
        self.apps = [check_app(app) for app in chosen] or [LEARNING_SWITCH]
        self.ryuArgs = ryuArgs
        super().__init__(name, **params)

    def launchCommand(self) -> str:
        """Return the shell command that runs Ryu with our applications."""
        return ryu_command(self.servicePort, [*shlex.split(self.ryuArgs), *self.apps], self.log)

    @classmethod
    def isAvailable(cls) -> bool:
        """Tell whether Ryu, or os-ken, is installed."""
        return bool(installed())


class KronosRemoteController(LateController, RemoteController):
    """A controller that somebody else runs, in real time: for debugging."""

    def __init__(self, name: str, *args: Any, kronos: Pump | None = None, **params: Any) -> None:
        """Parameters: as for RemoteController (ip, port)."""
        kronos = require_pump(self, name, kronos)
        traced = add_process(name, kronos, pace="realtime", cpu_speed=1, counter="auto")
        super().__init__(name, *args, kronos=kronos, process=name, traced=traced, **params)

    def isListening(self, ip: str, port: int) -> bool:
        """Tell whether the controller is there; warn if it is not."""
        listening = is_listening(ip, port)
        if not listening:
            warn(f"*** {self.name}: nothing listens at {ip}:{port}; start the controller there\n")
        return listening

    def lastWords(self) -> str:
        """Return what is known of it."""
        there = is_listening(self.ip, self.port)
        return f"{'something' if there else 'nothing'} listens at {self.ip}:{self.port}"

    def stop(self, *_args: Any, **_params: Any) -> None:
        """End our shell; the controller is not ours."""
        self.terminate()


def ryu_command(port: int, arguments: Iterable[str], log: Path) -> str:
    """Return the shell command that runs Ryu with these applications."""
    # Sets have the same order in every run.
    command = [
        "env",
        "PYTHONHASHSEED=0",
        sys.executable,
        "-m",
        LAUNCHER,
        "--ofp-tcp-listen-port",
        str(port),
        *arguments,
    ]
    return with_log(shlex.join(command), log)


def with_log(command: str, log: Path) -> str:
    """Return a shell command whose output goes to a file."""
    return f"{command} >{shlex.quote(str(log))} 2>&1 </dev/null"


def is_listening(address: str, port: int) -> bool:
    """Tell whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def free_port() -> int:
    """Return a TCP port of this machine's that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_app(app: str) -> str:
    """Return an application as Ryu takes it: a module's name, or the absolute path of a file."""
    if app.endswith(".py") or "/" in app:
        path = Path(app).expanduser()
        if not path.is_file():
            raise ParameterError(f"Ryu application {app} does not exist; give a .py file or a module's name")
        return str(path.resolve())
    try:
        found = importlib.util.find_spec(name_in(choose_framework([]), app))
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise ParameterError(
            f"Ryu application {app} is not a module that {sys.executable} can import; "
            "give its full name, or the path of a .py file"
        )
    return app
