"""Open vSwitch switches on the net's own Open vSwitch, in virtual time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from mininet.node import OVSBridge, OVSSwitch
from mininet.util import errRun, quietRun

from mininet_kronos.errors import ParameterError, SwitchError
from mininet_kronos.node import KronosNodeMixin, require_pump

if TYPE_CHECKING:
    from mininet_kronos.pump import Pump

PROCESS = "ovs"  # the logical process of Open vSwitch; all switches share it


def checked_run(command: str, **params: Any) -> None:
    """Run a command of batchStartup()'s, or say why it failed."""
    _out, err, status = errRun(command, **params)
    if status:
        lines = err.strip().splitlines() or [f"exit status {status}"]
        raise SwitchError(f"Open vSwitch refused the switches: {lines[-1]}")


def endpoint(controller: Any, process: str, *, first: bool = False) -> Any:
    """Return what stands for a controller in Switch.start(), for the switches of a logical process."""
    return controller.endpoint(process, first=first) if hasattr(controller, "endpoint") else controller


class KronosOVSSwitch(KronosNodeMixin, OVSSwitch):  # type: ignore[misc]
    """OVSSwitch with the userspace datapath, in the net's own Open vSwitch.

    Its shell is in the logical process of Open vSwitch, so that ovs-ofctl and the like work while the
    network is frozen: they take no virtual time.
    """

    def __init__(
        self, name: str, *args: Any, kronos: Pump | None = None, datapath: str = "user", **params: Any
    ) -> None:
        """Parameters: as for OVSSwitch; the datapath is always 'user'."""
        kronos = require_pump(self, name, kronos)
        if datapath != "user":
            raise ParameterError(
                f"{name}: the {datapath} datapath is outside virtual time; leave datapath out (it is 'user')"
            )
        self.controllerCount = 0
        super().__init__(name, *args, kronos=kronos, process=PROCESS, datapath=datapath, **params)

    def start(self, controllers: Iterable[Any]) -> None:
        """Start the switch, with these controllers."""
        found = [endpoint(controller, PROCESS, first=True) for controller in controllers]
        self.controllerCount = len(found)
        super().start(found)

    @classmethod
    def setup(cls) -> None:
        """Find out the version; no database needs to run yet."""
        cls.OVSVersion = re.findall(r"\d+\.\d+", quietRun("ovs-vsctl --version"))[0]

    @classmethod
    def batchStartup(cls, switches: Iterable[Any], run: Callable[..., Any] = checked_run) -> Any:
        """Start many switches at once."""
        return super().batchStartup(switches, run=run)

    @classmethod
    def batchShutdown(cls, switches: Iterable[Any], run: Callable[..., Any] = errRun) -> Any:
        """End the switches' shells; their Open vSwitch goes as a whole."""
        for switch in switches:
            switch.terminate()
        return switches

    def connected(self) -> bool:
        """Tell whether all controllers are connected: the log says so at once, the database after 5 s."""
        log = Path(os.environ["OVS_LOGDIR"], "ovs-vswitchd.log").read_text(errors="replace")
        states = dict(re.findall(rf"\|rconn\|\w+\|{re.escape(self.name)}<->(\S+): (.*)", log))
        connected = sum(state == "connected" for state in states.values())
        return bool(connected >= self.controllerCount or self.failMode == "standalone")

    def stop(self, deleteIntfs: bool = True) -> None:
        """Stop this switch."""
        if self.shell and not self.kronos.stopped:
            super().stop(deleteIntfs)


class KronosOVSBridge(KronosOVSSwitch, OVSBridge):  # type: ignore[misc]
    """A KronosOVSSwitch that switches by itself, with no controller."""

    def __init__(self, name: str, *args: Any, **params: Any) -> None:
        """Parameters: as for OVSBridge (stp)."""
        super().__init__(name, *args, **{**params, "failMode": "standalone"})
