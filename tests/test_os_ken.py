"""os-ken in Ryu's place: applications written for it, and those that were written for Ryu."""

import pytest

from mininet_kronos import KronosRyu
from tests.conftest import Pair, Ring, ping

FREE = {"counter": "free"}

OWN = """
from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_3


class Flood(app_manager.OSKenApp):
    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def connected(self, event):
        datapath = event.msg.datapath
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        ask = [parser.OFPActionOutput(ofproto.OFPP_CONTROLLER, ofproto.OFPCML_NO_BUFFER)]
        apply = [parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, ask)]
        datapath.send_msg(parser.OFPFlowMod(datapath=datapath, priority=0, instructions=apply))

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def arrived(self, event):
        datapath = event.msg.datapath
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        datapath.send_msg(parser.OFPPacketOut(
            datapath=datapath, buffer_id=ofproto.OFP_NO_BUFFER, in_port=event.msg.match["in_port"],
            actions=[parser.OFPActionOutput(ofproto.OFPP_FLOOD)], data=event.msg.data))
"""


def test_an_application_of_its_own(make_net, tmp_path):
    """Each frame asks the controller, 1 ms away."""
    app = tmp_path / "flood.py"
    app.write_text(OWN)
    net = make_net(
        Pair(delay="5ms", bw=None, host=FREE),
        controller=lambda name, **params: KronosRyu(name, str(app), control_delay="1ms", **params),
        autoStaticArp=True,
    )
    result, text = ping(net["h1"], net["h2"], 3)
    assert result.replies == {1: 24.0, 2: 24.0, 3: 24.0}, text


@pytest.mark.parametrize("delay", [None, "2ms"], ids=["at once", "with a delay"])
def test_applications_written_for_ryu(make_net, monkeypatch, delay):
    """Ours, with topology discovery: it finds links, and goes round one that fails."""
    monkeypatch.setenv("KRONOS_RYU", "os_ken")
    apps = ["mininet_kronos.apps.routing", "mininet_kronos.apps.statistics"]
    net = make_net(
        Ring(4, host=FREE),
        controller=lambda name, **params: KronosRyu(name, *apps, control_delay=delay, **params),
        autoStaticArp=True,
    )
    net.run("3s")
    assert net.pingAll() == 0
    result, text = ping(net["h1"], net["h2"], 3)
    assert set(result.replies.values()) == {10.0}, text
    net.configLinkStatus("s1", "s2", "down")
    net.run("1s")
    result, text = ping(net["h1"], net["h2"], 3)
    assert set(result.replies.values()) == {22.0}, text
    assert "port statistics: time=" in net["c0"].log.read_text()
