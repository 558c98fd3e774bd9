"""TCLink's and netem's parameters, as what the engine is told."""

from typing import Any

import pytest

from mininet_kronos.link_model import link_params
from mininet_kronos.records import LinkParams

CASES: dict[str, tuple[dict[str, Any], LinkParams]] = {
    "nothing": ({}, LinkParams()),
    "unknown to links": ({"ip": "10.0.0.1"}, LinkParams()),
    "bw": ({"bw": 10}, LinkParams(bw_bps=1e7, max_queue=1000)),
    "all of TCLink's": (
        {"bw": 10, "delay": "5ms", "jitter": "1ms", "loss": 2, "max_queue_size": 50, "use_hfsc": True},
        LinkParams(bw_bps=1e7, delay_ns=5_000_000, jitter_ns=1_000_000, loss=0.02, max_queue=50),
    ),
    "RED": ({"bw": 10, "enable_red": True}, LinkParams(bw_bps=1e7, max_queue=1000, red=True)),
    "mn's ECN": ({"bw": 10, "enable_ecn": "True"}, LinkParams(bw_bps=1e7, max_queue=1000, ecn=True)),
    "TBF": ({"bw": 10, "use_tbf": True}, LinkParams(bw_bps=1e7, max_queue_bytes=30_000)),
    "TBF's latency": (
        {"bw": 8, "use_tbf": True, "latency_ms": 50},
        LinkParams(bw_bps=8e6, max_queue_bytes=65_000),
    ),
    "Bernoulli": ({"loss_gemodel": 10}, LinkParams(ge_p=0.1, ge_r=0.9, ge_bad_loss=1)),
    "Gilbert": ({"loss_gemodel": (5, 25)}, LinkParams(ge_p=0.05, ge_r=0.25, ge_bad_loss=1)),
    "Gilbert and Elliott": (
        {"loss_gemodel": "5% 25% 70% 0.1%"},
        LinkParams(ge_p=0.05, ge_r=0.25, ge_bad_loss=0.7, ge_good_loss=0.001),
    ),
    "in mn's command line": ({"loss_gemodel": "5/25"}, LinkParams(ge_p=0.05, ge_r=0.25, ge_bad_loss=1)),
    "netem's": (
        {"delay": "1ms", "reorder": 25, "gap": 5, "reorder_correlation": 50, "corrupt": "1%", "duplicate": 2,
         "distribution": "pareto", "delay_correlation": 20, "jitter_reorders": True},
        LinkParams(
            delay_ns=1_000_000, reorder=0.25, reorder_gap=5, reorder_correlation=0.5, corrupt=0.01,
            duplicate=0.02, distribution="pareto", delay_correlation=0.2, jitter_reorders=True,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_parameters(case):
    given, expected = CASES[case]
    assert link_params(given) == expected


def test_a_switch_may_be_faster():
    given = {"bw": 10, "speedup": 100}
    assert link_params(given, of_switch=True).bw_bps == 1e8
    assert link_params(given).bw_bps == 1e7
    assert link_params({"speedup": 100}, of_switch=True).bw_bps == 0
