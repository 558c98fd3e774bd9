"""Mininet's command line in virtual time."""

from __future__ import annotations

import select
import time
from typing import Any

from mininet.cli import CLI
from mininet.log import error, output
from mininet.util import quietRun

from mininet_kronos import pump as pumps
from mininet_kronos.errors import KronosError
from mininet_kronos.units import format_duration


class KronosCLI(CLI):  # type: ignore[misc]
    """CLI whose commands run rounds until they end, with verbs for virtual time."""

    helpStr = CLI.helpStr + (  # noqa: N815
        "The network is frozen; virtual time passes while a command runs, and with\n"
        "  mininet> run 5s\n"
        "  mininet> step 10ms\n\n"
    )

    def onecmd(self, line: str) -> Any:
        """Run one line; an error is one line as well."""
        try:
            return super().onecmd(line)
        except KronosError as problem:
            error(f"*** {problem}\n")
            return None

    def do_run(self, line: str) -> None:
        """Let virtual time pass.

        Usage: run 5s
        """
        if not line:
            error("usage: run <duration>, for example: run 5s\n")
            return
        self.mn.run(line)
        self.do_time("")

    def do_step(self, line: str) -> None:
        """Let virtual time pass, one round by default.

        Usage: step [10ms]
        """
        if line:
            self.mn.run(line)
        else:
            self.mn.progress(1)
        self.do_time("")

    def do_time(self, line: str) -> None:
        """Tell virtual time, or measure how long a command takes.

        Usage: time [command]
        """
        if not line:
            output(f"virtual time: {format_duration(self.mn.now)}\n")
            return
        virtual, real = self.mn.now, time.monotonic()
        self.onecmd(line)
        virtual, real = self.mn.now - virtual, time.monotonic() - real
        output(f"*** Elapsed time: {format_duration(virtual)} virtual, {real:.6f} s real\n")

    def do_status(self, _line: str) -> None:
        """Tell how the experiment stands."""
        stats = self.mn.experiment.stats()
        output(
            f"virtual time: {format_duration(self.mn.now)}, "
            f"{'frozen' if self.mn.pump.frozen else 'live'}, timestep {format_duration(self.mn.timestep)}\n"
            f"rounds: {stats.rounds}, of which idle and passed over: {stats.rounds_skipped}\n"
            f"logical processes: {stats.hosts}, tasks: {stats.tasks}\n"
            f"frames: {stats.frames}, late: {stats.late_frames}\n"
            f"engine: {self.mn.experiment.mechanisms}\n"
        )

    def do_xterm(self, _line: str, term: str = "xterm") -> None:
        """Not in virtual time: a terminal would stand still between rounds."""
        error(f"{term} would stand still between rounds; type '<node> <command>' here instead\n")

    def do_x(self, _line: str) -> None:
        """Not in virtual time: an X11 client would stand still between rounds."""
        error("an X11 client would stand still between rounds; type '<node> <command>' here instead\n")

    def waitForNode(self, node: Any) -> None:
        """Run rounds until a node's command has ended; print what it writes, pass on what is typed."""
        terminal = self.isatty()
        if terminal:
            quietRun("stty -icanon min 1")

        def typed() -> bool:
            return terminal and pumps.is_ready(self.stdin.fileno(), select.POLLIN)

        while node.waiting:
            try:
                if typed():
                    node.write(self.stdin.read(1))
                elif node.kronos.wait(node.stdout.fileno(), alive=lambda: node.lives() and not typed()):
                    output(node.monitor())
                elif not node.lives():
                    node.monitor()  # says so
            except KeyboardInterrupt:
                node.sendInt()
