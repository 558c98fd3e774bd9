"""Run Mininet's mn with hosts, switches, links and a controller in virtual time.

It takes all of mn's arguments: kronos mn ARGS is mn --custom FILE ARGS. 'kronos mn --help' lists them.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys

from mininet_kronos.commands.mn_path import CUSTOM
from mininet_kronos.errors import MissingProgramError

HELP = "Mininet's mn with hosts, switches, links and a controller in virtual time"
IN_VIRTUAL_TIME = """\
kronos mn is Mininet's mn in virtual time, with these choices, of which the first ones are its defaults:

  --host kronos[,cpu_speed=X][,cores=N][,counter=C]
  --switch kronosovs|kronosovsbr|kronoslxbr[,pace=P]
  --link kronos[,bw=MBIT][,delay=5ms][,loss=PERCENT][,max_queue_size=N]...
  --controller kronosryu[,APP...][,control_delay=1ms]|remote|none
  --test rtt, besides Mininet's

docs/user-guide.md explains them, and the verbs of the command line. Mininet's own help:
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take everything as it is."""
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS", help="mn's own")


def run(arguments: argparse.Namespace) -> int:
    """Become mn, with our classes."""
    importlib.import_module("mininet")  # mn itself would end with a traceback
    program = shutil.which("mn")
    if not program:
        raise MissingProgramError("mn is not installed; run: apt-get install mininet")
    if {"-h", "--help"} & {*arguments.arguments}:
        print(IN_VIRTUAL_TIME, flush=True)
    os.execv(sys.executable, [sys.executable, program, "--custom", str(CUSTOM), *arguments.arguments])
