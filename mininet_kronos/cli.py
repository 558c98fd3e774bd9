"""Mininet's command line in virtual time."""

from __future__ import annotations

import errno
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from mininet.cli import CLI
from mininet.log import error, output
from mininet.util import quietRun

from mininet_kronos.breakpoints import Breakpoints
from mininet_kronos.cli_completion import CompletingCLI
from mininet_kronos.errors import KronosError, ParameterError
from mininet_kronos.records import HostStatus, TaskStatus
from mininet_kronos.units import format_duration, parse_count, parse_duration

TYPED_MAX = 4096


class KronosCLI(CompletingCLI):
    """CLI whose commands run rounds until they end, with verbs for virtual time."""

    helpStr = CLI.helpStr.partition("However, starting up an xterm")[0] + (  # noqa: N815
        "\n"
        "The network is frozen; virtual time passes while a command runs, and with\n"
        "  mininet> run 5s\n"
        "  mininet> step\n"
        "Stop it at a moment, at what a node writes, or at a frame on a link, and look around:\n"
        "  mininet> break h2 64 bytes\n"
        "  mininet> break s1-eth1 udp port 5001\n"
        "  mininet> status\n"
        "'help <verb>' tells more.\n\n"
    )

    def __init__(
        self, mininet: Any, stdin: Any = sys.stdin, script: str | None = None, **params: Any
    ) -> None:
        self.breakpoints = Breakpoints(mininet)
        self.captures: dict[Any, Path] = {}  # by end of a link
        self._terminals: dict[str, int] = {}  # eventfds, by logical process
        self._passed_on = False  # what was typed, just now
        try:
            super().__init__(mininet, stdin=stdin, script=script, **params)
        finally:
            self.breakpoints.clear()
            for event in self._terminals.values():
                os.close(event)

    def onecmd(self, line: str) -> Any:
        """Run one line; an error is one line as well."""
        try:
            return super().onecmd(line)
        except KronosError as problem:
            error(f"*** {problem}\n")
            return None

    # Time

    def do_run(self, line: str) -> None:
        """Let virtual time pass.

        Usage: run <duration>, for example: run 5s
        """
        if not line:
            error("usage: run <duration>, for example: run 5s\n")
            return
        self.mn.run(line)
        self.do_time("")

    def do_step(self, line: str) -> None:
        """Run rounds: one, or N, of the network's timestep or of another one.

        Usage: step [N] [timestep], for example: step 10 or step 5 100us
        """
        words = line.split()
        rounds = parse_count(words.pop(0), "N", most=2**63 - 1) if words and words[0].isdigit() else 1
        timestep = parse_duration(words.pop(0), "timestep") if words else self.mn.timestep
        if words:
            error("usage: step [N] [timestep], for example: step 5 100us\n")
            return
        if timestep == 0:
            raise ParameterError("timestep 0 would never get anywhere; use for example '100us'")
        self.mn.pump.progress(rounds, timestep)
        self.do_time("")

    def do_time(self, line: str) -> None:
        """Tell virtual time, or measure how long a command takes.

        Usage: time [command]
        """
        if not line:
            output(f"virtual time: {format_duration(self.mn.now)}\n")
            return
        virtual, real = self.mn.now, self.mn.experiment.real_time
        self.onecmd(line)
        virtual, real = self.mn.now - virtual, self.mn.experiment.real_time - real
        output(f"*** Elapsed time: {format_duration(virtual)} virtual, {real / 1e9:.6f} s real\n")

    def do_freeze(self, _line: str) -> None:
        """Freeze the network after a thaw.

        Usage: freeze
        """
        self.mn.freeze()
        self.do_time("")

    def do_thaw(self, _line: str) -> None:
        """Let virtual time follow real time, as in a plain Mininet, until 'freeze'.

        Usage: thaw
        """
        self.mn.thaw()
        self.do_time("")

    # Looking

    def do_status(self, line: str) -> None:
        """Tell how the experiment stands, and where each host stands; with nodes, all of their tasks.

        Usage: status [node...]
        """
        experiment = self.mn.experiment
        nodes = [self.mn[name] for name in line.split()]
        if nodes:
            for process in dict.fromkeys(node.kronos_process for node in nodes):
                host = experiment.host_status(process)
                output(f"{_describe(host)}\n")
                for task in host.tasks:
                    output(f"  {_describe_task(task)}\n")
            return
        stats = experiment.stats()
        output(
            f"virtual time: {format_duration(self.mn.now)}, "
            f"{'frozen' if self.mn.pump.frozen else 'live'}, timestep {format_duration(self.mn.timestep)}\n"
            f"rounds: {stats.rounds}, of which idle and passed over: {stats.rounds_skipped}\n"
            f"logical processes: {stats.hosts}, tasks: {stats.tasks}\n"
            f"frames: {stats.frames}, late: {stats.late_frames}\n"
            f"engine: {experiment.mechanisms}\n"
        )
        for name in experiment.hosts:
            if experiment.engine == "kernel":  # which does not follow the calls of tasks
                stats, clock = experiment.host_stats(name), experiment.host_time(name)
                output(
                    f"{name}: clock {format_duration(clock)}, "
                    f"CPU time {format_duration(stats.cpu_ns)}, tasks: {stats.tasks}\n"
                )
            else:
                output(f"{_describe(experiment.host_status(name))}\n")

    def do_links(self, line: str) -> None:
        """Report on links: whether they are up, their parameters, and what each end has sent.

        Usage: links [link...], for example: links h1-s1
        """
        for link in [self._link(name) for name in line.split()] or self.mn.links:
            output(f"{link} {link.status()}\n")
            for direction, (sender, receiver) in enumerate(
                ((link.intf1, link.intf2), (link.intf2, link.intf1))
            ):
                stats = link.counters(direction)
                model = ", ".join(
                    f"{key} {value}" for key, value in sender.model.items() if value is not None
                )
                output(
                    f"  {sender} -> {receiver}: {model or 'no limits'}; sent {stats.tx_frames} frames, "
                    f"{stats.tx_bytes} bytes; delivered {stats.rx_frames}, dropped {stats.dropped_queue} "
                    f"by the queue and {stats.dropped_loss} by loss, late {stats.late}, "
                    f"on their way {stats.queued}\n"
                )

    def _link(self, name: str) -> Any:
        link = self.mn.findLink(name)
        if not link:
            raise ParameterError(f"there is no link '{name}'; 'links' lists them: name an end or both nodes")
        return link

    def do_capture(self, line: str) -> None:
        """Write the frames of a link to a pcap file, with virtual stamps in ns.

        Usage: capture                      lists the captures
               capture s1-eth1 [file]       what this end sends and receives
               capture h1-s1 [file]         the same for h1's end of the link
               capture stop [link]          ends one, or all
        """
        words = line.split()
        if words[:1] == ["stop"]:
            for end in [self._end(name) for name in words[1:]] or [*self.captures]:
                end.stopCapture()
                self.captures.pop(end, None)
        elif words:
            end = self._end(words[0])
            self.captures[end] = end.capture(words[1] if len(words) > 1 else None)
            output(f"{end}: to {self.captures[end]}\n")
        else:
            listed = "".join(f"{end}: to {path}\n" for end, path in self.captures.items())
            output(listed or "no captures\n")

    def _end(self, name: str) -> Any:
        """Return the end of a link that a name means."""
        link = self._link(name)
        return link.intf2 if name == link.intf2.name or name.startswith(f"{link.intf2.node}-") else link.intf1

    # Breakpoints

    def do_break(self, line: str) -> None:
        r"""Stop virtual time once: at a time, at what a node writes, or at a frame on a link.

        Usage: break                    lists the breakpoints
               break 12.5s              stop at this virtual time
               break +500ms             stop so much later
               break h1 bytes from      stop when h1's shell writes a line that matches (regular expression)
               break s1-eth1 tcp[13]=2  stop when a frame passes that matches (tcpdump's filter)
               break h1-s1              stop at any frame on the link
               break clear              removes all
        Virtual time stops at the end of the round in which it happens; 'continue' goes on with a command.
        """
        if line == "clear":
            self.breakpoints.clear()
        elif line:
            output(f"will stop at {self.breakpoints.add(line).what}\n")
        else:
            listed = "".join(f"{each.what}\n" for each in self.breakpoints)
            output(listed or "no breakpoints\n")

    def do_continue(self, line: str) -> None:
        """Go on with the commands of nodes that a breakpoint has interrupted.

        Usage: continue [node]
        """
        nodes = [self.mn[line]] if line else [node for node in self.mn.values() if node.waiting]
        if not nodes or not nodes[0].waiting:
            error("there is no command to go on with; see 'help break'\n")
            return
        for node in nodes:
            self.waitForNode(node)

    def do_sh(self, line: str) -> None:
        """Run a command outside of the network, such as ovs-vsctl show; no virtual time passes.

        Usage: sh [cmd args]
        """
        with subprocess.Popen(line, shell=True) as process:
            ended = os.pidfd_open(process.pid)
            try:
                self.mn.pump.wait_outside(ended)
            finally:
                os.close(ended)

    def do_source(self, line: str) -> None:
        """Run the commands of a file, which may source others.

        Usage: source <file>
        """
        if not line:
            error("usage: source <file>\n")
            return
        try:
            commands = Path(line).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as problem:
            error(f"error reading file {line}: {problem.strerror}\n")
            return
        for command in commands:
            self.onecmd(command)

    # Not in virtual time

    def do_xterm(self, _line: str, term: str = "xterm") -> None:
        """Refused: a terminal would stand still between rounds.

        Type '<node> <command>' here instead.
        """
        error(f"{term} would stand still between rounds; type '<node> <command>' here instead\n")

    def do_gterm(self, line: str) -> None:
        """Refused: a terminal would stand still between rounds.

        Type '<node> <command>' here instead.
        """
        self.do_xterm(line, term="gterm")

    def do_x(self, _line: str) -> None:
        """Refused: an X11 client would stand still between rounds.

        Type '<node> <command>' here instead.
        """
        error("an X11 client would stand still between rounds; type '<node> <command>' here instead\n")

    # Commands of nodes

    def waitForNode(self, node: Any) -> None:
        """Run rounds until a node's command has ended; print what it writes, pass on what is typed."""
        if not self.isatty():
            self._await(node)
            return
        quietRun("stty -icanon min 1")  # programs get each key
        pump = self.mn.pump
        with (
            pump.watching([self.stdin.fileno()], lambda: self._pass_on(node)),
            pump.watching(self._typed_for(node), lambda: self._stand(node)),
        ):
            self._await(node)

    def _typed_for(self, node: Any) -> list[int]:
        """Return a descriptor that is readable while a program of the node waits for what is typed."""
        experiment, process = self.mn.experiment, node.kronos_process
        if experiment.engine != "user" or not node.traced:
            return []
        if process not in self._terminals:
            self._terminals[process] = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        event = self._terminals[process]
        experiment.watch_terminal(process, os.fstat(node.slave).st_rdev, event)
        return [event]

    def _stand(self, node: Any) -> None:
        """Let virtual time stand until something is typed, or the node has written something."""
        if self._passed_on:  # the engine has yet to see who has read it
            self._passed_on = False
        else:
            select.select([self.stdin.fileno(), node.stdout.fileno()], [], [])

    def _pass_on(self, node: Any) -> None:
        """Give the node what has been typed."""
        node.write(self._typed())
        self._passed_on = True

    def _await(self, node: Any) -> None:
        while node.waiting:
            try:
                output(node.monitor())
            except KeyboardInterrupt:
                node.sendInt()
        self.mn.pump.heed_halt()

    def _typed(self) -> str:
        """Return what has been typed; end if the terminal is gone."""
        try:
            typed = os.read(self.stdin.fileno(), TYPED_MAX)
        except OSError as problem:
            if problem.errno != errno.EIO:
                raise
            typed = b""
        if not typed:
            sys.exit("*** The terminal is gone\n")
        return typed.decode(errors="replace")


def _describe(host: HostStatus) -> str:
    """Return one line: what the host is, its clock, and what its youngest task does."""
    kind = "instant" if host.pace == "instant" else f"{host.counter}, speed {host.cpu_speed:g}"
    if host.next is None:
        due = "nothing is due"
    else:
        due = f"next at {format_duration(host.next)}" if host.next > host.clock else "wants to run"
    doing = _describe_task(host.tasks[0]) if host.tasks else "no process"
    more = f" (and {len(host.tasks) - 1} more)" if len(host.tasks) > 1 else ""
    return f"{host.name} ({kind}): clock {format_duration(host.clock)}, {due}; {doing}{more}"


def _describe_task(task: TaskStatus) -> str:
    number = str(task.pid) if task.pid == task.tid else f"{task.pid}, thread {task.tid}"
    doing = {
        "joining": "has not begun",
        "ready": "wants to run",
        "stopped": "is stopped by a signal",
        "waiting": f"waits in {task.call}()" if task.call else "is in the kernel",
    }[task.state]
    until = "" if task.deadline is None else f" until {format_duration(max(0, task.deadline))}"
    return f"{task.program} [{number}] {doing}{until}"
