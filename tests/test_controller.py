"""Controllers in virtual time: what their messages take, several of them."""

import re
import sys

import pytest

from mininet_kronos import KronosController, KronosRyu
from mininet_kronos.errors import ParameterError
from tests.conftest import Pair, ping

FREE = {"counter": "free"}


def controller_with(**preset):
    """Return what KronosNet takes as a controller: KronosRyu with these parameters."""
    return lambda name, **params: KronosRyu(name, **{**preset, **params})


# The first ping of two hosts: the switch has no flow for the request, nor for the reply


@pytest.mark.parametrize("load", ["idle", "busy"])
def test_first_pings_take_the_models_time_in_ten_pairs(make_net, request, load):
    """20 ms on links; two packet-ins and their answers, 1.25 ms each way."""
    if load == "busy":
        request.getfixturevalue("busy")
    topo = Pair(hosts=20, delay="5ms", bw=None, host=FREE)
    net = make_net(topo, controller=controller_with(control_delay="1.25ms"), autoStaticArp=True)
    hosts = net.hosts
    for source, target in zip(hosts[::2], hosts[1::2]):
        result, text = ping(source, target, 3)
        # The second request still has no flow: the controller has learnt where its target is from a reply.
        assert result.replies == {1: 25.0, 2: 22.5, 3: 20.0}, text


def test_a_dilated_controllers_computation_comes_on_top(make_net):
    topo = Pair(hosts=4, delay="5ms", bw=None, host=FREE)
    controller = controller_with(control_delay="1ms", pace="dilated", cpu_speed=0.5)
    net = make_net(topo, controller=controller, autoStaticArp=True)
    hosts = net.hosts
    for source, target in zip(hosts[::2], hosts[1::2]):
        result, text = ping(source, target, 3)
        assert 24.2 < result.replies[1] < 60, text
        assert result.replies[3] == 20.0, text


def test_any_controller_that_is_a_program(make_net):
    def controller(name, **params):
        command = f"{sys.executable} -m mininet_kronos.ryu_launcher"
        cargs = "--ofp-tcp-listen-port %d mininet_kronos.apps.learning_switch"
        return KronosController(name, command=command, cargs=cargs, control_delay="1ms", **params)

    net = make_net(Pair(delay="5ms", bw=None, host=FREE), controller=controller, autoStaticArp=True)
    result, text = ping(net["h1"], net["h2"], 3)
    assert result.replies == {1: 24.0, 2: 22.0, 3: 20.0}, text


def test_without_a_delay_the_first_ping_takes_no_longer(make_net):
    net = make_net(Pair(delay="5ms", bw=None, host=FREE), autoStaticArp=True)
    result, text = ping(net["h1"], net["h2"], 3)
    assert result.replies == {1: 20.0, 2: 20.0, 3: 20.0}, text


@pytest.mark.parametrize("bad", ["5", "-1ms", 5])
def test_a_wrong_control_delay_is_refused(make_net, bad):
    with pytest.raises(ParameterError, match="c0: control_delay"):
        make_net(Pair(), controller=controller_with(control_delay=bad))


# Several


def test_another_controller_takes_over(make_net, capfd, caplog):
    net = make_net(
        Pair(hosts=6, delay="5ms", bw=None, host=FREE), start=False, controller=None, autoStaticArp=True
    )
    for number in 1, 2:
        net.addController(f"c{number}", KronosRyu, control_delay="1ms")
    net.start()
    assert [controller.port for controller in net.controllers] == [6653, 6654]
    h = net.hosts
    result, text = ping(h[0], h[1], 3)
    assert result.replies[3] == 20.0, text
    capfd.readouterr()
    caplog.clear()
    net["c1"].stop()
    net.run("1s")
    assert capfd.readouterr().err == caplog.text == ""
    for source, target in (h[2], h[3]), (h[4], h[5]):
        result, text = ping(source, target, 3)
        assert result.received == 3, text
        assert result.replies == {1: 24.0, 2: 22.0, 3: 20.0}, text


# What goes wrong

BROKEN = """
import os, time
from ryu.base import app_manager
from ryu.controller import ofp_event
from ryu.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from ryu.ofproto import ofproto_v1_3
from mininet_kronos.apps import learning_switch

class Broken(learning_switch.LearningSwitch):
    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def frame_arrived(self, event):
        {handler}
"""
CRASH = "print('I am lost', flush=True); os._exit(3)"
HANG = "while True: pass"
FLOOD = """
        datapath, parser = event.msg.datapath, event.msg.datapath.ofproto_parser
        out = parser.OFPActionOutput(datapath.ofproto.OFPP_TABLE)
        datapath.send_msg(parser.OFPPacketOut(datapath=datapath, buffer_id=datapath.ofproto.OFP_NO_BUFFER,
            in_port=event.msg.match["in_port"], actions=[out], data=event.msg.data))
"""


@pytest.mark.parametrize("delay", [None, "1ms"], ids=["at once", "with a delay"])
@pytest.mark.parametrize(
    ("handler", "line"),
    [
        (CRASH, r"\*\*\* c0: Ryu has ended, at 0\.\d+ s of virtual time; its last words: I am lost"),
        (
            HANG,
            r"kronos: c0 has computed for \d+ ms in no virtual time, and may never stop: its clock goes on",
        ),
        (FLOOD, r"kronos: (c0|ovs) has computed for \d+ ms in no virtual time, .*|"),
    ],
    ids=["crash", "hang", "flood"],
)
def test_a_broken_controller_is_one_line_and_time_goes_on(
    make_net, tmp_path, capfd, caplog, handler, line, delay
):
    app = tmp_path / "broken.py"
    app.write_text(BROKEN.format(handler=handler))
    net = make_net(
        Pair(delay="5ms", bw=None, host=FREE), controller=controller_with(apps=str(app), control_delay=delay)
    )
    capfd.readouterr()
    caplog.clear()
    net["h1"].sendCmd(f"ping -c 3 -W 1 {net['h2'].IP()}")
    net.run("2s")
    assert net.now >= 2_000_000_000
    said = [*capfd.readouterr().err.splitlines(), *(message.rstrip("\n") for message in caplog.messages)]
    assert len(said) <= 2 and all(re.fullmatch(line, one) for one in said), said
    assert said or handler is FLOOD


def test_a_dilated_controller_that_hangs_is_one_line(make_net, tmp_path, caplog):
    app = tmp_path / "broken.py"
    app.write_text(BROKEN.format(handler=HANG))
    net = make_net(
        Pair(delay="5ms", bw=None, host=FREE), controller=controller_with(apps=str(app), pace="dilated")
    )
    caplog.clear()
    net["h1"].sendCmd(f"ping -c 3 -W 1 {net['h2'].IP()}")
    net.run("15s")
    line = r"\*\*\* s1: its controller at tcp:127.0.0.1:6653 does not answer, at \d+\.\d+ s of virtual .*\n"
    assert re.fullmatch(line, "".join(caplog.messages)), caplog.messages
