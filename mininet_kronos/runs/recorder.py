"""Writes a run's directory while a network runs."""

from __future__ import annotations

import csv
import json
import logging
import math
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mininet.log import lg

from mininet_kronos.errors import ParameterError
from mininet_kronos.records import LinkStats
from mininet_kronos.runs import facts
from mininet_kronos.runs.directory import (
    BEFORE,
    CONFIG,
    HOSTS,
    LINKS,
    ROUNDS,
    SCHEMA,
    SUMMARY,
    LogLine,
    make_directory,
)

if TYPE_CHECKING:
    from mininet_kronos.net import KronosNet

MAX_SAMPLES = 10_000  # then the time between samples is doubled
SECOND = 1_000_000_000


class NodeLog:
    """One node's log: whole lines, each with the time at which it was complete."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._sources: dict[str, str] = {}  # by pid, which no two runs have in common
        self._rest: dict[str, bytes] = defaultdict(bytes)

    def write(self, virtual: str, real: str, source: str, data: bytes) -> None:
        """Add what a process has written."""
        pid, _, stream = source.rpartition(" ")
        if pid:
            source = f"{self._sources.setdefault(pid, str(len(self._sources) + 1))} {stream}"
        *lines, self._rest[source] = (self._rest[source] + data).split(b"\n")
        for line in lines:
            self._put(LogLine(virtual, real, source, _text(line)))

    def close(self, virtual: str, real: str) -> None:
        """Add what has no end of line; nothing comes after this."""
        for source, rest in self._rest.items():
            if _text(rest):
                self._put(LogLine(virtual, real, source, _text(rest)))

    def _put(self, line: LogLine) -> None:
        self._file.write(f"{line}\n")


def _text(line: bytes) -> str:
    """Return a line as text, without the marks by which Mininet knows that a command has ended."""
    return line.replace(b"\x7f", b"").rstrip(b"\r").decode(errors="replace")


class FollowedFile:
    """A log that a process writes by itself, such as Ryu's: read on while rounds run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def read(self) -> bytes:
        """Return what has been added."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return b""
        self._offset += len(data)
        return data


class WarningList(logging.Handler):
    """Keeps what Mininet's log has of warnings and errors."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        if line := record.getMessage().strip():
            self.lines.append(line)


class Recorder:
    """Records one network, from its freeze to its end."""

    def __init__(self, net: KronosNet, directory: Path, interval: int) -> None:
        """interval: ns of virtual time between samples of the counters.

        Raise ParameterError if the directory has something in it.
        """
        if interval <= 0:
            raise ParameterError("the time between samples must be more than 0; use for example '100ms'")
        self.net = net
        self.directory = directory
        self.interval = interval
        self._warnings = WarningList()
        self._begin = net.experiment.real_time
        self._started = False
        self._samples = 0
        self._logs: dict[str, NodeLog] = {}
        self._followed: dict[str, FollowedFile] = {}
        self._files = ExitStack()
        make_directory(directory)
        self._rounds, self._hosts, self._links = (
            self._table(name, columns)
            for name, columns in (("rounds", ROUNDS), ("hosts", HOSTS), ("links", LINKS))
        )
        net.pump.output_listeners.append(self._heard)
        lg.addHandler(self._warnings)

    def _table(self, name: str, columns: tuple[str, ...]) -> Any:
        path = self.directory / f"{name}.csv"
        file = self._files.enter_context(path.open("w", newline="", encoding="utf-8"))
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        return writer

    # While it runs

    def started(self) -> None:
        """Say what the network is, which has just been frozen, and begin to sample."""
        self._started = True
        self._write(CONFIG, self._config())
        self._follow(BEFORE)
        self.net.pump.at(0, self._sample)
        self.net.pump.tick_listeners.append(self._follow)

    def _times(self) -> tuple[str, str]:
        return f"{self.net.now / SECOND:.9f}", f"{self._real():.3f}"

    def _real(self) -> float:
        """Return the seconds that this has been recording."""
        return (self.net.experiment.real_time - self._begin) / SECOND

    def _heard(self, node: str, source: str, data: bytes) -> None:
        if not self._started:
            return  # shells that come up, and say so with process ids
        self._log(node).write(*self._times(), source, data)

    def _log(self, node: str) -> NodeLog:
        if node not in self._logs:
            path = self.directory / "logs" / f"{node}.log"
            file = path.open("w", encoding="utf-8", errors="replace")
            self._logs[node] = NodeLog(self._files.enter_context(file))
        return self._logs[node]

    def _follow(self, virtual: str = "") -> None:
        """Read on in the logs that controllers and switches write by themselves."""
        for path in self.net.logs():
            followed = self._followed.setdefault(str(path), FollowedFile(path))
            data = followed.read()
            if data:
                self._log(path.stem).write(virtual or self._times()[0], self._times()[1], "log", data)

    def _sample(self) -> int:
        """Write a row for everything; return when the next one is due."""
        now, experiment = self.net.now, self.net.experiment
        self._rounds.writerow((now, self._times()[1], *astuple(experiment.stats())))
        for host in experiment.hosts:
            self._hosts.writerow((now, host, *astuple(experiment.host_stats(host))))
        for name, direction, stats in self._link_stats():
            self._links.writerow((now, name, direction, *astuple(stats)))
        self._samples += 1
        if self._samples % MAX_SAMPLES == 0:
            self.interval *= 2
        return now - now % self.interval + self.interval

    def _link_stats(self) -> list[tuple[str, str, LinkStats]]:
        ends = ((0, "intf1", "intf2"), (1, "intf2", "intf1"))
        return [
            (
                link_name(link),
                f"{getattr(link, source).name}->{getattr(link, target).name}",
                link.counters(direction),
            )
            for link in self.net.links
            if hasattr(link, "counters")  # not the script's own classes
            for direction, source, target in ends
        ]

    # The end

    def stopped(self, status: str) -> None:
        """Sum up, just before the network ends; status says how it came to that."""
        self.net.pump.output_listeners.remove(self._heard)
        lg.removeHandler(self._warnings)
        with self._files:
            if not self._started:
                return
            self._follow()
            self._sample()
            times = self._times()
            for log in self._logs.values():
                log.close(*times)
            self._write(SUMMARY, self._summary(status))

    def _write(self, name: str, content: dict[str, Any]) -> None:
        (self.directory / name).write_text(
            json.dumps({"schema": SCHEMA, **content}, indent=1) + "\n", encoding="utf-8"
        )

    def _config(self) -> dict[str, Any]:
        net = self.net
        return {
            "command": sys.argv,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "parameters": {"timestep_ns": net.timestep, "sample_ns": self.interval, **net.parameters},
            "mechanisms": net.experiment.mechanisms,
            "versions": facts.versions(),
            "machine": facts.machine(),
            "nodes": [_node(node, kind) for kind, nodes in _kinds(net) for node in nodes],
            "links": [
                {
                    "name": link_name(link),
                    "ends": [[intf.node.name, intf.name] for intf in (link.intf1, link.intf2)],
                    "directions": [asdict(params) for params in link.models],
                }
                for link in net.links
            ],
        }

    def _summary(self, status: str) -> dict[str, Any]:
        net = self.net
        hosts = net.experiment.hosts
        return {
            "status": status,
            "virtual_ns": net.now,
            "real_s": round(self._real(), 3),
            "stats": asdict(net.experiment.stats()),
            "hosts": {
                host: {"clock_ns": net.experiment.host_time(host), **asdict(net.experiment.host_stats(host))}
                for host in hosts
            },
            "links": [
                {"name": name, "direction": direction, **asdict(stats)}
                for name, direction, stats in self._link_stats()
            ],
            "warnings": self._warnings.lines,
        }


def link_name(link: Any) -> str:
    """Return what a link is called in files: the names of its interfaces."""
    return f"{link.intf1.name}--{link.intf2.name}"


def _kinds(net: KronosNet) -> list[tuple[str, list[Any]]]:
    return [("host", net.hosts), ("switch", net.switches), ("controller", net.controllers)]


def _node(node: Any, kind: str) -> dict[str, Any]:
    facts = {"name": node.name, "kind": kind, "class": type(node).__name__, "process": node.kronos_process}
    for key in ("cpu_speed", "counter", "pace"):
        if hasattr(node, key):
            value = getattr(node, key)
            facts[key] = "inf" if value == math.inf else value  # JSON has no such number
    return {**facts, "ip": node.IP()} if kind == "host" else facts
