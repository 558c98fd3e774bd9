"""KronosNet: the topology-level controller. It brings a network up, freezes it, and steps it."""

from __future__ import annotations

import atexit
import os
import random
import select
import shlex
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mininet.util
from mininet.log import info, warn
from mininet.util import macColonHex

from mininet_kronos import settings
from mininet_kronos.clean import make_directory
from mininet_kronos.controller import KronosRyu, LateController
from mininet_kronos.errors import (
    KronosError,
    ParameterError,
    UnknownNodeError,
)
from mininet_kronos.experiment import Experiment
from mininet_kronos.link import KronosIntf, KronosLink
from mininet_kronos.machine import check_machine, check_ryu
from mininet_kronos.net_checks import check_link_class, check_params, check_topo
from mininet_kronos.net_ovs import SharedOVS
from mininet_kronos.net_waiting import WaitingNet
from mininet_kronos.node import KronosHost, KronosNodeMixin
from mininet_kronos.ovs import PrivateOVS, remove_interfaces
from mininet_kronos.pump import MILLISECOND, Poller, Pump
from mininet_kronos.readiness import await_switches
from mininet_kronos.switch import PROCESS, KronosOVSSwitch
from mininet_kronos.units import format_duration, parse_count, parse_duration

if TYPE_CHECKING:
    from mininet_kronos.runs.progress import ProgressLine
    from mininet_kronos.runs.recorder import Recorder

SAMPLE = "100ms"
MAX_TIMESTEP = MILLISECOND  # of those chosen by ourselves


def stop_all(status: str = "stopped") -> None:
    """Stop the net of this process, if there is one; status is as for its stop()."""
    if KronosNet._live:
        KronosNet._live.stop(status)


class KronosNet(WaitingNet):
    """A Mininet in virtual time.

    start() brings it up in real time and freezes it; after that, virtual time passes only in run(),
    progress() and while a command of a node is waited for.
    """

    _live: KronosNet | None = None  # one at a time

    def __init__(
        self,
        topo: Any = None,
        switch: Any = KronosOVSSwitch,
        host: Any = KronosHost,
        controller: Any = KronosRyu,
        link: Any = KronosLink,
        intf: Any = KronosIntf,
        build: bool = True,
        *args: Any,
        timestep: str | float | None = None,
        seed: int = 0,
        epoch: float | None = None,
        cpus: int | None = None,
        engine: str | None = None,
        out: str | Path | None = None,
        sample: str | float = SAMPLE,
        waitConnected: bool | float | None = None,
        **params: Any,
    ) -> None:
        """Start the engine and, if there is a topology, build the network.

        timestep: of a round, such as '100us' (None: the smallest link delay, at most 1 ms)
        seed: of all random generators: jitter, loss, MAC addresses
        epoch: what CLOCK_REALTIME shows at the freeze, in seconds since 1970 (None: goes on from now)
        cpus: CPUs that run the hosts, each a part of them (None: one)
        engine: 'user', 'kernel', or 'auto': kernel if its module is loaded (None: $KRONOS_ENGINE, or auto)
        out: directory for what the run leaves: see docs/run-directory.md (None: it leaves nothing)
        sample: virtual time between the samples of counters that are written there
        waitConnected: seconds that switches may take to connect, in real time (None, True: 60 and then fail)
        other parameters: as for Mininet.
        """
        given = settings.given()
        timestep = given.choose("timestep", timestep)
        sample = given.choose("sample", sample)
        epoch = given.choose("epoch", epoch)
        seed = given.choose("seed", seed)
        cpus = given.choose("cpus", cpus)
        engine = given.choose("engine", engine)
        self._timestep = None if timestep is None else parse_duration(timestep, "timestep")
        if self._timestep == 0:
            raise ParameterError("timestep 0 would never get anywhere; use for example '100us'")
        seed = parse_count(seed, "seed", least=0, most=2**64 - 1)
        cpus = None if cpus is None else parse_count(cpus, "cpus", least=1)
        check_params(epoch, params)
        if topo is not None:
            check_topo(topo)
        check_machine()
        if controller is KronosRyu:
            check_ryu()
        if KronosNet._live:
            raise KronosError("there is a KronosNet already; call its stop() first")

        self.parameters = {"seed": seed, "epoch": epoch, "cpus": cpus}
        self._random = random.Random(seed)
        self._started = False
        self._warned_late = False
        self._followers: list[Recorder | ProgressLine] = []
        timed = not isinstance(waitConnected, bool) and waitConnected
        super().__init__(
            topo, switch, host, controller, link, intf, False, *args, waitConnected=timed, **params
        )
        self._initialize(seed, epoch, cpus, engine)
        self._follow(given.next_out() or out, parse_duration(sample, "sample"), given.progress)
        if topo is not None and build:
            self.build()

    # The five stages

    def _initialize(self, seed: int, epoch: float | None, cpus: int | None, engine: str | None) -> None:
        """Stage 1: start the engine. From here on there is something to clean up."""
        directory = make_directory(os.getpid())
        self.experiment = Experiment(seed=seed, epoch=epoch, cpus=cpus, engine=engine)
        self.pump = Pump(self.experiment, directory)
        self._sharedOVS = SharedOVS(self.pump)
        self.pump.require_ovs = self._sharedOVS.require
        self.pump.add_link = self.addLink
        try:
            self.experiment.initialize()
        except BaseException:
            shutil.rmtree(directory)
            raise
        KronosNet._live = self
        self._owner = os.getpid()
        atexit.register(self.stop)
        mininet.util.poll = Poller  # pmonitor()'s
        self.experiment.on_abort(f"rm -rf {shlex.quote(str(directory))}")

    def _follow(self, out: str | Path | None, interval: int, progress: bool) -> None:
        """Let the run leave a directory, and say how it gets on, if that is wanted."""
        with self._stop_on_failure():
            if out is not None:
                from mininet_kronos.runs.recorder import Recorder

                self._followers.append(Recorder(self, Path(out), interval))
                self.pump.captures = Path(out, "captures")
            if progress:
                from mininet_kronos.runs.progress import ProgressLine

                self._followers.append(ProgressLine(self))

    def build(self) -> None:
        """Stage 2: make nodes and links."""
        with self._stop_on_failure():
            super().build()

    def start(self) -> None:
        """Build if needed, start controllers and switches, and freeze (stages 2 and 3)."""
        if self._started:
            return
        with self._stop_on_failure():
            super().start()
            self._require_connections()
            await_switches(switch for switch in self.switches if getattr(switch, "is_process", False))
            self.pump.timestep = self._choose_timestep()
            undelayed = "" if self._delays() else "; frames over links without a delay may be that late"
            info(f"*** Freezing (timestep {format_duration(self.pump.timestep)}{undelayed})\n")
            self.experiment.synchronize_and_freeze()
            self._started = True
            for name in settings.given().capture:
                for interface in [*self._interfaces()] if name == "all" else [name]:
                    self.capture(interface)
            for follower in self._followers:
                follower.started()

    def run(self, duration: Any, *args: Any, **params: Any) -> Any:
        """Stage 4: let virtual time pass, such as '10s' or 10.

        With a function it is Mininet's run(): start, call the function, stop.
        """
        if callable(duration):
            return super().run(duration, *args, **params)
        self.pump.run(parse_duration(duration))
        return None

    def progress(self, rounds: int = 1) -> int:
        """Stage 4: run rounds of one timestep each; return how many were done."""
        return self.pump.progress(parse_count(rounds, "rounds", least=0, most=2**63 - 1))

    def thaw(self) -> None:
        """Let virtual time follow real time, until freeze()."""
        if self.pump.frozen:
            self.experiment.thaw()

    def freeze(self) -> None:
        """Freeze again after a thaw(); the clocks of all hosts are equal then."""
        self._require_started()
        if not self.experiment.frozen:
            self.experiment.synchronize_and_freeze()

    def _require_started(self) -> None:
        if not self._started or self.pump.stopped:
            raise KronosError("the network is not running; call net.start() first")

    def stop(self, status: str = "stopped") -> None:
        """Stage 5: end everything, and leave nothing behind. Does nothing the second time.

        status: what the run's directory says of how it ended.
        """
        if self.pump.stopped or os.getpid() != self._owner:
            return
        self.pump.stopped = True
        atexit.unregister(self.stop)
        mininet.util.poll = select.poll
        KronosNet._live = None
        self.pump.stopping = True
        with ExitStack() as last:  # each of them, even if Ctrl-C comes in between
            last.callback(shutil.rmtree, self.pump.directory, ignore_errors=True)
            last.callback(self.pump.close)
            last.callback(self._sharedOVS.stop)
            last.callback(setattr, self.pump, "stopping", False)
            self._sum_up(status)
            self._remove_interfaces()
            self.experiment.stop()
            super().stop()

    def _remove_interfaces(self) -> None:
        """Remove what links have outside of hosts; one by one, as the engine's end would, takes seconds."""
        ends = [intf for link in self.links for intf in (link.intf1, link.intf2) if intf]
        remove_interfaces(intf.name for intf in ends if not intf.node.inNamespace)

    def _sum_up(self, status: str) -> None:
        for follower in self._followers:
            try:
                follower.stopped(status)
            except (KronosError, OSError) as problem:
                warn(f"*** What the run has left is not complete: {problem}\n")

    @contextmanager
    def _stop_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException as problem:
            self.stop(f"{type(problem).__name__}: {problem}")
            raise

    # Time

    @property
    def now(self) -> int:
        """Virtual time in ns since the freeze."""
        return self.experiment.now

    @property
    def timestep(self) -> int:
        """The timestep of a round in ns."""
        return self.pump.timestep if self._started else self._choose_timestep()

    def _delays(self) -> list[int]:
        """Return the delays that links and the control network have been given, in ns."""
        delays = [delay for link in self.links for delay in getattr(link, "delays", ())]
        delays += [getattr(controller, "control_delay", 0) for controller in self.controllers]
        return [delay for delay in delays if delay]

    def _choose_timestep(self) -> int:
        delays = self._delays()
        chosen = self._timestep or min([MAX_TIMESTEP, *delays])
        late = [str(link) for link in self.links if min(getattr(link, "delays", (chosen,))) < chosen]
        if late and delays and not self._warned_late:
            self._warned_late = True
            others = f" and {len(late) - 1} more" if len(late) > 1 else ""
            warn(
                f"*** {late[0]}{others}: delay below the timestep of {format_duration(chosen)}; "
                "frames arrive at the end of the round (choose a smaller timestep, or give links a delay)\n"
            )
        return chosen

    # Links

    def capture(self, interface: str, path: str | Path | None = None) -> Path:
        """Write what an interface, such as 'h1-eth0', sends and receives to a pcap file, from now on.

        path: None: INTERFACE.pcap in the run's directory, if it has one, else in the current one.
        Returns the file's path.
        """
        return self._interface(interface).capture(path)

    def stopCapture(self, interface: str) -> None:
        """End an interface's capture."""
        self._interface(interface).stopCapture()

    def _interfaces(self) -> dict[str, KronosIntf]:
        return {intf.name: intf for link in self.links for intf in (link.intf1, link.intf2)}

    def _interface(self, name: str) -> KronosIntf:
        known = self._interfaces()
        if name not in known:
            raise ParameterError(f"there is no interface '{name}'; there are {', '.join(known) or 'none'}")
        return known[name]

    # What Mininet calls while it builds

    def addHost(self, name: str, cls: Any = None, **params: Any) -> Any:
        """Add a host, as in Mininet."""
        if name == PROCESS:
            raise ParameterError(f"'{PROCESS}' is the name of the switches' process; name the host otherwise")
        params.update(settings.given().host_params())
        return self._inside(super().addHost(name, cls, **{"kronos": self.pump, **params}), self.hosts)

    def addSwitch(self, name: str, cls: Any = None, **params: Any) -> Any:
        """Add a switch, as in Mininet."""
        return self._inside(super().addSwitch(name, cls, **{"kronos": self.pump, **params}), self.switches)

    def addController(self, name: Any = "c0", controller: Any = None, **params: Any) -> Any:
        """Add a controller, as in Mininet: one that has been made before, or that is made now."""
        made_by = controller or self.controller or KronosRyu
        node = made_by(name, **params) if isinstance(name, str) else name
        if isinstance(node, LateController):
            node.join(self.pump)
        return self._inside(super().addController(node), self.controllers) if node else None

    def addLink(
        self, node1: Any, node2: Any, port1: Any = None, port2: Any = None, cls: Any = None, **params: Any
    ) -> Any:
        """Add a link, as in Mininet; with the user engine only one in virtual time."""
        if self.experiment.engine == "user":
            check_link_class(f"{node1}-{node2}", cls or self.link)
        return super().addLink(node1, node2, port1, port2, cls, **params)

    def delNode(self, node: Any, nodes: list[Any] | None = None) -> None:
        """Delete a node and its links, and end every task of its logical process; its name is free again."""
        for link in [link for link in self.links if node in (link.intf1.node, link.intf2.node)]:
            self.delLink(link)
        super().delNode(node, nodes)
        if node.name in self.experiment.hosts:
            self.experiment.remove_host(node.name)

    @property
    def ovs(self) -> PrivateOVS | None:
        """The Open vSwitch that instant switches share, if one of them has needed it."""
        return self._sharedOVS.ovs

    def logs(self) -> list[Path]:
        """Return the files that controllers and Open vSwitch log to."""
        logs = sorted(self.pump.directory.glob("*.log"))
        if self.ovs and self.ovs.directory:
            logs += sorted(self.ovs.directory.glob("*.log"))
        return logs

    def _inside(self, node: Any, nodes: list[Any]) -> Any:
        """Refuse a node that would live in real time."""
        if isinstance(node, KronosNodeMixin):
            return node
        nodes.remove(node)
        del self.nameToNode[node.name]
        node.terminate()
        raise ParameterError(
            f"{node.name}: {type(node).__name__} is outside virtual time; use KronosHost, KronosOVSSwitch "
            "or KronosRyu (the defaults), KronosRemoteController, or a class with KronosNodeMixin"
        )

    def getNodeByName(self, *names: str) -> Any:
        """Return the node, or the list of nodes, with these names."""
        nodes = [self[name] for name in names]
        return nodes[0] if len(nodes) == 1 else nodes

    def __getitem__(self, name: str) -> Any:
        if name not in self.nameToNode:
            raise UnknownNodeError(
                f"there is no node '{name}'; there are {', '.join(self.nameToNode) or 'none'}"
            )
        return self.nameToNode[name]

    def findLink(self, name: str) -> Any:
        """Return the link of an interface ('s1-eth1') or of two nodes ('h1-s1': the first one), or None."""
        for link in self.links:
            ends = [link.intf1, link.intf2]
            pairs = {f"{a.node}-{b.node}" for a, b in (ends, ends[::-1])}
            if name in pairs or name in (end.name for end in ends):
                return link
        return None

    def randMac(self) -> str:
        """Return a MAC address; the seed decides which ones come."""
        return str(macColonHex(self._random.getrandbits(48) & 0xFCFFFFFFFFFF | 0x020000000000))

    def interact(self) -> None:
        """Start, run our command line, stop."""
        from mininet_kronos.cli import KronosCLI

        self.start()
        KronosCLI(self)
        self.stop()
