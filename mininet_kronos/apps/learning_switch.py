"""An OpenFlow 1.3 learning switch, as a Ryu application.

A frame without a flow goes to the controller, which learns where the sender is, and either installs a flow
towards a known receiver or floods. Topologies may have loops: only the first copy of a flooded frame counts,
and copies that come in by another port are dropped until LOCK_TIME after the sender was last seen, so that
every flood ends and leaves a tree of shortest paths to its sender (as in ARP-Path bridges: Ibanez et al.,
"ARP-Path: ARP-based, shortest path bridges", IEEE Communications Letters 15(7), 2011).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ryu.base import app_manager
from ryu.controller import ofp_event
from ryu.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from ryu.lib.packet import ether_types, ethernet
from ryu.ofproto import ofproto_v1_3

LOCK_TIME = 5.0  # s
FLOW_PRIORITY = 1
MISS_PRIORITY = 0


@dataclass
class Station:
    """Where a MAC address is, seen from one switch."""

    port: int
    seen: float  # s, of time.monotonic()


class LearningSwitch(app_manager.RyuApp):
    """Makes every switch that connects a learning switch."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stations: dict[int, dict[str, Station]] = {}  # by datapath id, by MAC address
        self.interfaces: set[str] = set()  # MAC addresses of the switches' own ends of links

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def switch_connected(self, event: Any) -> None:
        """Begin with a new switch."""
        self.begin(event.msg.datapath)

    @set_ev_cls(ofp_event.EventOFPFlowRemoved, MAIN_DISPATCHER)
    def table_miss_removed(self, event: Any) -> None:
        """Begin anew: somebody has removed all flows of a switch."""
        if event.msg.priority == MISS_PRIORITY:
            self.begin(event.msg.datapath)

    def begin(self, datapath: Any) -> None:
        """Forget all that was learnt, and install a table-miss entry that sends frames here."""
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        self.stations[datapath.id] = {}
        to_controller = parser.OFPActionOutput(ofproto.OFPP_CONTROLLER, ofproto.OFPCML_NO_BUFFER)
        self.add_flow(
            datapath,
            MISS_PRIORITY,
            parser.OFPMatch(),
            to_controller,
            ofproto.OFP_NO_BUFFER,
            ofproto.OFPFF_SEND_FLOW_REM,
        )

    @set_ev_cls(ofp_event.EventOFPStateChange, MAIN_DISPATCHER)
    def ports_known(self, event: Any) -> None:
        """Note the addresses of a new switch's ports."""
        self.interfaces |= {port.hw_addr for port in event.datapath.ports.values()}

    @set_ev_cls(ofp_event.EventOFPPortStatus, MAIN_DISPATCHER)
    def port_changed(self, event: Any) -> None:
        """Note a new port's address; forget who was behind a port that is gone or down."""
        message = event.msg
        datapath, ofproto = message.datapath, message.datapath.ofproto
        self.interfaces.add(message.desc.hw_addr)
        if message.reason != ofproto.OFPPR_DELETE and not message.desc.state & ofproto.OFPPS_LINK_DOWN:
            return
        stations = self.stations.get(datapath.id, {})
        for mac in [mac for mac, station in stations.items() if station.port == message.desc.port_no]:
            self.forget(datapath, mac)

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def frame_arrived(self, event: Any) -> None:
        """Learn from a frame that has no flow, and send it on."""
        message = event.msg
        datapath = message.datapath
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        frame, _type, _payload = ethernet.ethernet.parser(message.data)
        if frame.ethertype == ether_types.ETH_TYPE_LLDP:
            return
        in_port = message.match["in_port"]
        receiver = self.stations[datapath.id].get(frame.dst)
        if not self.learn(datapath, frame.src, in_port, lock=receiver is None):
            return

        if receiver is None:
            self.send(message, parser.OFPActionOutput(ofproto.OFPP_FLOOD))
        elif receiver.port != in_port:
            output = parser.OFPActionOutput(receiver.port)
            match = parser.OFPMatch(in_port=in_port, eth_src=frame.src, eth_dst=frame.dst)
            self.add_flow(datapath, FLOW_PRIORITY, match, output, message.buffer_id)
            if message.buffer_id == ofproto.OFP_NO_BUFFER:  # else the flow has sent it
                self.send(message, output)

    def learn(self, datapath: Any, mac: str, port: int, lock: bool) -> bool:
        """Note a sender's port; return False for a frame that is to be dropped.

        lock: the frame will be flooded, so that a copy by another way round a loop must not pass.
        """
        if mac in self.interfaces or is_multicast(mac):
            return (
                False  # what a switch's own system says on a link (IPv6 does) would go round a loop for ever
            )
        stations = self.stations[datapath.id]
        now = time.monotonic()
        station = stations.get(mac)
        if station is not None and station.port != port:
            if lock and now - station.seen < LOCK_TIME:
                return False
            self.forget(datapath, mac)  # it has moved, or has a new path
        stations[mac] = Station(port, now)
        return True

    def forget(self, datapath: Any, mac: str) -> None:
        """Forget a station, and remove the flows from and to it."""
        del self.stations[datapath.id][mac]
        parser = datapath.ofproto_parser
        self.delete_flows(datapath, parser.OFPMatch(eth_src=mac))
        self.delete_flows(datapath, parser.OFPMatch(eth_dst=mac))

    def send(self, message: Any, output: Any) -> None:
        """Let the switch send a frame that it has handed to us."""
        datapath = message.datapath
        unbuffered = message.buffer_id == datapath.ofproto.OFP_NO_BUFFER
        datapath.send_msg(
            datapath.ofproto_parser.OFPPacketOut(
                datapath=datapath,
                buffer_id=message.buffer_id,
                in_port=message.match["in_port"],
                actions=[output],
                data=message.data if unbuffered else None,
            )
        )

    def add_flow(
        self, datapath: Any, priority: int, match: Any, output: Any, buffer_id: int, flags: int = 0
    ) -> None:
        """Install a flow, which also takes the frame in the switch's buffer, if there is one."""
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        instructions = [parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, [output])]
        datapath.send_msg(
            parser.OFPFlowMod(
                datapath=datapath,
                priority=priority,
                match=match,
                instructions=instructions,
                buffer_id=buffer_id,
                flags=flags,
            )
        )

    def delete_flows(self, datapath: Any, match: Any) -> None:
        """Delete all flows that a match covers."""
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        datapath.send_msg(
            parser.OFPFlowMod(
                datapath=datapath,
                command=ofproto.OFPFC_DELETE,
                table_id=ofproto.OFPTT_ALL,
                out_port=ofproto.OFPP_ANY,
                out_group=ofproto.OFPG_ANY,
                match=match,
            )
        )


def is_multicast(mac: str) -> bool:
    """Tell whether an address is a group's (its lowest bit of the first byte is set)."""
    return bool(int(mac[:2], 16) & 1)
