#!/usr/bin/env python3
"""Switches in a ring: disjoint UDP flows, which do not slow each other down however many there are.

    h1      h2      h3
    |       |       |
    s1 ---- s2 ---- s3 ----.
    |                      |      (n=3: 2n switches; h1 sends to h2, h3 to h4, h5 to h6)
    s6 ---- s5 ---- s4 ----'
    |       |       |
    h6      h5      h4

The link between s6 and s1 closes the ring; it was added last, and no flow needs it.

    sudo .venv/bin/python topologies/ring.py --n 5 --rate 20
    sudo .venv/bin/kronos mn --custom topologies/ring.py --topo ring,n=3 --test pingall
"""

from __future__ import annotations

import argparse

from mininet.topo import Topo


class Ring(Topo):
    """2n switches in a ring with a host each."""

    def build(self, n: int = 5, bw: float = 1000, delay: str = "1ms") -> None:
        """n: half the number of switches; bw: Mbit/s; delay: one way."""
        switches = [self.addSwitch(f"s{i}") for i in range(1, 2 * n + 1)]
        for i, switch in enumerate(switches, 1):
            self.addLink(self.addHost(f"h{i}"), switch, bw=bw, delay=delay)
        around = [*zip(switches, switches[1:])] + ([(switches[-1], switches[0])] if n > 1 else [])
        for one, other in around:
            self.addLink(one, other, bw=bw, delay=delay)


topos = {"ring": Ring}


def main() -> None:
    """Send from every odd host to its clockwise neighbour; print each flow."""
    from mininet_kronos import KronosNet
    from mininet_kronos.workload import udp_flows

    parser = argparse.ArgumentParser(description="Disjoint UDP flows in a ring of switches, in virtual time.")
    parser.add_argument("--n", type=int, default=5, help="flows; there are 2n switches and hosts")
    parser.add_argument("--bw", type=float, default=1000, help="Mbit/s of each link")
    parser.add_argument("--delay", default="1ms", help="one way, of each link")
    parser.add_argument("--rate", type=float, default=20, help="Mbit/s of each flow")
    parser.add_argument("--time", type=float, default=2, help="virtual seconds")
    parser.add_argument("--timestep", default="100us")
    args = parser.parse_args()

    net = KronosNet(topo=Ring(n=args.n, bw=args.bw, delay=args.delay), timestep=args.timestep)
    net.start()
    try:
        flows = udp_flows(zip(net.hosts[0::2], net.hosts[1::2]), args.rate, args.time)
    finally:
        net.stop()
    print("flow          Mbit/s     lost")
    for flow in flows:
        name = f"{flow.source} to {flow.target}"
        print(f"{name:12}  {flow.mbps:6.3f}  {flow.lost}/{flow.sent}")


if __name__ == "__main__":
    main()
