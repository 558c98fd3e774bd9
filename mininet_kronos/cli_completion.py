"""Completion of what is typed at the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mininet.cli import CLI


class CompletingCLI(CLI):
    """CLI that completes nodes, links, files and the words of its verbs."""

    @classmethod
    def initReadline(cls) -> None:
        """Prepare history, and complete whole words such as s1-eth1."""
        super().initReadline()
        try:
            import readline
        except ImportError:
            return
        readline.set_completer_delims(" \t\n")

    def completenames(self, text: str, *_ignored: Any) -> list[str]:
        """Complete the first word: verbs and nodes."""
        return [*super().completenames(text), *self._nodes(text)]

    def completedefault(self, text: str, *_ignored: Any) -> list[str]:
        """Complete other words: nodes."""
        return self._nodes(text)

    def complete_time(self, text: str, line: str, begin: int, end: int) -> list[str]:
        """Complete the command that is measured."""
        return self._complete_rest(text, line, begin, end)

    complete_noecho = complete_time

    def complete_break(self, text: str, *_ignored: Any) -> list[str]:
        """Complete nodes, links and 'clear'."""
        return [*self._nodes(text), *self._interfaces(text), *_words(text, "clear")]

    def complete_links(self, text: str, *_ignored: Any) -> list[str]:
        """Complete links."""
        return self._interfaces(text)

    def complete_capture(self, text: str, line: str, begin: int, _end: int) -> list[str]:
        """Complete links, 'stop' and files."""
        before = line[:begin].split()
        if len(before) == 1:
            return [*self._interfaces(text), *_words(text, "stop")]
        return self._interfaces(text) if before[1] == "stop" else _files(text)

    def complete_link(self, text: str, line: str, begin: int, _end: int) -> list[str]:
        """Complete two nodes, then 'up' and 'down'."""
        return self._nodes(text) if len(line[:begin].split()) < 3 else _words(text, "up", "down")

    def complete_switch(self, text: str, line: str, begin: int, _end: int) -> list[str]:
        """Complete a switch, then 'start' and 'stop'."""
        if len(line[:begin].split()) > 1:
            return _words(text, "start", "stop")
        return [switch.name for switch in self.mn.switches if switch.name.startswith(text)]

    def complete_source(self, text: str, *_ignored: Any) -> list[str]:
        """Complete files."""
        return _files(text)

    def _complete_rest(self, text: str, line: str, begin: int, end: int) -> list[str]:
        """Complete what follows the first word, as a line of its own."""
        start = line.index(line.split()[1]) if len(line[:begin].split()) > 1 else begin
        rest = line[start:]
        if start == begin:
            return self.completenames(text)
        complete = getattr(self, f"complete_{rest.split()[0]}", self.completedefault)
        return list(complete(text, rest, begin - start, end - start))

    def _nodes(self, text: str) -> list[str]:
        return [name for name in self.mn if name.startswith(text)]

    def _interfaces(self, text: str) -> list[str]:
        names = [intf.name for link in self.mn.links for intf in (link.intf1, link.intf2)]
        return [name for name in names if name.startswith(text)]


def _words(text: str, *words: str) -> list[str]:
    return [word for word in words if word.startswith(text)]


def _files(text: str) -> list[str]:
    directory, slash, begin = text.rpartition("/")
    try:
        found = sorted(path for path in Path(directory + slash).iterdir() if path.name.startswith(begin))
    except OSError:
        return []
    return [f"{directory}{slash}{path.name}{'/' if path.is_dir() else ''}" for path in found]
