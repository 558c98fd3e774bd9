"""Ryu's own applications, unchanged: their timers and services are in virtual time with the network."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import pytest

from mininet_kronos import KronosRyu
from tests.conftest import Pair, Ring

FLOW = {"dpid": 1, "cookie": 42, "match": {"in_port": 1}}


@pytest.fixture
def run_apps(make_net):
    """Return a function that starts a network with these applications of Ryu's."""

    def run(topo: Any, *apps: str, **params: Any) -> Any:
        names = [f"ryu.app.{app}" for app in apps]
        return make_net(topo, controller=partial(KronosRyu, apps=names, **params))

    return run


@pytest.mark.parametrize(
    "app", ["simple_switch", "simple_switch_13", "simple_switch_15", "simple_switch_websocket_13"]
)
def test_learning_switches_learn(run_apps, app):
    assert run_apps(Pair(delay="1ms"), app).pingAll() == 0


def test_a_spanning_tree_forms_and_goes_round_a_failure(run_apps):
    net = run_apps(Ring(3), "simple_switch_stp_13")
    assert net.pingAll(timeout="1") == 100  # ports listen and learn for 15 s each
    net.run("60s")
    assert net.pingAll() == 0
    net.configLinkStatus("s1", "s2", "down")
    net.run("60s")
    assert net.pingAll() == 0


def test_the_monitor_asks_every_ten_virtual_seconds(run_apps):
    net = run_apps(Pair(delay="1ms"), "simple_monitor_13")

    def tables() -> int:
        return len(re.findall(r"^datapath +port", net["c0"].log.read_text(), re.MULTILINE))

    before = tables()
    net.run("40s")
    assert tables() - before == 4


def test_rest_services_answer_on_the_controllers_node(run_apps):
    net = run_apps(Ring(3), "ofctl_rest", "rest_topology", ryuArgs="--observe-links")
    net.run("5s")
    c0 = net["c0"]

    def curl(path: str, *options: str) -> Any:
        said = c0.cmd("curl", "-s", *options, f"http://127.0.0.1:8080/{path}")
        return json.loads(said) if said.strip() else None

    assert sorted(curl("stats/switches")) == [1, 2, 3]
    assert len(curl("v1.0/topology/links")) == 6
    curl("stats/flowentry/add", "-d", f"'{json.dumps(FLOW)}'")
    net.run("1s")
    assert [flow["match"] for flow in curl("stats/flow/1")["1"] if flow["cookie"] == 42] == [{"in_port": 1}]
