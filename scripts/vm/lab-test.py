#!/usr/bin/env python3
"""Check the lab as its user meets it: wait for the shell on the serial console, type commands, and leave.

usage: scripts/vm/lab-test.py

Each answer must come within a time that is ample without hardware virtualization.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

BOOT = 1800  # seconds: the file system may have to be made first
ANSWER = 600
PROMPT = r"# $"
CONTROL = r"\r|\x1b\[[?0-9;]*[a-zA-Z]"  # a terminal's, which are not looked at
NETWORK = (
    "kronos mn --topo single,2 --link kronos,delay=5ms,bw=10 --switch ovsbr --controller none --test pingall"
)
# What is typed, and what must be in the answer.
DIALOGUE = (
    ("grep -o ^kronos /proc/modules", r"^kronos\b"),
    ("cat /sys/devices/system/clocksource/clocksource0/current_clocksource", r"^kronos\b"),
    ("kronos doctor --engine kernel | tail -n 3", ""),
    (NETWORK, r"0% dropped \(2/2 received\)"),
    ("dmesg --level=warn,err,crit,alert,emerg | tail -n 20", ""),
)


class Console:
    """The lab's serial console."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [Path(__file__).with_name("lab.sh")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.text = ""

    def await_text(self, pattern: str, seconds: float) -> str:
        """Return what has been written up to the pattern; raise TimeoutError or EOFError without it."""
        assert self.process.stdout
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text, re.MULTILINE)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError(
                    f"no {pattern!r} within {seconds} s; the console's end:\n{self.text[-2000:]}"
                )
            data = self.process.stdout.read1()  # type: ignore[attr-defined]
            if not data:
                raise EOFError(f"the lab has ended; the console's end:\n{self.text[-2000:]}")
            self.text = re.sub(CONTROL, "", self.text + data.decode(errors="replace"))
        text, self.text = self.text[: found.end()], self.text[found.end() :]
        return text

    def type(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()


def talk(console: Console) -> None:
    """Wait for the shell, ask, and power off."""
    started = time.monotonic()
    console.await_text(r"The kernel module is loaded", BOOT)
    console.await_text(PROMPT, ANSWER)
    print(f"lab: a shell after {time.monotonic() - started:.0f} s", flush=True)
    for line, answer in DIALOGUE:
        console.type(f"{line}; echo ended with $?")
        said = console.await_text(r"^ended with \d+$", ANSWER)
        if not re.search(answer, said, re.MULTILINE) or not said.endswith(" 0"):
            raise ValueError(f"{line!r} is answered by {said!r}")
        print(f"lab: {line.split(';')[0]}: ok", flush=True)
    console.type("exit")
    status = console.process.wait(ANSWER)
    if status:
        raise ValueError(f"QEMU has ended with status {status}")


def main() -> int:
    """Return 0 if the lab does what it should."""
    console = Console()
    try:
        talk(console)
    except (TimeoutError, EOFError, ValueError, subprocess.TimeoutExpired) as error:
        print(f"lab: failed: {error}", file=sys.stderr)
        return 1
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(console.process.pid, signal.SIGKILL)
        console.process.wait()
    print("lab: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
