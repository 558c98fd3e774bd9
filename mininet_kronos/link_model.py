"""What a link does to frames: TCLink's parameters, and netem's, as users write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mininet_kronos.errors import ParameterError
from mininet_kronos.records import DISTRIBUTIONS, LinkParams
from mininet_kronos.units import parse_bandwidth, parse_count, parse_delay, parse_flag, parse_percentage

MAX_QUEUE = 1000  # frames, where max_queue_size is not given; TCLink's default as well
TBF_BURST = 15000  # bytes, of TCLink's use_tbf
PERCENTAGES = (
    "loss", "loss_correlation", "delay_correlation", "duplicate", "duplicate_correlation",
    "corrupt", "corrupt_correlation", "reorder", "reorder_correlation",
)  # fmt: skip
FLAGS = {"enable_red": "red", "enable_ecn": "ecn", "jitter_reorders": "jitter_reorders"}
# Everything that config() of an interface takes as its model.
MODEL = (
    "bw", "delay", "jitter", "max_queue_size", "distribution", "gap", "loss_gemodel", *PERCENTAGES, *FLAGS,
    "speedup", "use_hfsc", "use_tbf", "latency_ms",
)  # fmt: skip
GEMODEL = ("ge_p", "ge_r", "ge_bad_loss", "ge_good_loss")


def link_params(params: dict[str, Any], name: str = "link", of_switch: bool = False) -> LinkParams:
    """Return one direction's model from TCLink-style parameters; others are ignored.

    bw: Mbit/s; delay, jitter: text with a unit; max_queue_size: frames; percentages: 0 to 100; of_switch:
    whether a switch sends, for which speedup replaces bw. Raises ParameterError.
    """
    get = params.get
    fast = of_switch and get("bw") is not None and get("speedup")
    rate = parse_bandwidth(get("speedup") if fast else get("bw"), f"{name}: {'speedup' if fast else 'bw'}")
    tbf = bool(rate) and parse_flag(get("use_tbf"), f"{name}: use_tbf")
    model: dict[str, Any] = {
        "bw_bps": rate,
        "delay_ns": parse_delay(get("delay"), f"{name}: delay"),
        "jitter_ns": parse_delay(get("jitter"), f"{name}: jitter"),
        "max_queue": MAX_QUEUE if rate and not tbf else 0,
        "max_queue_bytes": _tbf_limit(rate, get("latency_ms"), name) if tbf else 0,
        "distribution": _distribution(get("distribution"), name),
        "reorder_gap": 1 if get("gap") is None else parse_count(get("gap"), f"{name}: gap"),
        **{key: parse_percentage(get(key), f"{name}: {key}") for key in PERCENTAGES},
        **{field: parse_flag(get(key), f"{name}: {key}") for key, field in FLAGS.items()},
    }
    if get("max_queue_size") is not None:
        model["max_queue"] = parse_count(get("max_queue_size"), f"{name}: max_queue_size")
    if get("loss_gemodel") is not None:
        model.update(_gemodel(get("loss_gemodel"), f"{name}: loss_gemodel"))
        if model["loss"]:
            raise ParameterError(f"{name}: loss and loss_gemodel exclude each other; leave one out")
    if model["reorder"] and not model["delay_ns"]:
        raise ParameterError(
            f"{name}: reorder needs a delay, which others have and reordered frames have not"
        )
    if get("gap") is not None and not model["reorder"]:
        raise ParameterError(f"{name}: gap says which frames are reordered; give reorder, a percentage, too")
    return LinkParams(**model)


def _distribution(value: Any, name: str) -> str:
    if value is None:
        return "uniform"
    if value not in DISTRIBUTIONS:
        raise ParameterError(f"{name}: distribution {value!r} is unknown; use {', '.join(DISTRIBUTIONS)}")
    return str(value)


def _tbf_limit(rate: float, latency_ms: Any, name: str) -> int:
    """Return how many bytes may wait, as tc makes it from TCLink's parameters."""
    if latency_ms is None:
        return 2 * TBF_BURST
    latency = parse_delay(f"{latency_ms}ms", f"{name}: latency_ms")
    return round(rate / 8e9 * latency) + TBF_BURST


def _gemodel(value: Any, what: str) -> dict[str, float]:
    """Read netem's `loss gemodel p [r [1-h [1-k]]]`: percentages, as text or a sequence."""
    parts: Sequence[Any] = re.split(r"[\s/]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        parts = [parts]
    if not 1 <= len(parts) <= len(GEMODEL):
        raise ParameterError(f"{what} {value!r}: write p, r, 1-h and 1-k, such as (1, 10) or '1 10 70 0.1'")
    p, *rest = [parse_percentage(part, what) for part in parts]
    defaults = (1 - p, 1.0, 0.0)
    return dict(zip(GEMODEL, (p, *rest, *defaults[len(rest) :])))
