"""A run's directory: its files, and how to read them back.

    config.json    what was asked for: parameters, topology, versions, the machine
    summary.json   what came out: times, counters of hosts and links, warnings
    rounds.csv     the engine's counters, sampled at virtual times
    hosts.csv      each host's counters, sampled at virtual times
    links.csv      the counters of each direction of each link, sampled at virtual times
    logs/NODE.log  what a node wrote: virtual seconds, real seconds, source, text, separated by tabs
    captures/      frames, in files that tcpdump reads

SCHEMA is in both JSON files and goes up when a reader of an older one would be misled.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mininet_kronos.errors import ParameterError
from mininet_kronos.records import HostStats, LinkStats, Stats

SCHEMA = 1
CONFIG, SUMMARY = "config.json", "summary.json"
KEYS = {  # that a reader relies on
    CONFIG: ("command", "started", "parameters", "mechanisms", "versions", "machine", "nodes", "links"),
    SUMMARY: ("status", "virtual_ns", "real_s", "stats", "hosts", "links", "warnings"),
}
BEFORE = "-"  # in place of a virtual time: before the freeze
ROUNDS = ("virtual_ns", "real_s", *(field.name for field in fields(Stats)))
HOSTS = ("virtual_ns", "host", *(field.name for field in fields(HostStats)))
LINKS = ("virtual_ns", "link", "direction", *(field.name for field in fields(LinkStats)))

_PING = re.compile(r"icmp_seq=\d+ .*time=([\d.]+) ms")


def check_new(directory: Path) -> None:
    """Raise ParameterError if a directory is there and has something in it."""
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise ParameterError(f"{directory} is not empty; name a new directory for the run")


def make_directory(directory: Path) -> None:
    """Make a run's directory; raise ParameterError if that cannot be."""
    check_new(directory)
    try:
        (directory / "logs").mkdir(parents=True)
    except OSError as problem:
        raise ParameterError(f"cannot make {directory}: {problem.strerror}") from None


@dataclass(frozen=True)
class LogLine:
    """One line that a node wrote."""

    virtual: str  # s since the freeze, or BEFORE
    real: str  # s since the start
    source: str  # "shell", "log" (a file), or a process of this node by number, and its stream
    text: str

    @classmethod
    def parse(cls, line: str) -> LogLine:
        """Read a line of a log."""
        return cls(*line.split("\t", 3))

    def __str__(self) -> str:
        return "\t".join((self.virtual, self.real, self.source, self.text))


class RunDirectory:
    """Reads what a run has left."""

    def __init__(self, path: Path) -> None:
        """Raise ParameterError if this is no run's directory, or one of another schema."""
        self.path = path
        self.config = self._json(CONFIG)
        self.summary = self._json(SUMMARY)

    def _json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if name == SUMMARY and not path.exists():
            raise ParameterError(f"{path} is missing: the run goes on, or was killed; run it again")
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            schema = content["schema"]
        except (OSError, ValueError, LookupError, TypeError):
            raise ParameterError(
                f"{path} cannot be read; name a directory that kronos run or KronosNet(out=...) has left"
            ) from None
        if schema != SCHEMA:
            raise ParameterError(
                f"{path} has schema {schema}, not {SCHEMA}; use the version of kronos that wrote it"
            )
        if missing := [key for key in KEYS[name] if key not in content]:
            raise ParameterError(f"{path} is damaged: it has no {', '.join(missing)}; run it again")
        return content

    def rows(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a CSV file, such as 'links'."""
        path = self.path / f"{name}.csv"
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file))
        except OSError as problem:
            raise ParameterError(f"{path} cannot be read: {problem.strerror}; run it again") from None

    def logs(self) -> dict[str, Path]:
        """Return the logs by node."""
        return {path.stem: path for path in sorted((self.path / "logs").glob("*.log"))}

    def captures(self) -> dict[str, Path]:
        """Return the captures by name."""
        return {path.name: path for path in sorted((self.path / "captures").glob("*.pcap"))}

    def log_lines(self, node: str) -> Iterator[LogLine]:
        """Yield what a node wrote."""
        with self.logs()[node].open(encoding="utf-8", errors="replace") as file:
            for line in file:
                yield LogLine.parse(line.rstrip("\n"))

    def round_trips(self) -> dict[str, list[float]]:
        """Return the round trips that pings have printed, in ms, by node."""
        found = {
            node: [float(match[1]) for line in self.log_lines(node) if (match := _PING.search(line.text))]
            for node in self.logs()
        }
        return {node: times for node, times in found.items() if times}
