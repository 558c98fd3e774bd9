"""Find where two runs differ: in time, what nodes wrote, counters of links and hosts, captured frames.

What depends on the machine is left out: real time, slices, stops and the CPU time of hosts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from mininet_kronos.runs.directory import BEFORE, RunDirectory

DAEMONS = ("ovs-vswitchd", "ovsdb-server")  # log what they take of this machine: not compared
ALIKE = ("rounds", "frames", "late_frames", "hosts", "tasks")  # of the engine's counters


@dataclass(frozen=True)
class Difference:
    """The first difference in one part of the runs."""

    part: str  # such as "log of h1"
    where: str  # such as "line 3"
    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.part}, {self.where}:\n  first:  {self.first}\n  second: {self.second}"


@dataclass(frozen=True)
class Comparison:
    """What was compared, and where it differs."""

    parts: int
    differences: list[Difference]

    @property
    def verdict(self) -> str:
        """One line."""
        if not self.differences:
            return f"the runs are equal in all {self.parts} parts: time, logs, counters and captures"
        return f"the runs differ in {len(self.differences)} of {self.parts} parts"


def compare(first: RunDirectory, second: RunDirectory) -> Comparison:
    """Compare two runs, part by part; times first, since what follows from them differs as well."""
    parts = list(_parts(first, second))
    return Comparison(len(parts), [difference for difference in parts if difference])


def _parts(first: RunDirectory, second: RunDirectory) -> Iterator[Difference | None]:
    yield _values("parameters", first.config["parameters"], second.config["parameters"])
    yield _values("topology", _topology(first), _topology(second))
    yield _values("virtual time", _times(first), _times(second))
    yield _values("the engine's counters", _stats(first), _stats(second))
    yield from _logs(first, second)
    yield _values("counters of links", _links(first), _links(second))
    yield _rows("samples of links", first.rows("links"), second.rows("links"))
    yield from _captures(first, second)


def _values(part: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Difference | None:
    for key in (*one, *(key for key in other if key not in one)):
        values = (one.get(key, "nothing"), other.get(key, "nothing"))
        if values[0] != values[1]:
            return Difference(part, key, str(values[0]), str(values[1]))
    return None


def _topology(run: RunDirectory) -> dict[str, Any]:
    return {item["name"]: item for item in (*run.config["nodes"], *run.config["links"])}


def _times(run: RunDirectory) -> dict[str, Any]:
    clocks = {f"clock of {name}": host["clock_ns"] for name, host in run.summary["hosts"].items()}
    return {"end of the run": run.summary["virtual_ns"], **clocks}


def _stats(run: RunDirectory) -> dict[str, Any]:
    return {name: run.summary["stats"][name] for name in ALIKE}


def _links(run: RunDirectory) -> dict[str, Any]:
    return {
        f"{link['direction']} {name}": value
        for link in run.summary["links"]
        for name, value in link.items()
        if name not in ("name", "direction")
    }


def _rows(part: str, one: list[dict[str, str]], other: list[dict[str, str]]) -> Difference | None:
    nothing: dict[str, str] = {}
    for number, (row, twin) in enumerate(zip_longest(one, other, fillvalue=nothing), start=2):
        if row != twin:
            name = next((key for key in (row or twin) if row.get(key) != twin.get(key)), "")
            return Difference(
                part, f"line {number}, {name}", row.get(name, "nothing"), twin.get(name, "nothing")
            )
    return None


def _logs(first: RunDirectory, second: RunDirectory) -> Iterator[Difference | None]:
    logs = first.logs(), second.logs()
    for node in sorted({*logs[0], *logs[1]} - {*DAEMONS}):
        lines = [_said(run, node) if node in log else () for run, log in zip((first, second), logs)]
        yield next(
            (
                Difference(f"log of {node}", f"line {number}", _line(one), _line(other))
                for number, (one, other) in enumerate(zip_longest(*lines), start=1)
                if one != other
            ),
            None,
        )


def _said(run: RunDirectory, node: str) -> Iterator[tuple[str, str, str]]:
    """Yield what a node wrote after the freeze; when a log was read on depends on real time."""
    for line in run.log_lines(node):
        if line.virtual != BEFORE:
            yield ("" if line.source == "log" else line.virtual), line.source, line.text


def _line(line: tuple[str, str, str] | None) -> str:
    return "nothing" if line is None else f"{line[0]}: {line[2]}"


def _captures(first: RunDirectory, second: RunDirectory) -> Iterator[Difference | None]:
    files = first.captures(), second.captures()
    for name in sorted({*files[0], *files[1]}):
        data = [captures[name].read_bytes() if name in captures else b"" for captures in files]
        yield _bytes(f"capture {name}", data[0], data[1])


def _bytes(part: str, one: bytes, other: bytes) -> Difference | None:
    if one == other:
        return None
    at = next((i for i, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))
    return Difference(
        part, f"byte {at}", one[at : at + 8].hex() or "its end", other[at : at + 8].hex() or "its end"
    )
