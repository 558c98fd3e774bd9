"""Print a completion script of the kronos command for a shell.

For bash: kronos completion bash >/etc/bash_completion.d/kronos
For zsh: kronos completion zsh >/usr/local/share/zsh/site-functions/_kronos
For fish: kronos completion fish >/etc/fish/completions/kronos.fish
"""

from __future__ import annotations

import argparse

SHELLS = ("bash", "zsh", "fish", "tcsh")
HELP = "print a completion script for bash, zsh, fish or tcsh"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("shell", choices=SHELLS, help="whose script")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from mininet_kronos.__main__ import make_parser

    print(shtab.complete(make_parser(), shell=arguments.shell))
    return 0
