"""Run a user's script with the parameters of the command line, once or twice."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mininet_kronos import settings
from mininet_kronos.errors import KronosError, ParameterError
from mininet_kronos.net import stop_all
from mininet_kronos.runs.compare import Comparison, compare
from mininet_kronos.runs.directory import RunDirectory

RUNS = Path("runs")  # where a run leaves its directory if none is named


def new_directory(script: Path) -> Path:
    """Return a name for a run's directory that says what ran, and when."""
    name = f"{script.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    taken = [path.name for path in RUNS.glob(f"{name}*")]
    return RUNS / (f"{name}-{len(taken) + 1}" if taken else name)


def check_script(script: Path) -> None:
    """Raise ParameterError if there is no such script."""
    if not script.exists():
        raise ParameterError(f"script {script} does not exist; name a Python file that makes a KronosNet")
    if not (script.is_file() and os.access(script, os.R_OK)):
        raise ParameterError(f"script {script} is no file that can be read; name one")


def run_script(script: Path, arguments: Sequence[str], wanted: settings.Settings) -> int:
    """Run a script as if Python had been told to, and return its exit status."""
    check_script(script)
    settings.give(wanted)
    status = 0
    before = sys.argv, sys.path
    sys.argv = [str(script), *arguments]
    sys.path = [str(script.resolve().parent), *sys.path]
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = 1 if isinstance(end.code, str) else end.code or 0
    except BaseException as problem:
        stop_all(f"{type(problem).__name__}: {problem}")
        raise
    finally:
        settings.give(settings.Settings())
        sys.argv, sys.path = before
    stop_all()
    if not wanted.outs:
        raise KronosError(
            f"{script} has made no KronosNet, so nothing ran in virtual time; "
            "use KronosNet where it has Mininet"
        )
    return status


def run_twice(script: Path, options: Sequence[str], arguments: Sequence[str], out: Path) -> Comparison:
    """Run a script twice, each in a process of its own, and compare what they leave in out/1 and out/2."""
    check_script(script)
    for number in "1", "2":
        command = [sys.executable, "-m", "mininet_kronos", "run", *options, "--out", str(out / number)]
        status = subprocess.run([*command, str(script), *arguments], check=False).returncode
        if status:
            raise KronosError(f"run {number} of {script} ended with status {status}; see its messages above")
    return compare(RunDirectory(out / "1"), RunDirectory(out / "2"))
