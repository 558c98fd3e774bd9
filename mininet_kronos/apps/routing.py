"""Shortest-path routing with topology discovery, as a Ryu application for OpenFlow 1.3.

Ryu finds the switches and links (by LLDP); hosts are where their frames enter the network. For each pair of
hosts that have something to say the switches along a shortest path get a flow; of several paths, the one by
the lowest datapath ids is taken. When a link fails, or comes back, the flows that must change are changed.
Frames to all, or to hosts that are not known yet, go from the controller to all ports that lead out of the
network: topologies may have loops.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ryu import cfg
from ryu.base import app_manager
from ryu.controller import ofp_event
from ryu.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from ryu.lib.packet import ether_types, ethernet
from ryu.ofproto import ofproto_v1_3
from ryu.topology import event as topology

app_manager.require_app("ryu.topology.switches")
cfg.CONF.set_override("observe_links", True)

FLOW_PRIORITY = 1
MISS_PRIORITY = 0

Place = tuple[int, int]  # datapath id, port
Flow = tuple[int, str, str]  # datapath id, sender, receiver


class Routing(app_manager.RyuApp):
    """Keeps flows along a shortest path for every pair of hosts."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.datapaths: dict[int, Any] = {}
        self.links: dict[Place, Place] = {}  # where a frame that leaves there arrives
        self.hosts: dict[str, Place] = {}  # by MAC address
        self.pairs: set[tuple[str, str]] = set()  # sender, receiver
        self.flows: dict[Flow, int] = {}  # output ports

    # What there is

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def switch_connected(self, event: Any) -> None:
        """Begin with a switch that has no flows but a table-miss entry, which sends frames here."""
        datapath = event.msg.datapath
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        self.datapaths[datapath.id] = datapath
        self.flows = {key: port for key, port in self.flows.items() if key[0] != datapath.id}
        to_controller = parser.OFPActionOutput(ofproto.OFPP_CONTROLLER, ofproto.OFPCML_NO_BUFFER)
        self.set_flow(datapath, ofproto.OFPFC_ADD, MISS_PRIORITY, parser.OFPMatch(), to_controller)

    @set_ev_cls(topology.EventSwitchLeave)
    def switch_left(self, event: Any) -> None:
        """Forget a switch."""
        self.datapaths.pop(event.switch.dp.id, None)
        self.update()

    @set_ev_cls(topology.EventLinkAdd)
    def link_found(self, event: Any) -> None:
        """Use a new link; who seemed to be a host behind it is none."""
        source, target = ends(event.link)
        self.links[source] = target
        self.hosts = {mac: place for mac, place in self.hosts.items() if place not in (source, target)}
        self.update()

    @set_ev_cls(topology.EventLinkDelete)
    def link_lost(self, event: Any) -> None:
        """Go round a link that has failed."""
        self.links.pop(ends(event.link)[0], None)
        self.update()

    # Frames without a flow

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def frame_arrived(self, event: Any) -> None:
        """Note where a frame's sender is, and send the frame to its receiver."""
        message = event.msg
        datapath, in_port = message.datapath, message.match["in_port"]
        frame, _type, _payload = ethernet.ethernet.parser(message.data)
        if frame.ethertype == ether_types.ETH_TYPE_LLDP:
            return
        place = (datapath.id, in_port)
        if self.is_edge(*place):
            self.hosts[frame.src] = place
        receiver = self.hosts.get(frame.dst)
        if receiver is None:
            self.send_everywhere(message.data, place)
            return
        self.pairs.add((frame.src, frame.dst))
        self.update()
        port = self.ports_towards(receiver).get(datapath.id)
        if port is not None and port != in_port:
            self.send(datapath, message.data, port, in_port)

    def is_edge(self, datapath_id: int, port: int) -> bool:
        """Tell whether a port leads out of the network."""
        return (datapath_id, port) not in self.links

    def send_everywhere(self, data: bytes, origin: Place) -> None:
        """Send a frame out of all ports that lead out of the network, but the one where it came in."""
        for datapath_id, datapath in sorted(self.datapaths.items()):
            for port in sorted(datapath.ports):
                there = (datapath_id, port)
                if port <= datapath.ofproto.OFPP_MAX and self.is_edge(*there) and there != origin:
                    self.send(datapath, data, port, datapath.ofproto.OFPP_CONTROLLER)

    # Paths

    def update(self) -> None:
        """Bring the switches' flows in line with what there is now."""
        wanted: dict[Flow, int] = {}
        towards = {place: self.ports_towards(place) for place in set(self.hosts.values())}
        for sender, receiver in sorted(self.pairs):
            if sender in self.hosts and receiver in self.hosts:
                ports = towards[self.hosts[receiver]]
                for datapath_id in self.path(self.hosts[sender], ports):
                    wanted[datapath_id, sender, receiver] = ports[datapath_id]
        for flow, port in wanted.items():
            if self.flows.get(flow) != port:
                self.set_host_flow(flow, port)
        for flow in sorted(self.flows.keys() - wanted.keys()):
            self.set_host_flow(flow, None)
        self.flows = wanted

    def path(self, place: Place, ports: dict[int, int]) -> list[int]:
        """Return the switches that a frame passes from a place on, by the ports that lead to its receiver."""
        passed: list[int] = []
        at: int | None = place[0]
        while at in ports and at not in passed:
            passed.append(at)
            at = self.links.get((at, ports[at]), (None, 0))[0]
        return passed

    def ports_towards(self, place: Place) -> dict[int, int]:
        """Return each switch's first port of a shortest path to a place; without a path there is none."""
        if place[0] not in self.datapaths:
            return {}
        before: dict[int, list[Place]] = {}  # where a switch is reached from
        for source, target in sorted(self.links.items()):
            before.setdefault(target[0], []).append(source)
        found = dict([place])
        todo = deque(found)
        while todo:
            for datapath_id, port in before.get(todo.popleft(), []):
                if datapath_id not in found and datapath_id in self.datapaths:
                    found[datapath_id] = port
                    todo.append(datapath_id)
        return found

    # What is sent to switches

    def set_host_flow(self, flow: Flow, port: int | None) -> None:
        """Let a switch send what goes from one host to another out of a port, or (None) ask again."""
        datapath_id, sender, receiver = flow
        datapath = self.datapaths.get(datapath_id)
        if datapath is None:
            return
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        command = ofproto.OFPFC_DELETE_STRICT if port is None else ofproto.OFPFC_ADD
        match = parser.OFPMatch(eth_src=sender, eth_dst=receiver)
        self.set_flow(datapath, command, FLOW_PRIORITY, match, parser.OFPActionOutput(port or 0))

    def set_flow(self, datapath: Any, command: int, priority: int, match: Any, output: Any) -> None:
        """Add a flow, in the place of one with the same match, or delete it."""
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        actions = [parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, [output])]
        datapath.send_msg(
            parser.OFPFlowMod(
                datapath=datapath,
                command=command,
                priority=priority,
                match=match,
                out_port=ofproto.OFPP_ANY,
                out_group=ofproto.OFPG_ANY,
                instructions=actions,
            )
        )

    def send(self, datapath: Any, data: bytes, port: int, in_port: int) -> None:
        """Let a switch send a frame."""
        datapath.send_msg(
            datapath.ofproto_parser.OFPPacketOut(
                datapath=datapath,
                buffer_id=datapath.ofproto.OFP_NO_BUFFER,
                in_port=in_port,
                actions=[datapath.ofproto_parser.OFPActionOutput(port)],
                data=data,
            )
        )


def ends(link: Any) -> tuple[Place, Place]:
    """Return where a link begins and where it ends."""
    return (link.src.dpid, link.src.port_no), (link.dst.dpid, link.dst.port_no)
