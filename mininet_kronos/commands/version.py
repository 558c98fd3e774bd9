"""Print the version."""

from __future__ import annotations

import argparse

from mininet_kronos import __version__

HELP = "print the version"


def run(_arguments: argparse.Namespace) -> int:
    """Print the version."""
    print(f"kronos {__version__}")
    return 0
