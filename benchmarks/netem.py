"""What the links' models do to numbered datagrams, beside the kernel's netem with the same parameters.

usage: python -m benchmarks.netem [--engine kernel] [--count N] [--runs N]

With the user engine a link has the parameters; with the kernel engine, in a virtual machine, netem has them
in virtual time.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from mininet.topo import Topo

from mininet_kronos import KronosNet

MS = 1_000_000
DELAY = 20 * MS
GAP = 100_000  # ns between datagrams

SENDER = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
start = time.monotonic_ns()
for number in range({count}):
    time.sleep(max(0, start + number * {gap} - time.monotonic_ns()) / 1e9)
    out.sendto(b"%d %d" % (number, time.monotonic_ns()), ("10.0.0.2", 9999))
"""
RECEIVER = """
import socket, time
inbox = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
inbox.bind(("", 9999))
print("ready", flush=True)
inbox.settimeout(1)
came = []
try:
    while True:
        came.append((inbox.recv(64), time.monotonic_ns()))
except TimeoutError:
    pass
for data, stamp in came:
    print(data.decode(), stamp)
"""


class Model(NamedTuple):
    """Parameters, as KronosLink takes them and as tc does, and the statistics that tell of them."""

    ours: dict[str, Any]
    netem: str
    shown: tuple[str, ...]


LOSS = ("lost %", "burst")
JITTER = ("mean ms", "deviation ms", "5 % ms", "95 % ms")
MODELS = {
    "loss 1 %": Model({"loss": 1}, "loss random 1%", LOSS),
    "loss 10 %, correlation 50 %": Model({"loss": 10, "loss_correlation": 50}, "loss random 10% 50%", LOSS),
    "gemodel 1 10": Model({"loss_gemodel": (1, 10)}, "loss gemodel 1% 10%", LOSS),
    "gemodel 5 25 70 1": Model({"loss_gemodel": (5, 25, 70, 1)}, "loss gemodel 5% 25% 70% 1%", LOSS),
    "duplicate 5 %": Model({"duplicate": 5}, "duplicate 5%", ("twice %",)),
    "reorder 25 %": Model({"reorder": 25}, "reorder 25%", ("early %",)),
    "reorder 50 %, gap 5": Model({"reorder": 50, "gap": 5}, "reorder 50% gap 5", ("early %",)),
    **{
        f"jitter 2 ms, {name}": Model(
            {"jitter": "2ms", "distribution": name, "jitter_reorders": True},
            "2ms" if name == "uniform" else f"2ms distribution {name}",
            JITTER,
        )
        for name in ("uniform", "normal", "pareto", "paretonormal")
    },
    **{
        f"jitter 2 ms, {name}, correlation 50 %": Model(
            {"jitter": "2ms", "distribution": name, "delay_correlation": 50, "jitter_reorders": True},
            "2ms 50%" if name == "uniform" else f"2ms 50% distribution {name}",
            ("deviation ms", "correlation"),
        )
        for name in ("uniform", "normal")
    },
}
PARAMETERS = {name for model in MODELS.values() for name in model.ours}


class Pair(Topo):
    """h1 -- h2, whose computation takes no time."""

    def build(self) -> None:
        """Make it."""
        self.addLink(*(self.addHost(name, counter="free") for name in ("h1", "h2")), delay=f"{DELAY}ns")


def shape(sender: Any, model: Model, engine: str) -> None:
    """Let what a host sends travel by a model."""
    if engine == "user":
        sender.intf().config(**{**dict.fromkeys(PARAMETERS), **model.ours})
        return
    words = model.netem if model.netem[0].isdigit() else f"0 {model.netem}"
    sender.cmd(f"tc qdisc del dev {sender.intf()} root")  # what is not named would stay
    netem = f"netem limit 100000 delay {DELAY // 1000}us {words}"
    said = sender.cmd(f"tc qdisc replace dev {sender.intf()} root {netem}")
    if said:
        raise SystemExit(f"tc: {said}")


def receive(sender: Any, receiver: Any, count: int) -> list[tuple[int, int]]:
    """Send datagrams; return number and delay in ns of each that has come, in order of its arrival."""
    inbox = receiver.popen([sys.executable, "-c", RECEIVER], text=True)
    inbox.stdout.readline()  # it listens
    out = sender.popen([sys.executable, "-c", SENDER.format(count=count, gap=GAP)])
    lines = inbox.communicate()[0].splitlines()
    out.wait()
    triples = (map(int, line.split()) for line in lines)
    return [(number, arrival - departure) for number, departure, arrival in triples]


def tell(came: list[tuple[int, int]], count: int) -> dict[str, float]:
    """Return all statistics of datagrams that have come, in order of their arrival."""
    delays = dict(came)
    lost = [number for number in range(count) if number not in delays]
    in_order = [delay / MS for _, delay in sorted(delays.items())]
    percentiles = statistics.quantiles(in_order, n=100)
    return {
        "lost %": 100 * len(lost) / count,
        "burst": statistics.mean(bursts(lost)) if lost else math.nan,
        "twice %": 100 * (len(came) - len(delays)) / count,
        "early %": 100 * sum(delay < DELAY / MS / 2 for delay in in_order) / count,
        "mean ms": statistics.mean(in_order) - DELAY / MS,
        "deviation ms": statistics.stdev(in_order),
        "5 % ms": percentiles[4] - DELAY / MS,
        "95 % ms": percentiles[94] - DELAY / MS,
        "correlation": correlation(in_order),
    }


def correlation(values: list[float]) -> float:
    """Return how far each value tells of the next one."""
    return statistics.correlation(values[:-1], values[1:]) if len(set(values)) > 1 else math.nan


def bursts(lost: list[int]) -> Iterator[int]:
    """Yield the lengths of runs of consecutive losses."""
    for _, run in itertools.groupby(enumerate(lost), lambda pair: pair[1] - pair[0]):
        yield len(list(run))


def main() -> None:
    """Print a row for each model: its statistics' means and standard errors."""
    parser = argparse.ArgumentParser(description="Statistics of losses, duplicates, order and delays.")
    parser.add_argument("--engine", choices=["user", "kernel"], default="user")
    parser.add_argument("--count", type=int, default=2000, help="datagrams in each run")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    net = KronosNet(topo=Pair(), controller=None, autoStaticArp=True, engine=args.engine)
    net.start()
    try:
        for name, model in MODELS.items():
            shape(net["h1"], model, args.engine)
            runs = [tell(receive(net["h1"], net["h2"], args.count), args.count) for _ in range(args.runs)]
            shown = (f"{statistic} {summary([run[statistic] for run in runs])}" for statistic in model.shown)
            print(f"figure {name}: {'; '.join(shown)}", flush=True)
    finally:
        net.stop()


def summary(values: list[float]) -> str:
    """Return mean and standard error of those that there are."""
    values = [value for value in values if not math.isnan(value)] or [math.nan]
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{statistics.mean(values):.3f} ± {error:.3f}"


if __name__ == "__main__":
    main()
