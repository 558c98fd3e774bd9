"""Remove what runs that crashed have left behind: processes, interfaces, files.

Networks that run now are left alone.
"""

from __future__ import annotations

import argparse

HELP = "remove what runs that crashed have left behind"


def run(_arguments: argparse.Namespace) -> int:
    """Remove it."""
    from mininet_kronos.clean import clean

    return clean()
