"""Links whose frames travel in virtual time, with TCLink's parameters.

Both ends are TAP devices; the engine carries the frames between them. Each direction is one FIFO server
with the link's rate and a drop-tail queue, then the delay.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mininet.link import Intf, Link
from mininet.log import info
from mininet.node import Switch
from mininet.util import quietRun

from mininet_kronos.errors import KronosError, MissingProgramError, ParameterError
from mininet_kronos.frames import attach_filter
from mininet_kronos.link_model import MODEL, link_params
from mininet_kronos.node import KronosNodeMixin
from mininet_kronos.records import LinkParams, LinkStats
from mininet_kronos.units import parse_flag

if TYPE_CHECKING:
    from mininet_kronos.pump import Pump

MAX_NAME = 15  # characters of an interface's name
LEAVING = 3.0  # s of real time that an ended network has for removing its devices

TUN_DEVICE = "/dev/net/tun"
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_TUN_EXCL = 0x0002, 0x1000, 0x8000


def check_interface_name(name: str) -> None:
    """Raise ParameterError for a name that the kernel would refuse."""
    if len(name) > MAX_NAME:
        raise ParameterError(
            f"interface name '{name}' has {len(name)} characters, the kernel takes {MAX_NAME}; "
            "give the node a shorter name"
        )


class ObservedIntfMixin:
    """Looks at an interface, and deletes it, without a command of its node's: no virtual time passes."""

    # Mininet's Intf has
    name: str
    node: Any
    link: Any
    ip: str | None

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
        self._captureTo(path)
        return path

    def stopCapture(self) -> None:
        """End the capture."""
        self._captureTo(None)

    def _captureTo(self, path: Path | None) -> None:
        """Let the capture go to a file from now on, or nowhere."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the interface."""
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


class KronosIntf(ObservedIntfMixin, Intf):
    """One end of a KronosLink; what it sends is shaped by its own parameters."""

    def __init__(self, *args: Any, **params: Any) -> None:
        self.model: dict[str, Any] = {}
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
        parsed = link_params(wanted, self.name, isinstance(self.node, Switch))
        if model and isinstance(self.link, KronosLink):
            self.link.setModel(self, parsed)
        self.model = wanted
        result: dict[str, Any] = {}
        if rest or not self._made:
            result = super().config(**rest)
        return result

    def _captureTo(self, path: Path | None) -> None:
        link: Any = self.link
        capture, end = link.kronos.experiment.capture, int(self is link.intf2)
        if path is None:
            capture(link.kronos_link, end)
        else:
            with path.open("wb") as file:
                capture(link.kronos_link, end, file.fileno())


class KronosLink(Link):
    """A link in virtual time between two nodes of a KronosNet.

    With the kernel engine it is a KernelLink: the kernel's own traffic control does what is asked for.
    """

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
        nodes = (node1, node2)
        for node in nodes:
            if not isinstance(node, KronosNodeMixin):
                raise KronosError(
                    f"{node}: {type(node).__name__} is outside virtual time and cannot have a KronosLink; "
                    "use KronosNet with its own host and switch classes"
                )
        if node1.kronos.experiment.engine == "kernel":  # here, since mn's --link gives parameters here
            from mininet_kronos.kernel_link import KernelLink

            self.__class__ = KernelLink
            KernelLink.__init__(
                self, node1, node2, port1, port2, intfName1=intfName1, intfName2=intfName2,
                params1=params1, params2=params2, capture=capture, **params
            )  # fmt: skip
            return
        self.kronos: Pump = node1.kronos
        self._id: int | None = None
        ends = [dict(params1 or {}), dict(params2 or {})]
        names = []
        for node, end, port, name in zip(nodes, ends, (port1, port2), (intfName1, intfName2)):
            end["port"] = end.get("port", node.newPort()) if port is None else port
            names.append(name or self.intfName(node, end["port"]))
        if node1 is node2 and ends[0]["port"] == ends[1]["port"]:
            raise ParameterError(f"{node1} cannot have a link to itself; name two different nodes")
        self._models = []
        for node, end, name in zip(nodes, ends, names):
            check_interface_name(name)
            self._models.append(link_params({**end, **params}, name, isinstance(node, Switch)))
        self._taps: list[int] = []
        params.setdefault("cls1", KronosIntf)
        params.setdefault("cls2", KronosIntf)
        try:
            super().__init__(
                node1, node2, intfName1=names[0], intfName2=names[1],
                params1=ends[0], params2=ends[1], fast=False, **params
            )  # fmt: skip
            self._add()
        finally:
            for tap in self._taps:
                os.close(tap)
        capture_both(self, capture)

    def frames(self, program: bytes) -> socket.socket:
        """Return a socket that receives what passes on the link and a classic BPF program lets through."""
        theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with theirs:
            attach_filter(ours, program)
            self.kronos.experiment.watch_link(self.kronos_link, theirs.fileno())
        return ours

    def delete(self) -> None:
        """Delete the link: its interfaces go, and what is on its way is lost."""
        super().delete()
        if self._id is not None and not self.kronos.stopped:
            self.kronos.experiment.remove_link(self._id)
            self._id = None

    def makeIntfPair(
        self, intfname1: str, intfname2: str, addr1: Any = None, addr2: Any = None, *_: Any
    ) -> None:
        """Make the two TAP devices, still outside their nodes."""
        for name, address in ((intfname1, addr1), (intfname2, addr2)):
            self._taps.append(open_tap(name))
            keep_quiet(name)  # what moves to a host's namespace starts afresh there
            if address:
                quietRun(["ip", "link", "set", "dev", name, "address", address])

    def _add(self) -> None:
        """Hand both ends to the engine."""
        ends = [
            (tap, intf.node.kronos_process, intf.name)
            for tap, intf in zip(self._taps, (self.intf1, self.intf2))
        ]
        self._id = self.kronos.experiment.add_link(ends[0], ends[1], *self._models)
        shown = [f"{key} {value}" for key, value in self.intf1.model.items() if value is not None]
        info(f"({', '.join(shown)}) " if shown else "")

    @property
    def kronos_link(self) -> int:
        """The link's id in the experiment; direction 0 is what intf1 sends."""
        if self._id is None:
            raise KronosError(f"{self} is not up")
        return self._id

    def counters(self, direction: int) -> LinkStats:
        """Return what a direction (0: what intf1 sends) has carried."""
        return self.kronos.experiment.link_stats(self.kronos_link, direction)

    def setModel(self, intf: KronosIntf, model: LinkParams) -> None:
        """Let what an end sends travel by another model from now on."""
        if self._id is None:  # being made
            return
        direction = 0 if intf is self.intf1 else 1
        self.kronos.experiment.set_link(self._id, direction, model)
        self._models[direction] = model

    @property
    def models(self) -> tuple[LinkParams, LinkParams]:
        """What is done to the frames that intf1 sends, and to those that intf2 sends."""
        return self._models[0], self._models[1]

    @property
    def delays(self) -> tuple[int, int]:
        """One-way delays in ns: what intf1 sends, what intf2 sends."""
        return self._models[0].delay_ns, self._models[1].delay_ns


def open_tap(name: str) -> int:
    """Make a TAP device; return its descriptor. The device goes when the last descriptor is closed."""
    try:
        tap = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise MissingProgramError(
            f"{TUN_DEVICE}: {problem.strerror}; load the module with: modprobe tun"
        ) from problem
    try:
        make_tap(tap, name)
    except OSError as problem:
        os.close(tap)
        if problem.errno == errno.EBUSY:
            raise KronosError(
                f"interface {name} exists already; stop the Mininet that uses it, "
                "or run 'kronos clean' if that one has crashed"
            ) from problem
        raise KronosError(
            f"cannot make interface {name}: {problem.strerror}; is this run by root?"
        ) from problem
    return tap


def make_tap(tap: int, name: str) -> None:
    """Give an opened descriptor its TAP device.

    A network whose orchestrator was killed a moment ago still has its devices: they are waited for.
    """
    request = struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL)
    deadline = time.monotonic() + LEAVING
    while True:
        try:
            fcntl.ioctl(tap, TUNSETIFF, request)
            return
        except OSError as problem:
            if problem.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def keep_quiet(name: str) -> None:
    """Keep an interface of this namespace from sending IPv6 messages of its own."""
    switch = Path("/proc/sys/net/ipv6/conf", name, "disable_ipv6")
    if switch.exists():
        switch.write_text("1")
