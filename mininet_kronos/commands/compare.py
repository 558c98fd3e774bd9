"""Compare what two runs have left: times, logs, counters and captures.

Prints the first difference in each part. The exit status is 0 if the runs are equal, 2 if not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "say where two runs differ"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("first", metavar="DIR", type=Path, help="a run's directory")
    parser.add_argument("second", metavar="DIR", type=Path, help="another one")


def run(arguments: argparse.Namespace) -> int:
    """Print the verdict, and the first difference in each part."""
    from mininet_kronos.runs.compare import compare
    from mininet_kronos.runs.directory import RunDirectory

    comparison = compare(RunDirectory(arguments.first), RunDirectory(arguments.second))
    print(comparison.verdict)
    for difference in comparison.differences:
        print(difference)
    return 2 if comparison.differences else 0
