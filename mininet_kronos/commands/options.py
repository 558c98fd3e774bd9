"""Options that verbs share: those that set parameters of a script's networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from mininet_kronos.errors import ParameterError
from mininet_kronos.records import ENGINES
from mininet_kronos.settings import Settings

NAMES = ("engine", "timestep", "cpu_speed", "counter", "seed", "epoch", "cpus", "sample")


def add_script(parser: argparse.ArgumentParser) -> None:
    """Take a script, its arguments, and what to set for its networks."""
    group = parser.add_argument_group("parameters of the script's networks, whatever the script says")
    group.add_argument("--engine", choices=list(ENGINES), help="what freezes and steps")
    group.add_argument("--timestep", metavar="TIME", help="length of a round, such as 100us")
    group.add_argument(
        "--cpu-speed", metavar="X", help="relative CPU speed of every host; inf: work takes no time"
    )
    group.add_argument("--counter", help="what work is: instructions, cputime, free or auto")
    group.add_argument("--seed", metavar="N", help="of all random generators: jitter, loss, MAC addresses")
    group.add_argument("--epoch", metavar="S", help="the wall clock at the freeze, in seconds since 1970")
    group.add_argument("--cpus", metavar="N", help="CPUs that hosts are spread over")
    group.add_argument("--sample", metavar="TIME", help="virtual time between samples of counters (100ms)")
    group.add_argument(
        "--capture",
        metavar="INTERFACE",
        action="append",
        default=[],
        help="write its frames to captures/INTERFACE.pcap; may be repeated; all: every end of every link",
    )
    parser.add_argument("script", type=Path, help="a Python file that makes a KronosNet and runs it")
    own = parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the script's own arguments")
    own.required = False  # so that it is not said to be missing as well


def settings_of(parsed: argparse.Namespace) -> Settings:
    """Return what was asked for; raise ParameterError for what is no number."""
    return Settings(
        engine=parsed.engine,
        timestep=parsed.timestep,
        cpu_speed=_number("--cpu-speed", parsed.cpu_speed),
        counter=parsed.counter,
        seed=_whole_number("--seed", parsed.seed),
        epoch=_number("--epoch", parsed.epoch),
        cpus=_whole_number("--cpus", parsed.cpus),
        sample=parsed.sample,
        capture=parsed.capture,
    )


def given_again(parsed: argparse.Namespace) -> list[str]:
    """Return these options as they were given, for another command."""
    values = [(f"--{name.replace('_', '-')}", getattr(parsed, name)) for name in NAMES]
    values += [("--capture", interface) for interface in parsed.capture]
    return [word for option, value in values if value is not None for word in (option, value)]


def _number(option: str, text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        raise ParameterError(f"{option} {text} is not a number") from None


def _whole_number(option: str, text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        raise ParameterError(f"{option} {text} is not a whole number") from None
