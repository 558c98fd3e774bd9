"""A run as one page that opens anywhere, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mininet_kronos.errors import MissingProgramError, ParameterError
from mininet_kronos.runs.directory import RunDirectory

TEMPLATE = Path(__file__).with_name("report.html")
REPORT = "report.html"
SLOWEST = 10  # hosts in the table


def write_report(run: RunDirectory) -> Path:
    """Write report.html into the run's directory and return its path."""
    try:
        from jinja2 import Environment, select_autoescape

        from mininet_kronos.runs import plots
    except ModuleNotFoundError as problem:
        raise MissingProgramError(
            f"{problem.name} is not installed; run: pip install 'mininet_kronos[report]'"
        ) from None
    drawn = [
        (
            "Topology",
            "Links by the use of their busier direction, in per cent of their bandwidth",
            plots.topology,
        ),
        (
            "Time",
            "The steeper, the faster: flat parts are where this machine had much to compute",
            plots.time,
        ),
        ("Throughput", f"The {plots.SHOWN} busiest directions of links", plots.throughput),
        ("Queues", f"The {plots.SHOWN} directions with most frames waiting or in flight", plots.queues),
        ("CPU time", "What hosts took of this machine", plots.cpu),
    ]
    if run.round_trips():
        drawn.insert(4, ("Round trips", "Cumulative, of what ping printed on each node", plots.round_trips))
    template = Environment(autoescape=select_autoescape()).from_string(TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(
        title=f"Run {run.path.resolve().name}",
        subtitle=f"{' '.join(run.config['command'])}, {run.config['started']}, {run.summary['status']}",
        figures=_figures(run),
        warnings=run.summary["warnings"],
        plots=[(heading, note, draw(run)) for heading, note, draw in drawn],
        tables=[_hosts(run), _links(run, plots.mean_rates(run), plots.utilisation(run))],
        facts=_facts(run),
    )
    path = run.path / REPORT
    try:
        path.write_text(page, encoding="utf-8", errors="replace")
    except OSError as problem:
        raise ParameterError(f"cannot write {path}: {problem.strerror}") from None
    return path


def _figures(run: RunDirectory) -> list[tuple[str, str]]:
    summary = run.summary
    virtual, real = summary["virtual_ns"] / 1e9, summary["real_s"]
    dropped = sum(
        value for link in summary["links"] for name, value in link.items() if name.startswith("dropped")
    )
    return [
        (f"{virtual:.3f} s", "virtual time"),
        (f"{real:.1f} s", "real time"),
        (f"{summary['stats']['rounds']:,}", "rounds"),
        (f"{summary['stats']['rounds_skipped']:,}", "passed over, idle"),
        (f"{summary['stats']['frames']:,}", "frames delivered"),
        (f"{dropped:,}", "frames dropped"),
        (f"{summary['stats']['late_frames']:,}", "frames late"),
    ]


def _hosts(run: RunDirectory) -> tuple[str, list[str], list[list[str]]]:
    hosts = sorted(run.summary["hosts"].items(), key=lambda item: -item[1]["cpu_ns"])[:SLOWEST]
    total = sum(host["cpu_ns"] for host in run.summary["hosts"].values()) or 1
    rows = [
        [name, f"{host['cpu_ns'] / 1e9:.3f}", f"{100 * host['cpu_ns'] / total:.1f}", f"{host['slices']:,}"]
        for name, host in hosts
    ]
    return "Slowest hosts", ["host", "CPU time, s", "share, %", "turns"], rows


def _links(
    run: RunDirectory, rates: dict[str, float], used: dict[str, float | None]
) -> tuple[str, list[str], list[list[str]]]:
    rows = []
    for link in run.summary["links"]:
        name, use = link["direction"], used.get(link["direction"])
        dropped = sum(value for key, value in link.items() if key.startswith("dropped"))
        rows.append(
            [
                name,
                f"{link['tx_frames']:,}",
                f"{link['rx_frames']:,}",
                f"{dropped:,}",
                f"{link['late']:,}",
                f"{rates[name]:.3f}",
                "no limit" if use is None else f"{100 * use:.1f}",
            ]
        )
    columns = ["direction", "sent", "delivered", "dropped", "late", "Mbit/s", "use, %"]
    return "Links", columns, rows


def _facts(run: RunDirectory) -> list[tuple[str, Any]]:
    groups = ("parameters", "versions", "machine")
    return [
        ("mechanisms", run.config["mechanisms"]),
        *(item for group in groups for item in run.config[group].items()),
    ]
