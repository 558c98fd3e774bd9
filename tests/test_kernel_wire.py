"""What traffic control is told for a link; tests/vm/network.py tells it so in a virtual machine."""

from typing import Any

import pytest

from mininet_kronos.errors import ParameterError
from mininet_kronos.kernel_wire import RED, KernelWire, make_stages
from mininet_kronos.link_model import link_params

ORDERED = "netem limit 100000 delay 5000.000us 1000.000us 0%"
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, []),
    "bw": ({"bw": 10}, ["netem limit 1000 rate 10000000bit"]),
    "delay": ({"delay": "5ms"}, ["netem limit 100000 delay 5000.000us"]),
    "losses before a queue": (
        {"bw": 0.5, "loss": 1, "max_queue_size": 20},
        ["netem limit 100000 loss random 1% 0%", "netem limit 20 rate 500000bit"],
    ),
    "jitter": ({"delay": "5ms", "jitter": "1ms"}, [f"{ORDERED} rate 10tbit"]),
    "jitter out of order": ({"delay": "5ms", "jitter": "1ms", "jitter_reorders": True}, [ORDERED]),
    "bursts": (
        {"loss_gemodel": (1, 10), "corrupt": 2},
        ["netem limit 100000 loss gemodel 1% 10% 100% 0% corrupt 2% 0%"],
    ),
    "reordering": (
        {"delay": "5ms", "reorder": 25, "gap": 5},
        ["netem limit 100000 delay 5000.000us reorder 25% 0% gap 5"],
    ),
    "ECN": (
        {"bw": 10, "enable_ecn": True},
        [f"{RED.format(rate='10000000bit')} ecn", "netem limit 1000 rate 10000000bit"],
    ),
    "TBF": ({"bw": 10, "use_tbf": True}, ["tbf rate 10000000bit burst 15000 limit 30000"]),
}


@pytest.mark.parametrize("case", CASES)
def test_stages(case):
    given, expected = CASES[case]
    assert [stage.text for stage in make_stages(link_params(given))] == expected


def test_numbers_are_no_kind():
    """Parts that only differ in numbers are changed in place, so that their queues stay."""
    kinds = [
        [stage.kind for stage in make_stages(link_params(given))]
        for given in ({"bw": 10, "delay": "5ms"}, {"bw": 2, "delay": "7us"}, {"bw": 2})
    ]
    assert kinds[0] == kinds[1] != kinds[2]


def test_duplicates_are_refused():
    with pytest.raises(ParameterError, match="duplicate is not part"):
        KernelWire().check("h1-eth0", link_params({"duplicate": 1}))
