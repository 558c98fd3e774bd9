"""Run a script twice and compare times, logs, counters and captures.

Prints one verdict and the first difference. The exit status is 0 if the runs are equal, 2 if not. Where
work is measured as CPU time, runs agree closely and are not equal; the verdict then says so, and by how much
times differ. For equal runs use --counter free, --seed and --epoch.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from mininet_kronos.commands.options import add_script, given_again

HELP = "run a script twice and say where the runs differ"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--out", metavar="DIR", type=Path, help="keep the runs, in DIR/1 and DIR/2")
    add_script(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run it twice; print the verdict and the first difference."""
    from mininet_kronos.runs.execute import run_twice

    options = ["--quiet", "--no-report", *given_again(arguments)]
    with tempfile.TemporaryDirectory(prefix="kronos-verify-") as directory:
        out = arguments.out or Path(directory)
        comparison = run_twice(arguments.script, options, arguments.arguments, out)
    print(comparison.verdict)
    for difference in comparison.differences[:1]:
        print(f"the first difference is in {difference}")
    return 2 if comparison.differences else 0
