"""Print a completion script of the kronos command for a shell.

For bash: kronos completion bash >/etc/bash_completion.d/kronos
"""

from __future__ import annotations

import argparse

HELP = "print a completion script for bash, zsh or tcsh"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose script")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from mininet_kronos.__main__ import make_parser

    print(shtab.complete(make_parser(), shell=arguments.shell))
    return 0
