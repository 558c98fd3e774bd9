"""Start Ryu 4.34, or os-ken, on today's Python.

    python -m mininet_kronos.ryu_launcher [ryu-manager's options] APPLICATION...

An application is a module's name or a file. Ryu is unmaintained and wants eventlet as it was before 0.30.3,
which does not run on Python 3.10 and later; with a later eventlet it lacks one name, which is put back here.
KRONOS_RYU=os_ken in the environment runs applications with os-ken although Ryu is there.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from mininet_kronos import ryu_frameworks as frameworks


def prepare_eventlet() -> None:
    """Patch the standard library for green threads, and give Ryu the name it misses.

    eventlet 0.30.3 removed eventlet.wsgi.ALREADY_HANDLED, which ryu.app.wsgi imports and returns from a
    WebSocket's handler; an empty body is what eventlet has expected since.
    """
    warnings.filterwarnings("ignore", message="\\s*Eventlet is deprecated")  # a user can do nothing about it
    import eventlet

    eventlet.monkey_patch()
    import eventlet.wsgi

    if not hasattr(eventlet.wsgi, "ALREADY_HANDLED"):
        eventlet.wsgi.ALREADY_HANDLED = []


def mend_link_discovery(framework: str) -> None:
    """Keep Ryu's link discovery from stopping for good when clocks jump, as they do at the freeze.

    Its lldp_loop sends until it finds a port that is not due yet, and waits for that one's turn. If all are
    due, as they are after a jump or a long pause, it finds none, and waits for ever. It reads CLOCK_REALTIME
    besides, which may be set back (epoch=0).
    """
    import time
    import types

    hub: Any = importlib.import_module(f"{framework}.lib.hub")
    switches: Any = importlib.import_module(f"{framework}.topology.switches")

    class BoundedEvent(hub.Event):
        def wait(self, timeout: float | None = None) -> Any:
            return super().wait(switches.Switches.LLDP_SEND_PERIOD_PER_PORT if timeout is None else timeout)

    original = switches.Switches.lldp_loop

    def lldp_loop(self: Any) -> None:
        self.lldp_event.__class__ = BoundedEvent
        original(self)

    switches.Switches.lldp_loop = lldp_loop
    switches.time = types.SimpleNamespace(time=time.monotonic)


def run_os_ken(arguments: list[str]) -> None:
    """Do what osken-manager did, which os-ken has had no more since 4.0."""
    from os_ken import cfg, log

    log.early_init_log(logging.DEBUG)
    importlib.import_module("os_ken.controller.controller")  # its options
    cfg.CONF.register_cli_opts(
        [cfg.MultiStrOpt("app", positional=True, default=[]), cfg.ListOpt("app-lists", default=[])]
    )
    cfg.CONF(args=arguments, prog="ryu_launcher", project="os_ken", default_config_files=[])
    log.init_log()
    from os_ken.base.app_manager import AppManager

    AppManager.run_apps(cfg.CONF.app_lists + cfg.CONF.app or ["os_ken.controller.ofp_handler"])


def run(framework: str, arguments: list[str]) -> None:
    """Run a framework with its manager's arguments until it ends."""
    prepare_eventlet()
    if framework == frameworks.OS_KEN:
        os.environ.setdefault("OSKEN_HUB_TYPE", "eventlet")  # else threads, which take turns by chance
        frameworks.alias_ryu()
        mend_link_discovery(framework)
        run_os_ken([frameworks.name_in(framework, argument) for argument in arguments])
    else:
        from ryu.cmd import manager

        mend_link_discovery(framework)
        manager.main(args=arguments, prog="ryu_launcher")


def main(arguments: list[str] | None = None) -> int:
    """Run Ryu until it is interrupted; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    framework = os.environ.get("KRONOS_RYU") or frameworks.choose_framework(arguments)
    try:
        run(framework, arguments)
    except ModuleNotFoundError as problem:
        application = find_application(problem.name or "", arguments)
        if application is not None:
            said = f"there is no application {application}; give a module's full name or a .py file"
        elif (problem.name or "").partition(".")[0] in (framework, "eventlet"):
            said = (
                f"{problem.name} is not installed for {sys.executable}; run make setup, "
                "and use .venv/bin/python"
            )
        else:
            raise  # something that an application imports
        print(f"ryu_launcher: {said}", file=sys.stderr)
        return 1
    return 0


def find_application(module: str, arguments: list[str]) -> str | None:
    """Return the argument that names a module, or lies inside it."""
    for argument in arguments:
        name = frameworks.name_in(frameworks.OS_KEN, argument) if module.startswith("os_ken") else argument
        if f"{name}.".startswith(f"{module}."):
            return argument
    return None


if __name__ == "__main__":
    if sys.path[0] == str(Path.cwd()):
        sys.path.append(sys.path.pop(0))  # a ryu.py there is no Ryu
    sys.exit(main())
