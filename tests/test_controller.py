"""Controllers in virtual time: what their messages take, several of them."""

import os
import re
import sys

import pytest

from mininet_kronos import KronosController, KronosRemoteController, KronosRyu
from mininet_kronos.demo import busy_loops
from mininet_kronos.errors import KronosError, ParameterError
from tests.conftest import Pair, ping

FREE = {"counter": "free"}
LAUNCHER = f"{sys.executable} -m mininet_kronos.ryu_launcher"
LISTEN = "--ofp-tcp-listen-port %d "


def free_pair():
    return Pair(delay="5ms", bw=None, host=FREE)


def controller_with(**preset):
    """Return what KronosNet takes as a controller: KronosRyu with these parameters."""
    return lambda name, **params: KronosRyu(name, **{**preset, **params})


# The first ping of two hosts: the switch has no flow for the request, nor for the reply


def test_first_pings_take_the_models_time_in_ten_runs(make_net):
    """20 ms on links; two packet-ins and answers, 1.25 ms each way; every other run on a loaded machine."""
    for run in range(10):
        with busy_loops(2 * len(os.sched_getaffinity(0)) * (run % 2)):
            topo = Pair(hosts=4, delay="5ms", bw=None, host=FREE)
            net = make_net(topo, controller=controller_with(control_delay="1.25ms"), autoStaticArp=True)
            hosts = net.hosts
            for source, target in zip(hosts[::2], hosts[1::2]):
                result, text = ping(source, target, 3)
                # The second request still has no flow: its target is learnt from a reply.
                assert result.replies == {1: 25.0, 2: 22.5, 3: 20.0}, text


def test_a_dilated_controllers_computation_comes_on_top(make_net):
    topo = Pair(hosts=4, delay="5ms", bw=None, host=FREE)
    controller = controller_with(control_delay="1ms", pace="dilated", cpu_speed=0.5)
    net = make_net(topo, controller=controller, autoStaticArp=True)
    hosts = net.hosts
    for source, target in zip(hosts[::2], hosts[1::2]):
        result, text = ping(source, target, 3)
        assert 24.2 < result.replies[1] < 1000, text
        assert result.replies[3] == 20.0, text


def test_any_controller_that_is_a_program(make_net):
    cargs = LISTEN + "mininet_kronos.apps.learning_switch"
    controller = KronosController("c0", command=LAUNCHER, cargs=cargs, control_delay="1ms")
    net = make_net(free_pair(), controller=controller, autoStaticArp=True)
    result, text = ping(net["h1"], net["h2"], 3)
    assert result.replies == {1: 24.0, 2: 22.0, 3: 20.0}, text


def test_without_a_delay_the_first_ping_takes_no_longer(make_net):
    net = make_net(free_pair(), autoStaticArp=True)
    result, text = ping(net["h1"], net["h2"], 3)
    assert result.replies == {1: 20.0, 2: 20.0, 3: 20.0}, text


def test_controllers_are_made_as_in_mininet(make_net):
    """By a function of the name alone, or before the net: by themselves, or to be added and kept."""
    for controller in lambda name: KronosRyu(name, control_delay="1ms"), KronosRyu("c7", control_delay="1ms"):
        net = make_net(free_pair(), controller=controller, autoStaticArp=True)
        result, text = ping(net["h1"], net["h2"], 2)
        assert result.replies == {1: 24.0, 2: 22.0}, text
        net.stop()
    kept = KronosRyu("c0", port=6654)
    net = make_net(free_pair(), controller=None, start=False)
    assert net.addController(kept) is kept is net["c0"]
    net.start()
    assert kept.port == 6654 and net.pingAll() == 0
    net.stop()
    net = make_net(free_pair(), controller=None, start=False)
    assert isinstance(net.addController("c0"), KronosRyu)


BESIDE = """
from mininet_kronos.apps.learning_switch import LearningSwitch
class Beside(LearningSwitch):
    pass
"""


def test_a_script_beside_may_be_called_ryu(make_net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ryu.py").write_text("")
    (tmp_path / "beside.py").write_text(BESIDE)
    net = make_net(free_pair(), controller=KronosController("c0", command=LAUNCHER, cargs=LISTEN + "beside"))
    assert net.pingAll() == 0


def test_a_controller_without_a_net_says_so():
    with pytest.raises(KronosError, match="c0: KronosRyu works only in a KronosNet"):
        KronosRyu("c0").start()
    with pytest.raises(KronosError, match="c0: KronosRemoteController works only in a KronosNet"):
        KronosRemoteController("c0", ip="127.0.0.1").cmd("true")


@pytest.mark.parametrize("bad", ["5", "-1ms", 5])
def test_a_wrong_control_delay_is_refused(make_net, bad):
    with pytest.raises(ParameterError, match="c0: control_delay"):
        make_net(Pair(), controller=controller_with(control_delay=bad))


TIMERS = """
import time
from ryu.lib import hub
from mininet_kronos.apps import learning_switch

class Timers(learning_switch.LearningSwitch):
    def start(self):
        super().start()
        hub.spawn(self.run)

    def run(self):
        while True:
            begin = time.monotonic()
            try:
                with hub.Timeout(1.5):
                    hub.sleep(600)
            except hub.Timeout:
                middle = time.monotonic()
            hub.sleep(0.25)
            print("timers", middle - begin, time.monotonic() - middle, flush=True)
"""


@pytest.mark.parametrize("pace", ["instant", "dilated"])
def test_hubs_timers_are_virtual(make_net, tmp_path, busy, pace):
    app = tmp_path / "timers.py"
    app.write_text(TIMERS)
    net = make_net(free_pair(), controller=controller_with(apps=str(app), pace=pace))
    net.run("900s")
    said = re.findall(r"timers ([\d.]+) ([\d.]+)", net.controllers[0].log.read_text())
    assert 510 < len(said) < 516  # 900 s / 1.75 s, and before the freeze
    late = sorted(float(took) - due for line in said[3:] for took, due in zip(line, (1.5, 0.25)))
    assert late[0] >= 0, said  # but for the first lines, in which the freeze comes
    # A dilated one computes in between, which a busy machine may make much dearer now and then.
    assert late[-1 if pace == "instant" else len(late) // 2] < 0.02, said


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


# What goes wrong: one line names the controller, and time goes on

BROKEN = """
import os
from ryu.controller import ofp_event
from ryu.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from ryu.lib import hub
from mininet_kronos.apps import learning_switch

class Broken(learning_switch.LearningSwitch):
    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def frame_arrived(self, event):
        {handler}
"""
CRASH = "print('I am lost', flush=True); os._exit(3)"
HANG = "while True: pass"
POUR = """
        datapath = event.msg.datapath
        while True:
            for _ in range(20):
                datapath.send_msg(datapath.ofproto_parser.OFPEchoRequest(datapath, data=b"x"))
            hub.sleep(0.002)
"""
CIRCLE = """
        datapath, parser = event.msg.datapath, event.msg.datapath.ofproto_parser
        out = parser.OFPActionOutput(datapath.ofproto.OFPP_TABLE)
        datapath.send_msg(parser.OFPPacketOut(datapath=datapath, buffer_id=datapath.ofproto.OFP_NO_BUFFER,
            in_port=event.msg.match["in_port"], actions=[out], data=event.msg.data))
"""
ENDED = r"\*\*\* c0: Ryu has ended, at \d\.\d+ s of virtual time; its last words: I am lost"
SPINS = r"kronos: c0 has computed for \d+ ms in no virtual time, and may never stop: its clock goes on"
SILENT = r"\*\*\* s1: its controller at tcp:127.0.0.1:6653 does not answer, at \d+\.\d+ s of virtual .*"
FLOODS = r"\*\*\* c0: \d+ messages a second between it and its switches, at \d+\.\d+ s of .*"


@pytest.fixture
def broken(make_net, tmp_path, capfd, caplog, monkeypatch):
    """Return a function that runs a network with a broken controller; it returns all that is said.

    It is given time until something is said, and a second more.
    """
    monkeypatch.setattr("mininet_kronos.flood.MANY", 2000)  # in real time no more may be possible here

    def run(handler, **params):
        app = tmp_path / "broken.py"
        app.write_text(BROKEN.format(handler=handler))
        topo = free_pair()
        net = make_net(topo, controller=controller_with(apps=str(app), cpu_speed=0.2, **params))
        capfd.readouterr()
        caplog.clear()
        net["h1"].sendCmd(f"ping -c 3 -W 1 {net['h2'].IP()}")
        said = ""
        while not (said or caplog.messages) and net.now < 60_000_000_000:
            net.run("1s")
            said = capfd.readouterr().err
        before = net.now
        net.run("1s")
        assert net.now == before + 1_000_000_000
        said += capfd.readouterr().err
        return list(
            dict.fromkeys([*said.splitlines(), *(message.rstrip("\n") for message in caplog.messages)])
        )

    return run


@pytest.mark.parametrize("delay", [None, "1ms"], ids=["at once", "with a delay"])
@pytest.mark.parametrize("pace", ["instant", "dilated", "realtime"])
@pytest.mark.parametrize(
    ("handler", "lines"),
    [(CRASH, {}), (HANG, {"instant": SPINS, "dilated": SILENT, "realtime": SILENT}), (POUR, {})],
    ids=["crash", "hang", "flood"],
)
def test_a_broken_controller_is_one_line(broken, handler, lines, pace, delay):
    said = broken(handler, pace=pace, control_delay=delay)
    line = lines.get(pace, ENDED if handler is CRASH else FLOODS)
    assert len(said) == 1 and re.fullmatch(line, said[0]), said


def test_messages_that_go_in_circles_in_no_time_are_reported(broken):
    """They take CPU time in no virtual time; then, since the clock goes on, they are also a flood.

    Whether the controller or the switch has taken too much of it first depends on the machine.
    """
    said, spins = broken(CIRCLE), SPINS.replace("c0", "(c0|ovs)")
    assert re.fullmatch(spins, said[0]), said
    assert all(re.fullmatch(f"{spins}|{FLOODS}", line) for line in said[1:]), said
