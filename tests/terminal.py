"""A program on a pseudo-terminal."""

import errno
import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time

import pytest


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, command):
        self.master, slave = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=self._take,
        )
        os.close(slave)

    @staticmethod
    def _take():
        """Control the terminal, from which Ctrl-C comes, even where the tests themselves ignore it."""
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def expect(self, text, limit=60):
        """Read until a text comes; return what came before it."""
        deadline = time.monotonic() + limit
        while text not in self.text:
            if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
                pytest.fail(f"no {text!r} in {self.text!r}")
            try:
                data = os.read(self.master, 4096)
            except OSError as problem:
                assert problem.errno == errno.EIO
                data = b""
            if not data:
                pytest.fail(f"the program has ended; no {text!r} in {self.text!r}")
            self.text += data.decode(errors="replace")
        before, self.text = self.text.split(text, 1)
        return before

    def sees(self, text, limit):
        """Say whether a text comes within so many seconds; it stays to be expected."""
        deadline = time.monotonic() + limit
        while text not in self.text:
            if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
                return False
            self.text += os.read(self.master, 4096).decode(errors="replace")
        return True

    def type(self, text):
        os.write(self.master, text.encode())

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)
