#!/usr/bin/env python3
r"""A tree of switches with two hosts on each leaf: UDP round trips through five switches.

                 s1
         .-------+-------.
         s2      s3     ...        fanout switches
      .--+--.
      s7   s8   ...                fanout * fanout leaves
     /  \
    h1  h2                         two hosts each

With fanout 5: 31 switches and 50 hosts; h1 asks h26, h2 asks h27, and so on.

    sudo .venv/bin/python topologies/fat_tree.py --fanout 3
    sudo .venv/bin/kronos mn --custom topologies/fat_tree.py --topo fat_tree,fanout=3
"""

from __future__ import annotations

import argparse

from mininet.topo import Topo

HOSTS_PER_LEAF = 2


class FatTree(Topo):
    """A root, `fanout` switches below it, and as many leaves below each of those."""

    def build(self, fanout: int = 5, bw: float = 1000, delay: str = "1ms", counter: str = "auto") -> None:
        """fanout: of the root and of the switches below it; bw: Mbit/s; delay: one way; counter: hosts'."""
        above = [self.addSwitch("s1")]
        for _level in "middle", "leaves":
            below = []
            for parent in above:
                for _ in range(fanout):
                    below.append(self.addSwitch(f"s{len(self.switches()) + 1}"))
                    self.addLink(parent, below[-1], bw=bw, delay=delay)
            above = below
        for leaf in above:
            for _ in range(HOSTS_PER_LEAF):
                host = self.addHost(f"h{len(self.hosts()) + 1}", counter=counter)
                self.addLink(host, leaf, bw=bw, delay=delay)


topos = {"fat_tree": FatTree}


def main() -> None:
    """Let each host of the first half ask one of the second half; print the distribution."""
    from mininet_kronos import KronosNet
    from mininet_kronos.workload import udp_round_trips

    parser = argparse.ArgumentParser(
        description="UDP round trips across a tree of switches, in virtual time."
    )
    parser.add_argument("--fanout", type=int, default=5, help="of the root and of each switch below it")
    parser.add_argument("--bw", type=float, default=1000, help="Mbit/s of each link")
    parser.add_argument("--delay", default="1ms", help="one way, of each link")
    parser.add_argument("--count", type=int, default=20, help="requests of each client")
    parser.add_argument("--interval", type=float, default=0.05, help="virtual seconds between requests")
    parser.add_argument("--timestep", default="100us")
    parser.add_argument("--counter", default="auto", help="free: what hosts compute takes no time")
    args = parser.parse_args()

    topo = FatTree(fanout=args.fanout, bw=args.bw, delay=args.delay, counter=args.counter)
    net = KronosNet(topo=topo, timestep=args.timestep)
    net.start()
    try:
        half = len(net.hosts) // 2
        pairs = [*zip(net.hosts[:half], net.hosts[half : 2 * half])]
        trips = udp_round_trips(pairs, args.count, args.interval)
    finally:
        net.stop()
    times = sorted(time for client in trips for time in client[1:])  # the first finds addresses and flows
    print(f"{len(times)} round trips of {half} clients, in ms")
    for percent in 0, 25, 50, 75, 95, 100:
        print(f"{percent:3} %  {times[round((len(times) - 1) * percent / 100)]:8.3f}")


if __name__ == "__main__":
    main()
