"""The kronos command: finds the verb, and makes errors one line."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from mininet_kronos import __version__, explain_missing
from mininet_kronos.commands import VERBS
from mininet_kronos.errors import KronosError


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="kronos", description="Mininet in virtual time.", epilog="Networks need root: use sudo."
    )
    parser.add_argument("--version", action="version", version=f"kronos {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in VERBS:
        verb = importlib.import_module(f"mininet_kronos.commands.{name.replace('-', '_')}")
        own = verbs.add_parser(
            name,
            help=verb.HELP,
            description=verb.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=name != "mn",
        )
        if hasattr(verb, "add_arguments"):
            verb.add_arguments(own)
        own.set_defaults(run=verb.run)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        parser = make_parser()
        if arguments[:1] == ["mn"]:  # argparse would take the first of mn's options for its own
            parsed = argparse.Namespace(run=importlib.import_module("mininet_kronos.commands.mn").run)
            parsed.arguments = arguments[1:]
        else:
            parsed = parser.parse_args(arguments)
        status = int(parsed.run(parsed))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read it, such as head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
