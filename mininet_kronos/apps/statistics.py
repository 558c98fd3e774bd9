"""A poller of port statistics, as a Ryu application for OpenFlow 1.3; it goes beside one that installs flows.

    KronosRyu("c0", "mininet_kronos.apps.learning_switch", "mininet_kronos.apps.statistics")

Every PERIOD it asks each switch for its ports' counters and logs each port's rates since it asked last:

    port statistics: time=12.000 datapath=1 port=2 rx=8.001 Mbit/s tx=0.000 Mbit/s rx_bytes=... tx_bytes=...

Rates are differences of bytes over differences of the switch's own clock, so that they hold however long the
answer has taken. time is CLOCK_MONOTONIC since the application started.
"""

from __future__ import annotations

import time
from typing import Any

from ryu.base import app_manager
from ryu.controller import ofp_event
from ryu.controller.handler import MAIN_DISPATCHER, set_ev_cls
from ryu.lib import hub
from ryu.ofproto import ofproto_v1_3

PERIOD = 1.0  # s


class Statistics(app_manager.RyuApp):
    """Logs the rates of all ports of all switches."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.datapaths: dict[int, Any] = {}
        self.last: dict[tuple[int, int], Any] = {}  # a port's last counters
        self.begin = time.monotonic()
        self.threads.append(hub.spawn(self.poll))

    @set_ev_cls(ofp_event.EventOFPStateChange, MAIN_DISPATCHER)
    def switch_connected(self, event: Any) -> None:
        """Poll a new switch as well."""
        self.datapaths[event.datapath.id] = event.datapath

    def poll(self) -> None:
        """Ask all switches, for ever."""
        due = time.monotonic()
        while True:
            for datapath in list(self.datapaths.values()):
                ofproto, parser = datapath.ofproto, datapath.ofproto_parser
                datapath.send_msg(parser.OFPPortStatsRequest(datapath, 0, ofproto.OFPP_ANY))
            due = max(due + PERIOD, time.monotonic())
            hub.sleep(due - time.monotonic())

    @set_ev_cls(ofp_event.EventOFPPortStatsReply, MAIN_DISPATCHER)
    def counted(self, event: Any) -> None:
        """Log what has passed since the last answer."""
        datapath = event.msg.datapath
        for now in event.msg.body:
            if now.port_no > datapath.ofproto.OFPP_MAX:
                continue
            before = self.last.get((datapath.id, now.port_no))
            self.last[datapath.id, now.port_no] = now
            if before is None or seconds(now) <= seconds(before):
                continue
            interval = seconds(now) - seconds(before)
            self.logger.info(
                "port statistics: time=%.3f datapath=%d port=%d rx=%.3f Mbit/s tx=%.3f Mbit/s "
                "rx_bytes=%d tx_bytes=%d",
                time.monotonic() - self.begin,
                datapath.id,
                now.port_no,
                8e-6 * (now.rx_bytes - before.rx_bytes) / interval,
                8e-6 * (now.tx_bytes - before.tx_bytes) / interval,
                now.rx_bytes,
                now.tx_bytes,
            )


def seconds(counters: Any) -> float:
    """Return how long a port had existed when its counters were read."""
    return float(counters.duration_sec + counters.duration_nsec / 1e9)
