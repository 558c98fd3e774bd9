#!/usr/bin/env python3
"""A chain of switches, each with hosts: how round trips grow with distance.

    h1      h2      h3
    |       |       |
    s1 ---- s2 ---- s3        (k=3, n=1)

For example:

    sudo .venv/bin/python topologies/linear.py --k 3
    sudo .venv/bin/kronos mn --custom topologies/linear.py --topo linear,k=3
"""

from __future__ import annotations

import argparse

from mininet.topo import Topo


class Linear(Topo):
    """k switches in a row with n hosts each; all links are alike."""

    def build(
        self, k: int = 3, n: int = 1, bw: float = 100, delay: str = "1ms", counter: str = "auto"
    ) -> None:
        """k: switches; n: hosts of each; bw: Mbit/s; delay: one way; counter: of the hosts."""
        before = None
        for i in range(1, k + 1):
            switch = self.addSwitch(f"s{i}")
            for j in range(1, n + 1):
                host = self.addHost(f"h{i}" if n == 1 else f"h{j}s{i}", counter=counter)
                self.addLink(host, switch, bw=bw, delay=delay)
            if before:
                self.addLink(before, switch, bw=bw, delay=delay)
            before = switch


topos = {"linear": Linear}


def main() -> None:
    """Ping along the chain and compare with the model."""
    from mininet_kronos import KronosNet, parse_duration
    from mininet_kronos.workload import ping

    parser = argparse.ArgumentParser(description="Round trips along a chain of switches, in virtual time.")
    parser.add_argument("--k", type=int, default=3, help="switches")
    parser.add_argument("--bw", type=float, default=100, help="Mbit/s")
    parser.add_argument("--delay", default="1ms", help="one way, of each link")
    parser.add_argument("--count", type=int, default=10, help="pings from the first host to each other")
    parser.add_argument("--counter", default="auto", help="free: what hosts compute takes no time")
    args = parser.parse_args()

    net = KronosNet(topo=Linear(k=args.k, bw=args.bw, delay=args.delay, counter=args.counter))
    net.start()
    try:
        bits = 8 * (64 + 20 + 14)  # a ping's frame
        print("links  model ms  mean ms  mdev ms")
        for target in net.hosts[1:]:
            ping(net.hosts[0], target, count=1)  # addresses and flows
            result = ping(net.hosts[0], target, args.count)
            links = int(target.name[1:]) + 1
            model = 2 * links * (parse_duration(args.delay) / 1e6 + bits / args.bw / 1e3)
            print(f"{links:5}  {model:8.3f}  {result.mean:7.3f}  {result.mdev:7.3f}")
    finally:
        net.stop()


if __name__ == "__main__":
    main()
