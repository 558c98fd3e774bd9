"""A host's process as the orchestrator's script sees it: subprocess.Popen in virtual time."""

from __future__ import annotations

import io
import os
import select
import subprocess
import time
from functools import partial
from typing import IO, Any, Callable

from mininet_kronos import pump as pumps
from mininet_kronos.errors import EngineError
from mininet_kronos.experiment import Experiment
from mininet_kronos.pump import Pump
from mininet_kronos.units import parse_duration

CHUNK = 1 << 16
JOIN_LIMIT = 60  # s of real time


class _PumpedPipe(io.FileIO):
    """One end of a pipe to a process in virtual time; waiting for it runs rounds.

    A descriptor that was set non-blocking, as pmonitor() does, never waits.
    """

    def __init__(self, pump: Pump, fd: int, mode: str, heard: Callable[[bytes], None]) -> None:
        super().__init__(fd, mode)
        self._pump = pump
        self._heard = heard
        pumps.own(fd, pump)

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there, or wait for it."""
        if os.get_blocking(self.fileno()):
            self._pump.wait(self.fileno())
        size = super().readinto(buffer)
        if size:
            self._heard(bytes(buffer[:size]))
        return size

    read = io.RawIOBase.read  # type: ignore[assignment]
    readall = io.RawIOBase.readall

    def write(self, data: Any) -> int:
        """Write some of the data; the caller comes again with the rest."""
        return pumps.write_all(self.fileno(), bytes(data), self._pump)

    def close(self) -> None:
        """Close the descriptor."""
        if not self.closed:
            pumps.disown(self.fileno())
        super().close()


def await_tracer(process: subprocess.Popen[Any], pump: Pump | Experiment) -> None:
    """Wait, in real time, until a new process stands still under the engine, or has ended.

    Before that the engine knows of no work, and would pass over any amount of virtual time as idle.
    """
    experiment = pump if isinstance(pump, Experiment) else pump.experiment
    deadline = experiment.real_time + JOIN_LIMIT * 1_000_000_000
    while pump.frozen and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if experiment.has_joined(process.pid):
            return
        if experiment.real_time > deadline:
            raise EngineError(f"process {process.pid}: its tracer has not joined after {JOIN_LIMIT} s")
        if experiment.engine == "kernel":
            os.sched_yield()  # a sleep would never end
        else:
            time.sleep(0.0001)


class KronosPopen(subprocess.Popen[Any]):
    """subprocess.Popen whose waits let virtual time pass, and whose timeouts are virtual."""

    def __init__(self, pump: Pump, args: Any, bufsize: int = -1, *, node: str, **params: Any) -> None:
        """node: the name of the node that it runs on; the rest is as for Popen."""
        self._pump = pump
        self._node = node
        self._output: dict[IO[Any], list[bytes]] = {}
        self._unsent = b""
        super().__init__(args, bufsize=bufsize, **params)
        await_tracer(self, pump)
        self.stdin = self._pumped(self.stdin, "stdin", bufsize)
        self.stdout = self._pumped(self.stdout, "stdout", bufsize)
        self.stderr = self._pumped(self.stderr, "stderr", bufsize)

    def poll(self) -> int | None:
        """Return the exit status, or None; one round passes if it has not ended, so that loops on it end."""
        if self._internal_poll() is None and self._pump.frozen:  # type: ignore[attr-defined]
            self._pump.progress(1)
        return self._internal_poll()  # type: ignore[attr-defined, no-any-return]

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process ends and return its exit status; the timeout is in virtual seconds."""
        if self.returncode is None and self._pump.frozen:
            process = os.pidfd_open(self.pid)
            try:
                if not self._pump.wait(process, _nanoseconds(timeout)):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
            finally:
                os.close(process)
            timeout = None
        return super().wait(timeout)

    def send_signal(self, sig: int) -> None:
        """Send a signal; no time passes. A frozen process acts on it in the rounds that follow."""
        if self._internal_poll() is None:  # type: ignore[attr-defined]
            os.kill(self.pid, sig)

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:
        """Send the input, collect all output and wait for the end; the timeout is in virtual seconds."""
        if not self._pump.frozen:
            return super().communicate(input, timeout)
        deadline = None if timeout is None else self._pump.now + parse_duration(timeout)
        if input is not None:
            self._unsent = input.encode(*_coding(self.stdin)) if isinstance(input, str) else bytes(input)
        if self.stdin and not self._unsent:
            self.stdin.close()
        self._exchange(deadline, timeout)
        self.wait(None if deadline is None else max(0, deadline - self._pump.now) / 1e9)
        return self._collected(self.stdout), self._collected(self.stderr)

    def _exchange(self, deadline: int | None, timeout: float | None) -> None:
        """Feed and drain the pipes until the process has closed its ends."""
        streams = {s.fileno(): s for s in (self.stdin, self.stdout, self.stderr) if s and not s.closed}
        with select.epoll() as ready:
            for fd, stream in streams.items():
                ready.register(fd, select.EPOLLOUT if stream is self.stdin else select.EPOLLIN)
            while streams:
                left = None if deadline is None else deadline - self._pump.now
                if not self._pump.wait(ready.fileno(), left):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                for fd, _events in ready.poll(0):
                    stream = streams[fd]
                    move = self._feed if stream is self.stdin else self._drain
                    if not move(fd, stream):
                        ready.unregister(fd)
                        del streams[fd]
                        stream.close()

    def _feed(self, fd: int, _stream: IO[Any]) -> bool:
        try:
            sent = os.write(fd, self._unsent[: select.PIPE_BUF])
        except BrokenPipeError:
            return False
        self._unsent = self._unsent[sent:]
        return bool(self._unsent)

    def _drain(self, fd: int, stream: IO[Any]) -> bool:
        data = os.read(fd, CHUNK)
        if data:
            self._heard("stderr" if stream is self.stderr else "stdout", data)
        self._output.setdefault(stream, []).append(data)
        return bool(data)

    def _collected(self, stream: IO[Any] | None) -> Any:
        if stream is None:
            return None
        data = b"".join(self._output.pop(stream, []))
        if isinstance(stream, io.TextIOWrapper):
            return data.decode(*_coding(stream)).replace("\r\n", "\n").replace("\r", "\n")
        return data

    def _heard(self, stream: str, data: bytes) -> None:
        self._pump.overheard(self._node, f"{self.pid} {stream}", data)

    def _pumped(self, stream: IO[Any] | None, name: str, bufsize: int) -> IO[Any] | None:
        """Return the same pipe, wrapped the same way, with waits that run rounds."""
        if stream is None:
            return None
        mode = "w" if name == "stdin" else "r"
        raw = _PumpedPipe(self._pump, os.dup(stream.fileno()), mode, partial(self._heard, name))
        text = isinstance(stream, io.TextIOWrapper)
        binary: Any = raw
        if bufsize != 0 or text:
            size = bufsize if bufsize > 1 else io.DEFAULT_BUFFER_SIZE
            binary = io.BufferedReader(raw, size) if mode == "r" else io.BufferedWriter(raw, size)
        if text:
            encoding, errors = _coding(stream)
            eager = mode == "w" and bufsize == 1
            binary = io.TextIOWrapper(
                binary, encoding, errors, line_buffering=eager, write_through=mode == "w" and not eager
            )
        stream.close()
        return binary  # type: ignore[no-any-return]


def _coding(stream: IO[Any] | None) -> tuple[str, str]:
    if isinstance(stream, io.TextIOWrapper):
        return stream.encoding, stream.errors or "strict"
    return "utf-8", "strict"


def _nanoseconds(timeout: float | None) -> int | None:
    return None if timeout is None else parse_duration(timeout, "timeout")
