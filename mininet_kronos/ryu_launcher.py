"""Start Ryu 4.34 on today's Python.

    python -m mininet_kronos.ryu_launcher [ryu-manager's options] APPLICATION...

An application is a module's name or a file. Ryu is unmaintained and wants eventlet as it was before 0.30.3,
which does not run on Python 3.10 and later; with a later eventlet it lacks one name, which is put back here.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any


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


def mend_link_discovery() -> None:
    """Keep Ryu's link discovery from stopping for good when clocks jump, as they do at the freeze.

    Its lldp_loop sends until it finds a port that is not due yet, and waits for that one's turn. If all are
    due, as they are after a jump or a long pause, it finds none, and waits for ever. It reads CLOCK_REALTIME
    besides, which may be set back (epoch=0).
    """
    import time
    import types

    from ryu.lib import hub
    from ryu.topology import switches

    class BoundedEvent(hub.Event):  # type: ignore[misc]
        def wait(self, timeout: float | None = None) -> Any:
            return super().wait(switches.Switches.LLDP_SEND_PERIOD_PER_PORT if timeout is None else timeout)

    original = switches.Switches.lldp_loop

    def lldp_loop(self: Any) -> None:
        self.lldp_event.__class__ = BoundedEvent
        original(self)

    switches.Switches.lldp_loop = lldp_loop
    switches.time = types.SimpleNamespace(time=time.monotonic)


def main(arguments: list[str] | None = None) -> int:
    """Run Ryu until it is interrupted; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        prepare_eventlet()
        from ryu.cmd import manager

        mend_link_discovery()
    except ModuleNotFoundError as problem:
        print(
            f"ryu_launcher: {problem.name} is not installed for {sys.executable}; run make setup, "
            "and use .venv/bin/python",
            file=sys.stderr,
        )
        return 1
    try:
        manager.main(args=arguments, prog="ryu_launcher")
    except ModuleNotFoundError as problem:
        application = find_application(problem.name or "", arguments)
        if application is None:
            raise  # something that an application imports
        print(
            f"ryu_launcher: there is no application {application}; give a module's full name or a .py file",
            file=sys.stderr,
        )
        return 1
    return 0


def find_application(module: str, arguments: list[str]) -> str | None:
    """Return the argument that names a module, or lies inside it."""
    for argument in arguments:
        if f"{argument}.".startswith(f"{module}."):
            return argument
    return None


if __name__ == "__main__":
    sys.exit(main())
