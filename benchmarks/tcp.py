"""TCP over one virtual link: goodput after slow start, in virtual time, against what the model allows.

Every cell several times, on this machine as it is and with a busy loop on every CPU. losses.py is for links
that lose frames.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from typing import Any

from mininet.topo import Topo

from mininet_kronos import KronosNet
from mininet_kronos.demo import busy_loops

RATES = (10, 50, 100)  # Mbit/s
DELAYS = (1, 10, 50)  # ms
PAYLOAD = 1448 / 1514  # of a frame


class Direct(Topo):
    """h1 -- h2."""

    def build(self, **link: Any) -> None:
        """Connect them."""
        self.addLink(self.addHost("h1"), self.addHost("h2"), **link)


def measure(
    options: str, link: dict[str, Any], live: bool = False, **params: Any
) -> tuple[float, float, float]:
    """Run iperf3; return Mbit/s, and the virtual and real seconds that it took.

    live: in real time; params: of the network
    """
    net = KronosNet(topo=Direct(**link), controller=None, autoStaticArp=True, **params)
    net.start()
    try:
        if live:
            net.experiment.thaw()
        h1, h2 = net["h1"], net["h2"]
        server = h2.popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
        h1.cmd("sleep 0.1")
        virtual, real = net.now, net.experiment.real_time
        report = json.loads(h1.cmd(f"iperf3 -J -c {h2.IP()} {options}"))
        if "error" in report:
            raise RuntimeError(f"iperf3: {report['error']}")
        passed = (net.now - virtual) / 1e9, (net.experiment.real_time - real) / 1e9
        server.wait()
        return report["end"]["sum_received"]["bits_per_second"] / 1e6, *passed
    finally:
        net.stop()


def table(title: str, count: int) -> None:
    """Print the least goodput of each cell, in % of what the model allows."""
    print(f"\n{title}: least of {count} runs, % of bw * {PAYLOAD:.4f} (virtual s / real s)")
    print(f"{'':12}" + "".join(f"{delay:>8} ms delay" for delay in DELAYS))
    for bw in RATES:
        cells = []
        for delay in DELAYS:
            runs = [measure("-O 10 -t 20", {"bw": bw, "delay": f"{delay}ms"}) for _ in range(count)]
            pace = statistics.mean(virtual / real for _, virtual, real in runs)
            cells.append(f"{min(run[0] for run in runs) / (bw * PAYLOAD) * 100:8.1f} ({pace:4.1f})")
        print(f"{bw:4} Mbit/s " + " ".join(cells), flush=True)


def main() -> None:
    """Print the tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    table("machine as it is", count)
    with busy_loops(os.cpu_count() or 1):
        table("busy loops on every CPU", count)


if __name__ == "__main__":
    main()
