"""Mininet in virtual time: whole emulated networks, stepped together with their SDN controller.

    from mininet_kronos import KronosNet

Importing needs neither root nor Mininet; what is built on Mininet is loaded when it is used first.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

_HOMES = {
    "Experiment": "experiment",
    "KronosCLI": "cli",
    "KronosController": "controller",
    "KronosError": "errors",
    "KronosHost": "node",
    "KronosIntf": "link",
    "KronosLink": "link",
    "KronosNet": "net",
    "KronosLinuxBridge": "switch",
    "KronosNodeMixin": "node",
    "KronosOVSBridge": "switch",
    "KronosOVSSwitch": "switch",
    "KronosPopen": "process",
    "KronosRemoteController": "controller",
    "KronosRyu": "controller",
    "KronosSwitchMixin": "switch",
    "LinkParams": "records",
    "parse_duration": "units",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as problem:
        explain_missing(problem)
        raise
    return getattr(module, name)


def _version() -> str:
    try:
        return importlib.metadata.version("mininet_kronos")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # such as with mn --custom, which loads this directory as it is


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def explain_missing(problem: ModuleNotFoundError) -> None:
    """Raise MissingProgramError if a failed import means that Mininet is not there."""
    if (problem.name or "").partition(".")[0] not in ("mininet", "distutils"):
        return
    import sys

    from mininet_kronos.errors import MissingProgramError

    raise MissingProgramError(
        f"Mininet is not installed for {sys.executable}; run: apt-get install mininet, and use a virtual "
        "environment made by: /usr/bin/python3 -m venv --system-site-packages"
    ) from problem
