"""Controllers in virtual time: what their messages take, several of them."""

import pytest

from mininet_kronos import KronosRyu
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


def test_without_a_delay_the_first_ping_takes_no_longer(make_net):
    net = make_net(Pair(delay="5ms", bw=None, host=FREE), autoStaticArp=True)
    result, text = ping(net["h1"], net["h2"], 3)
    assert result.replies == {1: 20.0, 2: 20.0, 3: 20.0}, text


@pytest.mark.parametrize("bad", ["5", "-1ms", 5])
def test_a_wrong_control_delay_is_refused(make_net, bad):
    with pytest.raises(ParameterError, match="c0: control_delay"):
        make_net(Pair(), controller=controller_with(control_delay=bad))
