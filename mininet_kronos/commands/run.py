"""Run a script that makes a KronosNet; keep its logs, counters and a report in a directory.

How the run gets on is said on stderr. The exit status is the script's.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mininet_kronos.commands.options import add_script, settings_of

HELP = "run a script in virtual time and keep what happened in a directory"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="a new directory for the run (runs/SCRIPT-DATE)"
    )
    parser.add_argument("--no-report", action="store_true", help="leave report.html to kronos report")
    parser.add_argument("--quiet", action="store_true", help="do not say on stderr how the run gets on")
    add_script(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the script; its exit status is ours."""
    from mininet_kronos.runs.directory import RunDirectory, check_new
    from mininet_kronos.runs.execute import new_directory, run_script
    from mininet_kronos.runs.report import write_report

    wanted = settings_of(arguments)
    wanted.out = arguments.out or new_directory(arguments.script)
    check_new(wanted.out)
    wanted.progress = not arguments.quiet
    status = run_script(arguments.script, arguments.arguments, wanted)
    for directory in wanted.outs:
        if not arguments.no_report:
            write_report(RunDirectory(directory))
        if not arguments.quiet:
            print(f"the run is in {directory}", file=sys.stderr)
    return status
