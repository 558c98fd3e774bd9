"""Print the path of the file that makes Mininet's mn virtual.

For those who call mn themselves: mn --custom $(kronos mn-path), with the Python that has mininet_kronos.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "print the path of the file for mn --custom"
CUSTOM = Path(__file__).parents[1] / "custom.py"


def run(_arguments: argparse.Namespace) -> int:
    """Print the path."""
    print(CUSTOM)
    return 0
