#!/usr/bin/env python3
r"""One switch in the middle: parallel UDP flows, and what the hosts' CPU speed does to them.

    h1   h3   h5          h1 sends to h2, h3 to h4, ...
      \  |  /
        s1
      /  |  \
    h2   h4   h6          (k=6)

For example:

    sudo .venv/bin/python topologies/star.py --k 8 --rate 50 --speeds 0.5 1 2
    sudo .venv/bin/kronos mn --custom topologies/star.py --topo star,k=8
"""

from __future__ import annotations

import argparse

from mininet.topo import Topo


class Star(Topo):
    """k hosts around one switch."""

    def build(self, k: int = 8, bw: float = 1000, delay: str = "1ms", cpu_speed: float | None = None) -> None:
        """k: hosts; bw: Mbit/s; delay: one way; cpu_speed: of the hosts (None: the default)."""
        switch = self.addSwitch("s1")
        speed = {} if cpu_speed is None else {"cpu_speed": cpu_speed}
        for i in range(1, k + 1):
            self.addLink(self.addHost(f"h{i}", **speed), switch, bw=bw, delay=delay)


topos = {"star": Star}


def main() -> None:
    """Run the flows once for each speed; print the slowest and the fastest."""
    from mininet_kronos import KronosNet
    from mininet_kronos.workload import udp_flows

    parser = argparse.ArgumentParser(description="Parallel UDP flows through one switch, in virtual time.")
    parser.add_argument("--k", type=int, default=8, help="hosts, two for each flow")
    parser.add_argument("--bw", type=float, default=1000, help="Mbit/s of each link")
    parser.add_argument("--delay", default="1ms", help="one way, of each link")
    parser.add_argument("--rate", type=float, default=50, help="Mbit/s of each flow")
    parser.add_argument("--time", type=float, default=1, help="virtual seconds")
    parser.add_argument("--speeds", type=float, nargs="+", default=[1.0], help="relative CPU speeds")
    args = parser.parse_args()

    print("speed  flows  slowest Mbit/s  fastest Mbit/s")
    for speed in args.speeds:
        net = KronosNet(topo=Star(k=args.k, bw=args.bw, delay=args.delay, cpu_speed=speed))
        net.start()
        try:
            flows = udp_flows(zip(net.hosts[0::2], net.hosts[1::2]), args.rate, args.time)
        finally:
            net.stop()
        rates = [flow.mbps for flow in flows]
        print(f"{speed:5g}  {len(rates):5}  {min(rates):14.3f}  {max(rates):14.3f}")


if __name__ == "__main__":
    main()
