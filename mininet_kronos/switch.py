"""Switches in virtual time: Open vSwitch, Linux bridges, and any other Mininet switch that is a process."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from mininet.link import Intf
from mininet.log import error
from mininet.node import OVSBridge, OVSSwitch
from mininet.nodelib import LinuxBridge
from mininet.util import errRun, macColonHex, quietRun

from mininet_kronos.errors import ParameterError, SwitchError
from mininet_kronos.link import KronosIntf
from mininet_kronos.namespace import namespace_of
from mininet_kronos.node import KronosNodeMixin, add_process, report_end, require_pump
from mininet_kronos.ovs import PrivateOVS
from mininet_kronos.taps import keep_quiet
from mininet_kronos.units import SECOND

if TYPE_CHECKING:
    from mininet_kronos.pump import Pump

DATAPATHS = "user", "kernel"
PROCESS = "ovs"  # the logical process that all instant Open vSwitch switches share


def checked_run(command: str, **params: Any) -> None:
    """Run a command of batchStartup()'s, or say why it failed."""
    if command == "ovs-vsctl":  # no switch has left it anything to do
        return
    _out, err, status = errRun(command, **params)
    if status:
        lines = err.strip().splitlines() or [f"exit status {status}"]
        raise SwitchError(f"Open vSwitch refused the switches: {lines[-1]}")


def finish_checksums(intf: Any) -> None:
    """Let checksums of what an interface sends be finished: Open vSwitch's userspace datapath leaves them.

    For Mininet's own links; a KronosLink sees to it by itself.
    """
    with namespace_of(intf.node):
        _out, err, status = errRun(f"ethtool -K {intf.name} tx off")
    if status:
        raise SwitchError(f"{intf.name}: its checksums cannot be finished: {err.strip()}")


def report_trouble(kronos: Pump, title: str, ovs: PrivateOVS) -> None:
    """Say so, in one line, if an Open vSwitch ends, or if a controller has stopped answering it."""
    silent: set[str] = set()

    def look() -> None:
        for switch, controller in ovs.unanswered():
            if controller not in silent:
                silent.add(controller)
                error(
                    f"*** {switch}: its controller at {controller} does not answer, at "
                    f"{kronos.now / SECOND:.3f} s of virtual time; it hangs, or is too slow\n"
                )

    kronos.tick_listeners.append(look)
    report_end(kronos, f"{title} ovs-vswitchd", ovs.pid, ovs.last_words)


class KronosSwitchMixin(KronosNodeMixin):
    """Puts a Mininet switch, and the processes that it starts, into a logical process of its own.

    Goes before a Mininet switch class: `class MySwitch(KronosSwitchMixin, IVSSwitch)`. A class that starts
    its processes itself finds its controllers by endpoints().
    """

    is_process = True  # which reads its interfaces: the network is not frozen before it does

    def __init__(
        self,
        name: str,
        *args: Any,
        pace: str = "instant",
        cpu_speed: float = 1.0,
        counter: str = "auto",
        kronos: Pump | None = None,
        **params: Any,
    ) -> None:
        """Make the switch.

        pace: 'instant' (answers in zero virtual time), 'dilated' (its computation takes time), or 'realtime'
            (outside virtual time, for debugging)
        cpu_speed, counter: if dilated, as for KronosHost
        other parameters: as for the Mininet class.
        """
        kronos = require_pump(self, name, kronos)
        traced = add_process(name, kronos, pace=pace, cpu_speed=cpu_speed, counter=counter)
        self.socketDirectory = kronos.directory  # for what comes from other network namespaces
        super().__init__(name, *args, kronos=kronos, process=name, traced=traced, **params)

    def start(self, controllers: Iterable[Any]) -> None:
        """Start the switch, with these controllers."""
        super().start(self.endpoints(controllers))  # type: ignore[misc]

    def stop(self, deleteIntfs: bool = True) -> None:
        """Stop the switch; nothing is left to do once the network has been stopped."""
        if self.shell and not self.kronos.stopped:
            super().stop(deleteIntfs)  # type: ignore[misc]

    def endProcesses(self) -> None:
        """End the switch's shell, and every task of its logical process if it has one of its own."""
        if self.traced and self.kronos_process == self.name:
            self.kronos.experiment.kill_host(self.name)
        else:
            super().endProcesses()

    def endpoints(self, controllers: Iterable[Any]) -> list[Any]:
        """Return what stands for the controllers in Switch.start(): where this switch finds them."""
        return [
            controller.endpoint(self) if hasattr(controller, "endpoint") else controller
            for controller in controllers
        ]


class KronosOVSSwitch(KronosSwitchMixin, OVSSwitch):
    """OVSSwitch in virtual time, with the userspace datapath unless asked for the kernel's.

    Instant switches share one Open vSwitch of the net's. Their shells are in its logical process, so that
    ovs-ofctl and the like work while the network is frozen: they take no virtual time. Other switches have an
    Open vSwitch and a network namespace each.
    """

    is_process = False  # ovs-vsctl waits for it

    def __init__(
        self,
        name: str,
        *args: Any,
        pace: str = "instant",
        cpu_speed: float = 1.0,
        counter: str = "auto",
        kronos: Pump | None = None,
        datapath: str = "user",
        **params: Any,
    ) -> None:
        """Make the switch.

        pace, cpu_speed, counter: as for KronosSwitchMixin
        datapath: 'user', or, with the kernel engine, 'kernel': it forwards in zero virtual time at any pace
        other parameters: as for OVSSwitch.
        """
        kronos = require_pump(self, name, kronos)
        if datapath not in DATAPATHS:
            raise ParameterError(f"{name}: datapath must be one of {', '.join(DATAPATHS)}, not {datapath!r}")
        if datapath == "kernel" and kronos.experiment.engine != "kernel":
            raise ParameterError(
                f"{name}: the {datapath} datapath is outside virtual time; leave it out (it is 'user'), or "
                "use engine='kernel'"
            )
        self.ovs: PrivateOVS | None = None  # of its own
        self.controllerCount = 0
        self.controlIntf = None  # Mininet's Switch gives none to one in a namespace
        params = {**params, "kronos": kronos, "datapath": datapath}
        if pace == "instant":
            self.vswitch = kronos.require_ovs(datapath)
            KronosNodeMixin.__init__(self, name, *args, process=PROCESS, **params)
        else:
            params = {**params, "pace": pace, "cpu_speed": cpu_speed, "counter": counter}
            super().__init__(name, *args, **{**params, "inNamespace": True, "batch": False})

    @classmethod
    def setup(cls) -> None:
        """Find out the version; no database needs to run yet."""
        cls.OVSVersion = re.findall(r"\d+\.\d+", quietRun("ovs-vsctl --version"))[0]

    def start(self, controllers: Iterable[Any]) -> None:
        """Start the switch, with these controllers."""
        alone = self.inNamespace
        if alone:
            self._startOVS()
        found = self.endpoints(controllers)
        self.controllerCount = len(found)
        self.inNamespace = False  # which OVSSwitch refuses, for the kernel datapath's sake
        try:
            super().start(found)
        finally:
            self.inNamespace = alone

    def bridgeOpts(self) -> str:
        """Return OVS' options for the bridge; its address, and so its spanning tree, follow from its dpid."""
        address = macColonHex(0x020000000000 | int(self.dpid, 16) & 0xFFFFFFFFFF)
        return f"{super().bridgeOpts()} other-config:hwaddr={address}"

    def _startOVS(self) -> None:
        """Start an Open vSwitch in this switch's namespace and logical process."""
        self.ovs = self.vswitch = PrivateOVS(self.tracer(), namespace=self.pid)
        self.ovs.start()
        if self.datapath == "kernel":
            self.ovs.use_kernel_datapath()
        self.socketDirectory = Path(self.ovs.env["OVS_RUNDIR"])  # OVS connects to no other sockets
        self.kronos.experiment.on_abort(self.ovs.cleanup_command)
        report_trouble(self.kronos, f"{self.name}:", self.ovs)
        self.cmd("ip link set lo up; export", *(f"{name}={value}" for name, value in self.ovs.env.items()))

    def attach(self, intf: Any) -> None:
        """Connect an interface, or the one with this name, while the switch runs."""
        super().attach(self.nameToIntf.get(intf, intf))

    @staticmethod
    def TCReapply(intf: Any) -> None:
        """Restore what Open vSwitch removes from an interface that it gets."""
        if not isinstance(intf, Intf):  # the name of one that is not a link's
            return
        if isinstance(intf, KronosIntf):
            if intf.link:
                intf.link.wire.restore(intf)
            return
        OVSSwitch.TCReapply(intf)
        if intf.link and intf.node.datapath == "user":
            finish_checksums(intf.link.intf1 if intf is intf.link.intf2 else intf.link.intf2)

    @classmethod
    def batchStartup(cls, switches: Iterable[Any], run: Callable[..., Any] = checked_run) -> Any:
        """Start many switches at once: those that have left it to this."""
        waiting = [switch for switch in switches if switch.commands]
        if waiting:
            super().batchStartup(waiting, run=run)
        for switch in waiting:
            for intf in switch.intfs.values():
                switch.TCReapply(intf)
        return switches

    @classmethod
    def batchShutdown(cls, switches: Iterable[Any], run: Callable[..., Any] = errRun) -> Any:
        """End the switches' shells; their Open vSwitch goes as a whole."""
        for switch in switches:
            switch.terminate()
        return switches

    def connected(self) -> bool:
        """Tell whether all controllers are connected."""
        if self.failMode == "standalone":
            return True
        return self.vswitch.connections(self.name) >= self.controllerCount

    def terminate(self) -> None:
        """End the switch's shell, and its own Open vSwitch if it has one."""
        if self.ovs and self.ovs.processes:
            self.kronos.unwatch_process(self.ovs.pid)
        super().terminate()
        if self.ovs:
            self.ovs.stop()


class KronosOVSBridge(KronosOVSSwitch, OVSBridge):
    """A KronosOVSSwitch that switches by itself, with no controller."""

    def __init__(self, name: str, *args: Any, **params: Any) -> None:
        """Parameters: as for KronosOVSSwitch and OVSBridge (stp)."""
        super().__init__(name, *args, **{**params, "failMode": "standalone"})

    def connected(self) -> bool:
        """Tell whether it forwards. Its spanning tree takes virtual time: before the freeze nobody waits."""
        return bool(OVSBridge.connected(self)) if self.kronos.frozen else True


class KronosLinuxBridge(KronosSwitchMixin, LinuxBridge):
    """LinuxBridge in virtual time: the kernel forwards, at once.

    Timers of the kernel's (those of its spanning tree, the ageing of addresses) run in real time.
    """

    is_process = False

    @classmethod
    def setup(cls) -> None:
        """Need nothing: the bridge is made by iproute2."""

    def start(self, _controllers: Iterable[Any]) -> None:
        """Make the bridge."""
        options = f"stp_state {int(self.stp)} priority {self.prio} mcast_snooping 0"
        commands = [f"ip link add {self} type bridge {options}"]
        commands += [
            f"ip link set {intf} master {self}" for intf in self.intfList() if self.name in intf.name
        ]
        self._checked(f"ip link show {self} >/dev/null 2>&1 && ip link del {self}; " + " && ".join(commands))
        keep_quiet(self.name)
        self._checked(f"ip link set {self} up")

    def _checked(self, command: str) -> None:
        said = self.cmd(command).strip()
        if said:
            raise SwitchError(f"{self}: the kernel refuses the bridge: {said.splitlines()[-1]}")

    def connected(self) -> bool:
        """Tell whether it forwards; its spanning tree needs some 30 s of real time."""
        ports = self.observe("bridge", "link", "show") if self.stp else ""
        return not re.search(rf"master {re.escape(self.name)} state (listening|learning)", ports)

    def stop(self, deleteIntfs: bool = True) -> None:
        """Remove the bridge."""
        self.observe("ip", "link", "del", self.name)
        if self.shell and not self.kronos.stopped:
            super(LinuxBridge, self).stop(deleteIntfs)

    def dpctl(self, *args: Any) -> str:
        """Run iproute2's bridge command."""
        return str(self.cmd("bridge", *args))
