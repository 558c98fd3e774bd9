"""A run's plots, as SVG text that stands by itself in a page."""

from __future__ import annotations

import io
from collections import defaultdict
from typing import Any

import matplotlib as mpl
import networkx
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mininet_kronos.runs.directory import RunDirectory

WIDTH, HEIGHT = 9.5, 3.2  # inches
SHOWN = 8  # curves in one plot
SECOND = 1e9
COLOURS = {"host": "#4c8bc0", "switch": "#e0a030", "controller": "#70a860"}

Series = dict[str, list[dict[str, str]]]


def directions(run: RunDirectory) -> Series:
    """Return the samples of each direction of each link."""
    series: Series = defaultdict(list)
    for row in run.rows("links"):
        series[row["direction"]].append(row)
    return series


def mean_rates(run: RunDirectory) -> dict[str, float]:
    """Return the mean rate of each direction over the run, in Mbit/s of frames delivered."""
    seconds = run.summary["virtual_ns"] / SECOND
    return {
        link["direction"]: 8 * link["rx_bytes"] / seconds / 1e6 if seconds else 0.0
        for link in run.summary["links"]
    }


def utilisation(run: RunDirectory) -> dict[str, float | None]:
    """Return the mean rate of each direction over its bandwidth; None where that has no limit."""
    rates = mean_rates(run)
    found: dict[str, float | None] = {}
    for link in run.config["links"]:
        names = [end[1] for end in link["ends"]]
        for params, (source, target) in zip(link["directions"], (names, names[::-1])):
            rate = rates.get(f"{source}->{target}", 0.0)
            found[f"{source}->{target}"] = rate * 1e6 / params["bw_bps"] if params["bw_bps"] else None
    return found


def topology(run: RunDirectory) -> str:
    """Draw nodes and links; a link is the redder the more it is used in its busier direction."""
    graph = networkx.Graph()
    kinds = {node["name"]: node["kind"] for node in run.config["nodes"] if node["kind"] != "controller"}
    graph.add_nodes_from(kinds)
    used = utilisation(run)
    for link in run.config["links"]:
        (node1, name1), (node2, name2) = link["ends"]
        busy = max(used.get(f"{name1}->{name2}") or 0.0, used.get(f"{name2}->{name1}") or 0.0)
        graph.add_edge(node1, node2, busy=busy)
    places = networkx.spring_layout(graph, seed=1, iterations=300) if graph else {}
    size = 5 + min(5.0, len(kinds) / 20)
    figure, axes = _figure(size)
    colours = mpl.colormaps["YlOrRd"]
    for node1, node2, link in graph.edges(data=True):
        (x1, y1), (x2, y2) = places[node1], places[node2]
        axes.plot([x1, x2], [y1, y2], color=colours(0.2 + 0.8 * min(1, link["busy"])), linewidth=3, zorder=1)
        label = f"{100 * link['busy']:.0f} %"
        axes.annotate(label, ((x1 + x2) / 2, (y1 + y2) / 2), fontsize=7, color="#5b6b7b", ha="center")
    for node, (x, y) in places.items():
        marker = "s" if kinds[node] == "switch" else "o"
        axes.scatter([x], [y], s=330, marker=marker, color=COLOURS[kinds[node]], zorder=2)
        axes.annotate(node, (x, y), fontsize=8, color="white", ha="center", va="center", zorder=3)
    axes.axis("off")
    return _svg(figure)


def time(run: RunDirectory) -> str:
    """Draw virtual against real time."""
    rows = run.rows("rounds")
    figure, axes = _figure()
    axes.plot([float(row["real_s"]) for row in rows], [_seconds(row) for row in rows], color="#4c8bc0")
    _label(axes, "real time, s", "virtual time, s")
    return _svg(figure)


def throughput(run: RunDirectory) -> str:
    """Draw the rate of the busiest directions over virtual time."""
    figure, axes = _figure()
    series, rates = directions(run), mean_rates(run)
    for name in sorted(series, key=lambda name: -rates.get(name, 0.0))[:SHOWN]:
        rows = series[name]
        pairs = [(a, b) for a, b in zip(rows, rows[1:]) if _seconds(b) > _seconds(a)]
        axes.step(
            [_seconds(b) for _a, b in pairs],
            [
                8e-6 * (int(b["rx_bytes"]) - int(a["rx_bytes"])) / (_seconds(b) - _seconds(a))
                for a, b in pairs
            ],
            label=name,
            where="pre",
        )
    _label(axes, "virtual time, s", "Mbit/s delivered")
    return _svg(figure)


def queues(run: RunDirectory) -> str:
    """Draw how many frames are queued or in flight, where most were."""
    figure, axes = _figure()
    series = directions(run)
    most = {name: max(int(row["queued"]) for row in rows) for name, rows in series.items()}
    for name in sorted(series, key=lambda name: -most[name])[:SHOWN]:
        rows = series[name]
        axes.step([_seconds(row) for row in rows], [int(row["queued"]) for row in rows], label=name)
    _label(axes, "virtual time, s", "frames queued or in flight")
    return _svg(figure)


def round_trips(run: RunDirectory) -> str:
    """Draw the distribution of the round trips that pings have printed."""
    figure, axes = _figure()
    for node, times in sorted(run.round_trips().items(), key=lambda item: -len(item[1]))[:SHOWN]:
        ordered = sorted(times)
        axes.step(ordered, [(i + 1) / len(ordered) for i in range(len(ordered))], label=node, where="post")
    _label(axes, "round trip, ms", "share of pings")
    return _svg(figure)


def cpu(run: RunDirectory) -> str:
    """Draw the CPU time of the hosts that took most of it."""
    hosts = sorted(run.summary["hosts"].items(), key=lambda item: -item[1]["cpu_ns"])[:20]
    figure, axes = _figure(max(2.0, 0.28 * len(hosts)))
    axes.barh([name for name, _host in hosts][::-1], [host["cpu_ns"] / SECOND for _name, host in hosts][::-1])
    _label(axes, "real CPU time, s", "")
    return _svg(figure)


def _seconds(row: dict[str, str]) -> float:
    return int(row["virtual_ns"]) / SECOND


def _figure(height: float = HEIGHT) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=7, loc="best")


def _svg(figure: Any) -> str:
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "kronos", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]
