"""What carries a link's frames with the kernel engine: a veth pair, and traffic control in virtual time."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, NamedTuple

from mininet.util import errRun, makeIntfPair

from mininet_kronos.errors import EngineError, ParameterError
from mininet_kronos.kernel_counters import Qdisc, read_counters
from mininet_kronos.kernel_taps import Capture, open_tap
from mininet_kronos.namespace import network_namespace
from mininet_kronos.records import LinkParams, LinkStats

IN_FLIGHT = 100_000  # frames that a delay holds at most
# Of a netem that has a rate, frames keep their order. This one delays a frame of 1514 bytes by 1 ns.
ORDER = "rate 10tbit"
# As in the user engine and TCLink; 15000 bytes are TCLink's burst.
RED = "red limit 1000000 min 30000 max 35000 avpkt 1500 burst 20 bandwidth {rate} probability 1"
TBF = "tbf rate {rate} burst 15000 limit {limit}"
DELAY, EARLY, RATE = 0x10, 0x20, 0x30  # major numbers of qdiscs' handles


class Stage(NamedTuple):
    """A part of traffic control, whose child is the next one."""

    handle: int
    text: str  # for tc

    @property
    def kind(self) -> list[str]:
        """The words of the text; parts that only differ in numbers are changed as they are."""
        return [word for word in self.text.split() if word.isalpha()]


class Drops(NamedTuple):
    """Frames by what has dropped them."""

    loss: int = 0
    red: int = 0
    queue: int = 0


class KernelWire:
    """Each direction computes what the user engine does, but loses before the queue, not behind it.

    The delay comes first, so that the sender's TCP is not told what its own machine's queue has dropped, and
    the queue's limit does not count what is on its way.
    """

    def __init__(self) -> None:
        self._ends: list[Any] = []
        self._stages: dict[Any, list[Stage]] = {}
        self._dropped: dict[Any, Drops] = {}  # by parts that are gone
        self._captures: dict[Any, Capture] = {}

    def check(self, name: str, params: LinkParams) -> None:
        """Raise ParameterError for what traffic control has not in this form."""
        if params.duplicate:
            raise ParameterError(
                f"{name}: duplicate is not part of the kernel engine's links; leave it out, "
                "or use engine='user'"
            )

    def make(self, *ends: tuple[Any, str, str | None]) -> None:
        """Make the interfaces, with these names and addresses, still outside their nodes."""
        (_, name1, address1), (_, name2, address2) = ends
        makeIntfPair(name1, name2, address1, address2)

    def release(self) -> None:
        """Have nothing to close."""

    def connect(self, intf1: Any, intf2: Any) -> None:
        """Hear that both ends are there."""
        self._ends = [intf1, intf2]

    def shape(self, intf: Any, params: LinkParams) -> None:
        """Let what an end sends travel by these parameters from now on."""
        if intf not in self._stages:
            # TCP gives several segments at once to traffic control, which would lose them together. The
            # userspace datapath of a switch does not finish checksums.
            self._run(intf, "ip link set dev {} gso_max_segs 1")
            self._run(intf, "ethtool -K {} gro off tx off rx off")
        before, stages = self._stages.get(intf, []), make_stages(params)
        same = [stage.kind for stage in before] == [stage.kind for stage in stages]
        if before and not same:
            self._dropped[intf] = self._drops(intf, read_counters(intf.node.pid, intf.name).qdiscs)
            self._run(intf, "tc qdisc del dev {} root")
        parent = "root"
        for stage in stages:
            verb = "change" if same else "replace"
            self._run(intf, f"tc qdisc {verb} dev {{}} {parent} handle {stage.handle:x}: {stage.text}")
            parent = f"parent {stage.handle:x}:1"
        self._stages[intf] = stages

    def restore(self, intf: Any) -> None:
        """Shape anew what an end sends: Open vSwitch has removed that."""
        self._stages.pop(intf, None)
        self.shape(intf, intf.shape)

    def _run(self, intf: Any, command: str) -> None:
        command = command.format(intf.name)
        with network_namespace(intf.node.pid):
            _out, problem, status = errRun(command)
        if status:
            raise EngineError(f"{intf.name}: '{command}' failed: {problem.strip()}")

    def capture(self, intf: Any, path: Path | None) -> None:
        """Let an end's capture go to a file from now on, or nowhere."""
        before = self._captures.pop(intf, None)
        if before:
            before.stop()
        if path:
            self._captures[intf] = capture = Capture(intf.node.pid, intf.name, path)
            intf.node.kronos.experiment.on_abort(capture.cleanup_command)

    def frames(self, program: bytes) -> socket.socket:
        """Return a socket that receives what passes and a classic BPF program lets through."""
        return open_tap(self._ends[0].node.pid, self._ends[0].name, program)

    def counters(self, direction: int) -> LinkStats:
        """Return what a direction has carried, as the kernel has counted it."""
        sender, receiver = (
            read_counters(intf.node.pid, intf.name) for intf in self._ends[:: -1 if direction else 1]
        )
        drops = self._drops(self._ends[direction], sender.qdiscs)
        queue = sender.qdiscs.get(RATE)
        return LinkStats(
            tx_frames=sender.tx_frames + sum(drops),
            tx_bytes=sender.tx_bytes,
            rx_frames=receiver.rx_frames,
            rx_bytes=receiver.rx_bytes,
            dropped_queue=drops.queue,
            dropped_red=drops.red,
            dropped_loss=drops.loss,
            queued=max((qdisc.frames for qdisc in sender.qdiscs.values()), default=0),
            queue_frames=queue.frames if queue else 0,
            queue_bytes=queue.bytes if queue else 0,
        )

    def _drops(self, intf: Any, qdiscs: dict[int, Qdisc]) -> Drops:
        """Return what has been dropped of what an end has sent, also by parts that are gone."""
        handles = {stage.handle for stage in self._stages.get(intf, [])} & qdiscs.keys()
        counts = {handle: qdiscs[handle].drops for handle in handles}
        queue = counts.get(RATE, 0)
        red = counts.get(EARLY, queue)  # a parent counts what its child drops
        loss = counts.get(DELAY, red)
        before = self._dropped.get(intf, Drops())
        return Drops(before.loss + loss - red, before.red + red - queue, before.queue + queue)

    def leave(self, intf: Any) -> None:
        """Hear that an interface is about to be deleted: its capture ends."""
        self.capture(intf, None)

    def delete(self) -> None:
        """Have nothing left when the interfaces are gone."""


def make_stages(params: LinkParams) -> list[Stage]:
    """Return traffic control's parts for one direction, the root first."""
    stages = []
    effects = list(_effects(params))
    if effects:
        stages.append(Stage(DELAY, " ".join(["netem", "limit", str(IN_FLIGHT), *effects])))
    rate = f"{round(params.bw_bps)}bit"
    if params.bw_bps and (params.red or params.ecn):
        stages.append(Stage(EARLY, RED.format(rate=rate) + (" ecn" if params.ecn else "")))
    if params.bw_bps and params.max_queue_bytes:
        stages.append(Stage(RATE, TBF.format(rate=rate, limit=params.max_queue_bytes)))
    elif params.bw_bps:
        stages.append(Stage(RATE, f"netem limit {params.max_queue or IN_FLIGHT} rate {rate}"))
    return stages


def _effects(params: LinkParams) -> Any:
    """Yield what netem does besides the rate, in tc's words."""
    if params.delay_ns or params.jitter_ns:
        yield f"delay {_time(params.delay_ns)}"
    if params.jitter_ns:
        yield f"{_time(params.jitter_ns)} {_percent(params.delay_correlation)}"
        if params.distribution != "uniform":
            yield f"distribution {params.distribution}"
        if not params.jitter_reorders:
            yield ORDER
    if params.ge_p or params.ge_good_loss:
        numbers = params.ge_p, params.ge_r, params.ge_bad_loss, params.ge_good_loss
        yield "loss gemodel " + " ".join(_percent(number) for number in numbers)
    elif params.loss:
        yield f"loss random {_percent(params.loss)} {_percent(params.loss_correlation)}"
    if params.corrupt:
        yield f"corrupt {_percent(params.corrupt)} {_percent(params.corrupt_correlation)}"
    if params.reorder:
        yield f"reorder {_percent(params.reorder)} {_percent(params.reorder_correlation)}"
        yield f"gap {params.reorder_gap}"


def _time(ns: int) -> str:
    return f"{ns / 1e3:.3f}us"


def _percent(share: float) -> str:
    return f"{100 * share:.7g}%"
