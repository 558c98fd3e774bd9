"""Ryu, and os-ken, which goes on where Ryu ended: which of them runs an application.

They differ in a few names. With os-ken, `ryu` is another name for `os_ken`, so that applications that were
written for Ryu run unchanged, ours among them.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

RYU, OS_KEN = "ryu", "os_ken"
FRAMEWORKS = (RYU, OS_KEN)  # what is taken first if both are there
TITLES = {RYU: "Ryu", OS_KEN: "os-ken"}


def installed() -> list[str]:
    """Return which frameworks are installed."""
    return [name for name in FRAMEWORKS if importlib.util.find_spec(name) is not None]


def choose_framework(apps: Iterable[str]) -> str:
    """Return what runs these applications: os-ken if one of them imports it or Ryu is missing."""
    there = installed()
    if OS_KEN in there and (RYU not in there or any(map(imports_os_ken, apps))):
        return OS_KEN
    return RYU


def imports_os_ken(app: str) -> bool:
    """Tell whether an application, a file or a module's name, imports os-ken."""
    try:
        spec = None if "/" in app else importlib.util.find_spec(app)
        source = Path(app if spec is None else spec.origin or "").read_text(errors="replace")
    except (ImportError, ValueError, OSError):
        return False
    return re.search(r"^\s*(from|import)\s+os_ken\b", source, re.MULTILINE) is not None


def name_in(framework: str, module: str) -> str:
    """Return what a module of Ryu's is called in a framework."""
    if framework == OS_KEN and f"{module}.".startswith("ryu."):
        return OS_KEN + module[len(RYU) :]
    return module


class Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of os-ken under the names of Ryu's."""

    def __init__(self) -> None:
        self._specs: dict[ModuleType, Any] = {}

    def find_spec(self, fullname: str, *_args: Any) -> importlib.machinery.ModuleSpec | None:
        """Answer for everything of Ryu's."""
        if name_in(OS_KEN, fullname) == fullname:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return os-ken's module."""
        module = importlib.import_module(name_in(OS_KEN, spec.name))
        self._specs[module] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Put back what the import system has overwritten."""
        module.__spec__ = self._specs[module]


def callers() -> Iterator[ModuleType]:
    """Yield the modules whose code runs, from the caller's caller on, without those that import modules."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals["__name__"]
        if name != __name__ and name.partition(".")[0] != "importlib":
            yield sys.modules[name]
        frame = frame.f_back  # type: ignore[assignment]


def require_app(app_name: str, api_style: bool = False) -> None:
    """Note what the calling module, or the one that imports it (api_style), needs; as os-ken's.

    os-ken's own counts frames, of which an alias adds some, and knows no names of Ryu's.
    """
    found = callers()
    module: Any = next(found)
    if api_style:
        module = next(found)
    module._REQUIRED_APP = [*getattr(module, "_REQUIRED_APP", []), name_in(OS_KEN, app_name)]


def alias_ryu() -> None:
    """Make `ryu` another name for os-ken."""
    sys.meta_path.insert(0, Alias())
    app_manager: Any = importlib.import_module("os_ken.base.app_manager")
    exception: Any = importlib.import_module("os_ken.exception")
    app_manager.require_app = require_app
    app_manager.RyuApp = app_manager.OSKenApp
    exception.RyuException = exception.OSKenException
