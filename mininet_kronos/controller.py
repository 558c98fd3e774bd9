"""Ryu as the controller of a network in virtual time."""

from __future__ import annotations

import importlib.util
import shlex
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mininet.node import Controller

from mininet_kronos.errors import ControllerError, ParameterError
from mininet_kronos.experiment import FIRST_CPU
from mininet_kronos.node import KronosNodeMixin, check_counter, check_pace, check_speed, require_pump
from mininet_kronos.units import parse_count

if TYPE_CHECKING:
    from mininet_kronos.pump import Pump

LEARNING_SWITCH = "mininet_kronos.apps.learning_switch"
LAUNCHER = "mininet_kronos.ryu_launcher"
START_TIMEOUT = 60  # s of real time


class KronosRyu(KronosNodeMixin, Controller):  # type: ignore[misc]
    """Runs Ryu applications as a logical process that takes part in the rounds."""

    def __init__(
        self,
        name: str,
        *args: str,
        apps: str | Iterable[str] = (),
        pace: str = "instant",
        cpu_speed: float = 1.0,
        counter: str = "auto",
        port: int = 6653,
        ryuArgs: str = "",
        kronos: Pump | None = None,
        **params: Any,
    ) -> None:
        """Make the controller; it starts with the network.

        args, apps: Ryu applications, as module names or files; the default is our learning switch
        pace: 'instant' (answers in zero virtual time) or 'dilated' (its computation takes time)
        cpu_speed, counter: if dilated, as for KronosHost
        port: TCP port where switches find it
        ryuArgs: more arguments of ryu-manager's
        other parameters: as for Mininet's Controller.
        """
        kronos = require_pump(self, name, kronos)
        chosen = [*args, *([apps] if isinstance(apps, str) else apps)]
        self.apps = [check_app(app) for app in chosen] or [LEARNING_SWITCH]
        self.ryuArgs = ryuArgs
        kronos.experiment.add_host(
            name,
            cpu_speed=check_speed(name, cpu_speed),
            counter=check_counter(name, counter),
            pace=check_pace(name, pace),
            place=FIRST_CPU,
        )
        self.log = kronos.directory / f"{name}.log"
        port = parse_count(port, f"{name}: port")
        super().__init__(name, kronos=kronos, process=name, port=port, **params)

    def checkListening(self) -> None:
        """Raise ControllerError if something else has our port already."""
        if self.isListening():
            raise ControllerError(
                f"{self.name}: port {self.port} is taken by another program (another controller?); "
                "stop it, or give KronosRyu another port"
            )

    def isListening(self) -> bool:
        """Tell whether something listens on our port."""
        with socket.socket() as probe:
            return probe.connect_ex((self.ip, self.port)) == 0

    def start(self) -> None:
        """Start Ryu and wait, in real time, until it listens."""
        command = ryu_command(self.port, [*shlex.split(self.ryuArgs), *self.apps], self.log)
        self.cmd(f"{command} &")
        if not self.kronos.frozen:
            self.waitListening()

    def waitListening(self, timeout: float = START_TIMEOUT) -> None:
        """Wait, in real time, until Ryu listens; raise ControllerError with its last words if it does not."""
        deadline = time.monotonic() + timeout
        while not self.isListening():
            if not Path(f"/proc/{self.lastPid}").exists():
                raise ControllerError(f"{self.name}: Ryu ended at once: {self.lastWords()}")
            if time.monotonic() > deadline:
                raise ControllerError(
                    f"{self.name}: Ryu does not listen on port {self.port} after {timeout:g} s: "
                    f"{self.lastWords()}"
                )
            time.sleep(0.05)

    def lastWords(self) -> str:
        """Return the last line that Ryu has logged."""
        try:
            lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        return lines[-1].strip() if lines else "it has said nothing"

    def stop(self, *_args: Any, **_params: Any) -> None:
        """End Ryu."""
        self.terminate()

    def endProcesses(self) -> None:
        """End every task of the controller."""
        self.kronos.experiment.kill_host(self.kronos_process)

    @classmethod
    def isAvailable(cls) -> bool:
        """Tell whether Ryu is installed."""
        return importlib.util.find_spec("ryu") is not None


def ryu_command(port: int, arguments: Iterable[str], log: Path) -> str:
    """Return the shell command that runs Ryu with these applications."""
    command = [sys.executable, "-m", LAUNCHER, "--ofp-tcp-listen-port", str(port), *arguments]
    return f"{shlex.join(command)} >{shlex.quote(str(log))} 2>&1 </dev/null"


def check_app(app: str) -> str:
    """Return an application as Ryu takes it: a module's name, or the absolute path of a file."""
    if app.endswith(".py") or "/" in app:
        path = Path(app).expanduser()
        if not path.is_file():
            raise ParameterError(f"Ryu application {app} does not exist; give a .py file or a module's name")
        return str(path.resolve())
    try:
        found = importlib.util.find_spec(app)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise ParameterError(
            f"Ryu application {app} is not a module that {sys.executable} can import; "
            "give its full name, or the path of a .py file"
        )
    return app
