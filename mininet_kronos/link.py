"""Links whose frames travel in virtual time, with TCLink's parameters.

What carries the frames is a wire: TAP devices and the engine, or with the kernel engine traffic control.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

from mininet.link import Intf, Link
from mininet.log import info
from mininet.node import Switch

from mininet_kronos import interfaces
from mininet_kronos.errors import KronosError, ParameterError
from mininet_kronos.kernel_wire import KernelWire
from mininet_kronos.link_model import MODEL, link_params
from mininet_kronos.namespace import namespace_of
from mininet_kronos.node import KronosNodeMixin, warn_of_typos
from mininet_kronos.records import LinkParams, LinkStats
from mininet_kronos.units import parse_flag
from mininet_kronos.wire import EngineWire

MAX_NAME = 15  # characters of an interface's name


def check_interface_name(name: str) -> None:
    """Raise ParameterError for a name that the kernel would refuse."""
    if len(name) > MAX_NAME:
        raise ParameterError(
            f"interface name '{name}' has {len(name)} characters, the kernel takes {MAX_NAME}; "
            "give the node a shorter name"
        )


class KronosIntf(Intf):
    """One end of a KronosLink; what it sends is shaped by its own parameters.

    It is looked at, and deleted, without a command of its node's: no virtual time passes.
    """

    def __init__(self, *args: Any, **params: Any) -> None:
        self.model: dict[str, Any] = {}
        self.shape = LinkParams()
        self.link: Any = None
        self._made = False
        super().__init__(*args, **params)
        self._made = True

    def config(self, **params: Any) -> dict[str, Any]:
        """Configure the end, as Intf.config(), and what it sends, from now on.

        bw, delay and the like: as for KronosLink; those that are not given stay, None takes one back.
        """
        model = {key: value for key, value in params.items() if key in MODEL}
        rest = {key: value for key, value in params.items() if key not in MODEL}
        wanted = {**self.model, **model}
        shape = link_params(wanted, self.name, isinstance(self.node, Switch))
        if isinstance(self.link, KronosLink) and (model or not self._made):
            self.link.wire.check(self.name, shape)
            self.link.wire.shape(self, shape)
        self.model, self.shape = wanted, shape
        result: dict[str, Any] = {}
        if rest or not self._made:
            result = super().config(**rest)
        return result

    def isUp(self, setUp: bool = False) -> bool:
        """Return whether the interface is up; set it up before if asked to."""
        try:
            with namespace_of(self.node):
                if setUp:
                    interfaces.set_up(self.name)
                return interfaces.is_up(self.name)
        except OSError:
            return bool(super().isUp(setUp))

    def setIP(self, ipstr: str, prefixLen: Any = None) -> Any:
        """Set the IP address, such as '10.0.0.1/8', or '10.0.0.1' and 8, and the interface up."""
        address, _slash, length = ipstr.partition("/")
        try:
            with namespace_of(self.node):
                interfaces.set_ip(self.name, address, int(length or prefixLen))
                interfaces.set_up(self.name)
        except (OSError, ValueError, TypeError):  # ifconfig says what is wrong
            return super().setIP(ipstr, prefixLen)
        self.ip: str | None = address
        self.prefixLen: Any = length or prefixLen
        return ""

    def setMAC(self, macstr: str) -> Any:
        """Set the MAC address."""
        try:
            with namespace_of(self.node):
                interfaces.set_up(self.name, False)
                interfaces.set_mac(self.name, macstr)
                interfaces.set_up(self.name)
        except (OSError, ValueError):  # ifconfig says what is wrong
            return super().setMAC(macstr)
        self.mac = macstr
        return ""

    def updateIP(self) -> str | None:
        """Return the current IP address."""
        addresses = Intf._ipMatchRegex.findall(self.node.observe("ifconfig", self.name))
        self.ip = addresses[0] if addresses else None
        return self.ip

    def status(self) -> str:
        """Return 'OK' if the interface is up, 'DOWN' if it is not, 'MISSING' if it does not exist."""
        links = self.node.observe("ip", "-o", "link", "show")
        found = re.search(rf" {re.escape(self.name)}[:@][^<]*<([^>]*)>", links)
        if not found:
            return "MISSING"
        return "OK" if "UP" in found[1].split(",") else "DOWN"

    def capture(self, path: str | Path | None = None) -> Path:
        """Write what this end sends and receives to a pcap file with virtual stamps in ns, from now on.

        path: None: NAME.pcap among the net's captures. A capture that goes on already ends.
        """
        path = self.node.kronos.captures / f"{self.name}.pcap" if path is None else Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("wb").close()
        except OSError as problem:
            raise ParameterError(
                f"{self}: cannot write a capture to {path}: {problem.strerror}; name another file"
            ) from None
        self.link.wire.capture(self, path)
        return path

    def stopCapture(self) -> None:
        """End the capture."""
        self.link.wire.capture(self, None)

    def delete(self) -> None:
        """Delete the interface."""
        if isinstance(self.link, KronosLink):
            self.link.wire.leave(self)
        if self.node.shell and not self.node.kronos.stopped:
            self.node.observe("ip", "link", "del", self.name)
        self.node.delIntf(self)
        self.link = None


def capture_both(link: Any, where: bool | str | Path) -> None:
    """Capture both ends of a link, as its parameter `capture` says."""
    if isinstance(where, str) and "/" not in where:
        where = parse_flag(where, f"{link}: capture")  # mn's command line gives text
    if where:
        for intf in (link.intf1, link.intf2):
            intf.capture(None if where is True else Path(where, f"{intf.name}.pcap"))


class KronosLink(Link):
    """A link in virtual time between two nodes of a KronosNet."""

    def __init__(
        self,
        node1: Any,
        node2: Any,
        port1: int | None = None,
        port2: int | None = None,
        intfName1: str | None = None,
        intfName2: str | None = None,
        params1: dict[str, Any] | None = None,
        params2: dict[str, Any] | None = None,
        capture: bool | str | Path = False,
        **params: Any,
    ) -> None:
        """Make the link.

        bw: Mbit/s, no limit if left out
        delay: one way, such as '5ms'
        jitter, distribution, delay_correlation, jitter_reorders: of the delay
        loss, loss_correlation, loss_gemodel: %
        duplicate, corrupt, reorder (each with ..._correlation), gap: %, as netem's
        max_queue_size: frames that wait or are being sent (1000 if there is a bw)
        enable_red, enable_ecn, speedup, use_tbf, latency_ms: as TCLink's
        params1, params2: these for one direction only: what node1 sends, what node2 sends
        capture: True: write NAME.pcap of both ends among the net's captures; or a directory for them
        other parameters: as for Mininet's Link.
        """
        self._nodes = nodes = (node1, node2)
        for node in nodes:
            if not isinstance(node, KronosNodeMixin):
                raise KronosError(
                    f"{node}: {type(node).__name__} is outside virtual time and cannot have a KronosLink; "
                    "use KronosNet with its own host and switch classes"
                )
        kernel = node1.kronos.experiment.engine == "kernel"
        self.wire: EngineWire | KernelWire = KernelWire() if kernel else EngineWire(node1.kronos)
        ends = [dict(params1 or {}), dict(params2 or {})]
        names = []
        for node, end, port, name in zip(nodes, ends, (port1, port2), (intfName1, intfName2)):
            end["port"] = end.get("port", node.newPort()) if port is None else port
            names.append(name or self.intfName(node, end["port"]))
        if node1 is node2 and ends[0]["port"] == ends[1]["port"]:
            raise ParameterError(f"{node1} cannot have a link to itself; name two different nodes")
        for node, end, name in zip(nodes, ends, names):
            check_interface_name(name)
            self.wire.check(name, link_params({**end, **params}, name, isinstance(node, Switch)))
        warn_of_typos(f"{node1}-{node2}", {**params, **ends[0], **ends[1]}, MODEL)
        params.setdefault("cls1", KronosIntf)
        params.setdefault("cls2", KronosIntf)
        try:
            super().__init__(
                node1, node2, intfName1=names[0], intfName2=names[1],
                params1=ends[0], params2=ends[1], fast=not kernel, **params
            )  # fmt: skip
            self.wire.connect(self.intf1, self.intf2)
        finally:
            self.wire.release()
        shown = [f"{key} {value}" for key, value in self.intf1.model.items() if value is not None]
        info(f"({', '.join(shown)}) " if shown else "")
        capture_both(self, capture)

    def makeIntfPair(
        self, intfname1: str, intfname2: str, addr1: Any = None, addr2: Any = None, *_: Any, **__: Any
    ) -> None:
        """Make the two interfaces: in their nodes' namespaces, or outside if the link is not `fast`."""
        self.wire.make((self._nodes[0], intfname1, addr1), (self._nodes[1], intfname2, addr2))

    def delete(self) -> None:
        """Delete the link: its interfaces go, and what is on its way is lost."""
        super().delete()
        self.wire.delete()

    def frames(self, program: bytes) -> socket.socket:
        """Return a socket that receives what passes on the link and a classic BPF program lets through."""
        return self.wire.frames(program)

    @property
    def kronos_link(self) -> int:
        """The link's id in the user engine; direction 0 is what intf1 sends."""
        if isinstance(self.wire, KernelWire):
            raise KronosError(f"{self} is not a link of the user engine; use its counters()")
        return self.wire.id

    def counters(self, direction: int) -> LinkStats:
        """Return what a direction (0: what intf1 sends) has carried."""
        return self.wire.counters(direction)

    @property
    def models(self) -> tuple[LinkParams, LinkParams]:
        """What is done to the frames that intf1 sends, and to those that intf2 sends."""
        return self.intf1.shape, self.intf2.shape

    @property
    def delays(self) -> tuple[int, int]:
        """One-way delays in ns: what intf1 sends, what intf2 sends."""
        return self.intf1.shape.delay_ns, self.intf2.shape.delay_ns
