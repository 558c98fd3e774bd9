"""Find where two runs differ: in time, what nodes wrote, counters of links and hosts, captured frames.

What depends on the machine is left out: real time, slices, stops and the CPU time of hosts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from mininet_kronos.runs.directory import BEFORE, RunDirectory
from mininet_kronos.units import SECOND, format_duration

DAEMONS = ("ovs-vswitchd", "ovsdb-server")  # log what they take of this machine: not compared
MEASURED = ("auto", "cputime")  # counters
ALIKE = ("rounds", "frames", "late_frames", "hosts", "tasks")  # of the engine's counters

Said = tuple[str, str, str]  # virtual s, source, text


@dataclass(frozen=True)
class Difference:
    """The first difference in one part of the runs."""

    part: str  # such as "log of h1"
    where: str  # such as "line 3"
    first: str
    second: str
    seconds: float | None = None  # if the part differs in times alone: by at most so many

    def __str__(self) -> str:
        return f"{self.part}, {self.where}:\n  first:  {self.first}\n  second: {self.second}"


@dataclass(frozen=True)
class Comparison:
    """What was compared, and where it differs."""

    parts: int
    differences: list[Difference]
    causes: list[str]  # why such runs need not be equal

    @property
    def verdict(self) -> str:
        """One line."""
        why = f"; {', and '.join(self.causes)}" if self.causes else ""
        if not self.differences:
            equal = f"the runs are equal in all {self.parts} parts: time, logs, counters and captures"
            return f"{equal}{why}: others may not be" if why else equal
        differ = f"the runs differ in {len(self.differences)} of {self.parts} parts"
        seconds = [each.seconds for each in self.differences if each.seconds is not None]
        if len(seconds) == len(self.differences):
            differ += f", in times alone, by at most {format_duration(round(max(seconds) * SECOND))}"
        return differ + why


def compare(first: RunDirectory, second: RunDirectory) -> Comparison:
    """Compare two runs, part by part; times first, since what follows from them differs as well."""
    parts = list(_parts(first, second))
    causes = list(dict.fromkeys((*_causes(first), *_causes(second))))
    return Comparison(len(parts), [difference for difference in parts if difference], causes)


def _causes(run: RunDirectory) -> Iterator[str]:
    """Yield what lets a run depend on the machine, or on the day."""
    nodes = [node for node in run.config["nodes"] if node.get("cpu_speed") != "inf"]
    counted = [node["name"] for node in nodes if node.get("counter") in MEASURED]
    if counted:
        names = ", ".join(counted[:3]) + (f" and {len(counted) - 3} more" if len(counted) > 3 else "")
        yield f"the work of {names} is measured as CPU time, which varies (--counter free repeats)"
    if run.config["parameters"]["epoch"] is None:
        yield "the wall clock went on from the day's (--epoch sets it)"


def _parts(first: RunDirectory, second: RunDirectory) -> Iterator[Difference | None]:
    yield _values("parameters", first.config["parameters"], second.config["parameters"])
    yield _values("topology", _topology(first), _topology(second))
    yield _clocks(_times(first), _times(second))
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


def _clocks(one: dict[str, int], other: dict[str, int]) -> Difference | None:
    found = _values("virtual time", one, other)
    if found is None or one.keys() != other.keys():
        return found
    return replace(found, seconds=max(abs(one[name] - other[name]) for name in one) / SECOND)


def _topology(run: RunDirectory) -> dict[str, Any]:
    return {item["name"]: item for item in (*run.config["nodes"], *run.config["links"])}


def _times(run: RunDirectory) -> dict[str, int]:
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
        lines = [list(_said(run, node)) if node in log else [] for run, log in zip((first, second), logs)]
        yield _log(f"log of {node}", *lines)


def _log(part: str, one: list[Said], other: list[Said]) -> Difference | None:
    pairs = list(zip_longest(one, other))
    unequal = [number for number, (line, twin) in enumerate(pairs, start=1) if line != twin]
    if not unequal:
        return None
    line, twin = pairs[unequal[0] - 1]
    found = Difference(part, f"line {unequal[0]}", _line(line), _line(twin))
    if [line[1:] for line in one] != [line[1:] for line in other]:
        return found
    return replace(found, seconds=max(abs(float(line[0] or 0) - float(twin[0] or 0)) for line, twin in pairs))


def _said(run: RunDirectory, node: str) -> Iterator[Said]:
    """Yield what a node wrote after the freeze; when a log was read on depends on real time."""
    for line in run.log_lines(node):
        if line.virtual != BEFORE:
            yield ("" if line.source == "log" else line.virtual), line.source, line.text


def _line(line: Said | None) -> str:
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
