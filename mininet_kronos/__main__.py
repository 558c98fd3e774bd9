"""The kronos command."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from mininet_kronos import __version__, explain_missing
from mininet_kronos.errors import KronosError, MissingProgramError

CUSTOM = Path(__file__).with_name("custom.py")


def run_mn(arguments: list[str]) -> NoReturn:
    """Become mn, with our classes."""
    program = shutil.which("mn")
    if not program:
        raise MissingProgramError("mn is not installed; run: apt-get install mininet")
    os.execv(sys.executable, [sys.executable, program, "--custom", str(CUSTOM), *arguments])


def print_mn_path(_arguments: argparse.Namespace) -> int:
    """Print the path of the file for mn --custom."""
    print(CUSTOM)
    return 0


def print_version(_arguments: argparse.Namespace) -> int:
    """Print the version."""
    print(f"kronos {__version__}")
    return 0


def doctor(_arguments: argparse.Namespace) -> int:
    """Say what works on this machine, and how to fix what does not."""
    from mininet_kronos.machine import examine

    return examine()


def clean(_arguments: argparse.Namespace) -> int:
    """Remove what a run that crashed has left behind."""
    from mininet_kronos.clean import clean

    return clean()


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="kronos", description="Mininet in virtual time.", epilog="Networks need root: use sudo."
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    mn = verbs.add_parser(
        "mn",
        add_help=False,
        help="Mininet's mn with hosts, switches, links and a controller in virtual time",
    )
    mn.set_defaults(run=None)
    for name, run in (
        ("doctor", doctor),
        ("clean", clean),
        ("mn-path", print_mn_path),
        ("version", print_version),
    ):
        text = (run.__doc__ or "").rstrip(".")
        verbs.add_parser(name, help=text[0].lower() + text[1:], description=text + ".").set_defaults(run=run)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        if arguments[:1] == ["mn"]:
            run_mn(arguments[1:])
        parsed = make_parser().parse_args(arguments)
        return int(parsed.run(parsed))
    except KronosError as problem:
        print(f"kronos: {problem}", file=sys.stderr)
    except ModuleNotFoundError as problem:
        try:
            explain_missing(problem)
        except KronosError as explained:
            print(f"kronos: {explained}", file=sys.stderr)
        else:
            raise
    return 1


if __name__ == "__main__":
    sys.exit(main())
