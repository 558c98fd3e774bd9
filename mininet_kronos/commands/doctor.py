"""Say what the engines need from this machine: whether it is there, what follows if not, and the fix.

Changes nothing. Without root it looks at everything but the engine's self-test. The exit status is 0 if a
network would run with the engine asked for, else 1.
"""

from __future__ import annotations

import argparse

HELP = "say what works on this machine, and how to fix what does not"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--engine",
        choices=("auto", "user", "kernel"),
        default="auto",
        help="the engine that the exit status is about (default: auto, any of them)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Examine the machine."""
    from mininet_kronos import doctor

    findings = doctor.examine()
    doctor.show(findings)
    engines = doctor.ENGINES if arguments.engine == "auto" else (arguments.engine,)
    return 0 if any(doctor.would_run(engine, findings) for engine in engines) else 1
