"""Mininet's methods of a net that wait for nodes: here virtual time passes meanwhile."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Iterator
from typing import Any

from mininet.log import info, output
from mininet.net import Mininet

from mininet_kronos.errors import ControllerError
from mininet_kronos.pump import Poller, Pump
from mininet_kronos.units import parse_duration

CONNECT_TIMEOUT = 60  # s of real time
SETTLE_TIME = 0.2  # s of real time, for the controller's first flows
UNLIMITED = 0.5  # virtual s of iperf over links without a bw: some 10 Gbit/s
MESSAGES = 8  # that a switch and its controller exchange meanwhile, one after the other


class WaitingNet(Mininet):
    """A Mininet that waits through its pump."""

    pump: Pump

    def waitConnected(self, timeout: float | None = None, delay: float = 0.5) -> bool:
        """Wait until all switches are connected, as in Mininet; in virtual time once frozen."""
        if not self.pump.frozen:
            return bool(super().waitConnected(timeout, delay))
        deadline = math.inf if timeout is None else self.pump.now + parse_duration(timeout)
        while not all(switch.connected() for switch in self.switches):
            if self.pump.now >= deadline:
                return False
            self.pump.run(parse_duration(delay))
        return True

    def _require_connections(self) -> None:
        """Wait, in real time, until every switch has its controllers."""
        if self.waitConn or not self.switches or not self.controllers:
            return
        if not self.waitConnected(timeout=CONNECT_TIMEOUT, delay=0.05):
            said = [controller.lastWords() for controller in self.controllers]
            raise ControllerError(
                f"switches are not connected after {CONNECT_TIMEOUT} s; "
                f"the controller's last words: {' '.join(said)}"
            )
        slowest = max((getattr(controller, "control_delay", 0) for controller in self.controllers), default=0)
        time.sleep(SETTLE_TIME + MESSAGES * slowest / 1e9)

    def monitor(self, hosts: Any = None, timeoutms: float = -1) -> Iterator[tuple[Any, str | None]]:
        """Yield (host, line) as hosts write lines, as in Mininet; the timeout is virtual."""
        byDescriptor = {host.stdout.fileno(): host for host in hosts or self.hosts}
        poller = Poller()
        for fd in byDescriptor:
            poller.register(fd, select.POLLIN)
        while True:
            ready = poller.poll(timeoutms)
            for fd, _events in ready:
                line = byDescriptor[fd].readline()
                if line is not None:
                    yield byDescriptor[fd], line
            if not ready and timeoutms >= 0:
                yield None, None

    def iperf(
        self,
        hosts: Any = None,
        l4Type: str = "TCP",
        udpBw: str = "10M",
        fmt: str | None = None,
        seconds: float | None = None,
        port: int = 5001,
    ) -> list[str]:
        """Run iperf between two hosts and return [server's rate, client's rate], as in Mininet.

        seconds: virtual ones (None: 5; with TCP over links without a bw 0.5, each of which is much work)

        Mininet's own waits for a second report of the server's, which iperf 2.1 does not write.
        """
        client, server = hosts or (self.hosts[0], self.hosts[-1])
        output("*** Iperf: testing", l4Type, "bandwidth between", client, "and", server, "\n")
        udp = l4Type == "UDP"
        if seconds is None:
            seconds = 5 if udp or _has_rate(client, server) else UNLIMITED
        command = f"iperf -p {port} {'-u ' if udp else ''}{f'-f {fmt} ' if fmt else ''}"
        rate = f" -b {udpBw}" if udp else ""
        listener = server.popen(f"{command}-s", text=True)
        try:
            listener.stdout.readline()  # it listens
            sent = client.cmd(f"{command}-t {seconds} -c {server.IP()}{rate}")
            received = ""
            while "/sec" in sent and "/sec" not in received:
                received = listener.stdout.readline() or "/sec"
        finally:
            listener.kill()
        listener.wait()
        result = [self._parseIperf(received), self._parseIperf(sent)]
        result = [udpBw, *result] if udp else result
        output(f"*** Results: {result}\n")
        return result


def _has_rate(*nodes: Any) -> bool:
    """Tell whether a link limits TCP; say so if none does."""
    ends = [node.defaultIntf() for node in nodes]
    if not all(hasattr(end, "model") and end.model.get("bw") is None for end in ends):
        return True
    info(
        f"*** {ends[0]} has no bw: TCP sends as much as its windows let it, for {UNLIMITED} s; "
        "give links one, such as --link kronos,bw=100\n"
    )
    return False
