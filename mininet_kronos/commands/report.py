"""Draw a run as one self-contained page, report.html in its directory."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

HELP = "write a run's report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="a run's directory")
    parser.add_argument("--open", action="store_true", help="show it in a browser")


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print where it is."""
    from mininet_kronos.runs.directory import RunDirectory
    from mininet_kronos.runs.report import write_report

    page = write_report(RunDirectory(arguments.directory))
    print(page)
    if arguments.open and not webbrowser.open(page.resolve().as_uri()):
        print("there is no browser; open the page by hand")
    return 0
