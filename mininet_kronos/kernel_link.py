"""Links with the kernel engine: veth pairs with netem and HTB, whose timers are virtual as well."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from mininet.link import Link, TCIntf

from mininet_kronos.errors import ParameterError
from mininet_kronos.kernel_counters import read_counters
from mininet_kronos.kernel_taps import Capture, open_tap
from mininet_kronos.link import ObservedIntfMixin, capture_both
from mininet_kronos.link_model import MODEL, link_params
from mininet_kronos.records import LinkParams, LinkStats

# What TCIntf.config() knows of the model.
KNOWN = (
    "bw", "delay", "jitter", "loss", "max_queue_size", "speedup", "use_hfsc", "use_tbf", "latency_ms",
    "enable_ecn", "enable_red",
)  # fmt: skip


class KernelIntf(ObservedIntfMixin, TCIntf):
    """One end of a KernelLink; traffic control shapes what it sends."""

    def __init__(self, *args: Any, **params: Any) -> None:
        self.model: dict[str, Any] = {}
        self.params_read = LinkParams()
        self._capture: Capture | None = None
        super().__init__(*args, **params)

    def delete(self) -> None:
        """Delete the interface; its capture ends."""
        self._captureTo(None)
        super().delete()

    def _captureTo(self, path: Path | None) -> None:
        if self._capture:
            self._capture.stop()
        self._capture = Capture(self.node.pid, self.name, path) if path else None
        if self._capture:
            self.node.kronos.experiment.on_abort(self._capture.cleanup_command)

    def config(self, **params: Any) -> Any:
        """Configure the end, as Intf.config(), and what it sends, from now on; what is not given stays.

        Parameters are KronosLink's, as far as TCIntf has them.
        """
        self.model.update((key, value) for key, value in params.items() if key in MODEL)
        for key, value in self.model.items():
            if value and key not in KNOWN:
                raise ParameterError(
                    f"{self.name}: {key} is not part of the kernel engine's links; leave it out, "
                    "or use engine='user'"
                )
        self.params_read = read = link_params(self.model, self.name)
        rest = {key: value for key, value in params.items() if key not in MODEL}
        shaping = {key: value for key, value in self.model.items() if key in KNOWN and value is not None}
        shaping.update(
            bw=read.bw_bps / 1e6 if read.bw_bps else None,
            delay=f"{read.delay_ns / 1e3:.3f}us" if read.delay_ns else None,
            jitter=f"{read.jitter_ns / 1e3:.3f}us" if read.jitter_ns else None,
            loss=100 * read.loss or None,
        )
        # The userspace datapath of a switch does not finish checksums.
        return super().config(**{"txo": False, "rxo": False, **rest, **shaping})


class KernelLink(Link):
    """A link in virtual time between two nodes of a KronosNet, with the kernel engine."""

    def __init__(self, node1: Any, node2: Any, *args: Any, **params: Any) -> None:
        """Make the link; parameters as for KronosLink, but for those of its own models."""
        capture = params.pop("capture", False)
        params.setdefault("cls1", KernelIntf)
        params.setdefault("cls2", KernelIntf)
        super().__init__(node1, node2, *args, fast=False, **params)
        capture_both(self, capture)

    def frames(self, program: bytes) -> socket.socket:
        """Return a socket that receives what passes on the link and a classic BPF program lets through."""
        return open_tap(self.intf1.node.pid, self.intf1.name, program)

    def counters(self, direction: int) -> LinkStats:
        """Return what a direction (0: what intf1 sends) has carried, as the kernel has counted it."""
        ends = (self.intf1, self.intf2) if direction == 0 else (self.intf2, self.intf1)
        sender, receiver = (read_counters(intf.node.pid, intf.name) for intf in ends)
        lossy = self.models[direction].loss > 0  # netem has one counter for losses and its queue's drops
        return LinkStats(
            tx_frames=sender.tx_frames,
            tx_bytes=sender.tx_bytes,
            rx_frames=receiver.rx_frames,
            rx_bytes=receiver.rx_bytes,
            dropped_queue=0 if lossy else sender.dropped,
            dropped_loss=sender.dropped if lossy else 0,
            queued=sender.queue_frames,
            queue_frames=sender.queue_frames,
            queue_bytes=sender.queue_bytes,
        )

    @property
    def models(self) -> tuple[LinkParams, LinkParams]:
        """What is done to the frames that intf1 sends, and to those that intf2 sends."""
        return self.intf1.params_read, self.intf2.params_read

    @property
    def delays(self) -> tuple[int, int]:
        """One-way delays in ns: what intf1 sends, what intf2 sends."""
        return self.intf1.params_read.delay_ns, self.intf2.params_read.delay_ns
