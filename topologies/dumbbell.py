#!/usr/bin/env python3
"""Senders and receivers on either side of a bottleneck: what its queue does to round trips (bufferbloat).

    h1 ---.            .--- r1
          s1 -------- s2            (n=2; s1-s2 is the bottleneck)
    h2 ---'            '--- r2

h1 sends to r1 by TCP as fast as it can, while h2 pings r2. A full queue adds queue * frame / bw. With --ecn
the bottleneck marks frames, as TCLink's enable_ecn does, before its queue is full:

    sudo .venv/bin/python topologies/dumbbell.py --queues 20 100 400 --ecn
    sudo .venv/bin/kronos mn --custom topologies/dumbbell.py --topo dumbbell,n=2
"""

from __future__ import annotations

import argparse
import json
import subprocess

from mininet.topo import Topo

FRAME = 8 * 1514  # bits of a full one
WARM_UP = 3  # s, for slow start


class Dumbbell(Topo):
    """n senders at one switch, n receivers at another, and a slow link between the two."""

    def build(
        self,
        n: int = 2,
        bw: float = 10,
        delay: str = "5ms",
        max_queue_size: int = 100,
        enable_ecn: bool = False,
    ) -> None:
        """bw: Mbit/s; delay: one way; max_queue_size: frames; enable_ecn: mark frames. All: of s1-s2."""
        for number, end in (1, "h"), (2, "r"):
            switch = self.addSwitch(f"s{number}")
            for i in range(1, n + 1):
                self.addLink(self.addHost(f"{end}{i}"), switch, bw=10 * bw, delay="1ms")
        self.addLink("s1", "s2", bw=bw, delay=delay, max_queue_size=max_queue_size, enable_ecn=enable_ecn)


topos = {"dumbbell": Dumbbell}


def measure(args: argparse.Namespace, queue: int, ecn: bool) -> str:
    """Run one network; return its row of the table."""
    from mininet_kronos import KronosNet, KronosOVSBridge
    from mininet_kronos.workload import ping

    topo = Dumbbell(bw=args.bw, delay=args.delay, max_queue_size=queue, enable_ecn=ecn)
    net = KronosNet(topo=topo, switch=KronosOVSBridge, controller=None, autoStaticArp=True)
    net.start()
    try:
        source, sink = net["h1"], net["r1"]
        for host in source, sink:
            host.cmd(f"echo {int(ecn)} >/proc/sys/net/ipv4/tcp_ecn")
            if args.congestion:
                host.cmd(f"echo {args.congestion} >/proc/sys/net/ipv4/tcp_congestion_control")
        idle = ping(net["h2"], net["r2"], 10)
        server = sink.popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
        net.run("100ms")
        client = source.popen(["iperf3", "-J", "-c", sink.IP(), "-t", str(WARM_UP + args.time)])
        net.run(WARM_UP)
        loaded = ping(net["h2"], net["r2"], 20 * args.time, interval=0.05)
        report = json.loads(client.communicate()[0])["end"]
        server.wait()
    finally:
        net.stop()
    full = queue * FRAME / args.bw / 1e3
    goodput = report["sum_received"]["bits_per_second"] / 1e6
    return (
        f"{queue:6} {'yes' if ecn else 'no':>4} {full:8.3f} {idle.mean:8.3f} {loaded.mean:8.3f} "
        f"{loaded.most:8.3f} {goodput:8.3f} {report['sum_sent']['retransmits']:9}"
    )


def main() -> None:
    """Run a network for each queue, and one with ECN; print round trips in ms and goodput in Mbit/s."""
    parser = argparse.ArgumentParser(description="Round trips over a bottleneck that TCP fills.")
    parser.add_argument("--bw", type=float, default=10, help="of the bottleneck, Mbit/s")
    parser.add_argument("--delay", default="5ms", help="of the bottleneck, one way")
    parser.add_argument("--queues", type=int, nargs="+", default=[20, 100], help="frames, a network for each")
    parser.add_argument("--ecn", action="store_true", help="the last queue again, with marks")
    parser.add_argument("--congestion", help="such as dctcp, where the kernel has it (None: reno)")
    parser.add_argument("--time", type=int, default=5, help="virtual seconds of pings")
    args = parser.parse_args()

    print(" queue  ECN  full ms  idle ms  mean ms  most ms   Mbit/s  repeated")
    for queue in args.queues:
        print(measure(args, queue, False), flush=True)
    if args.ecn:
        print(measure(args, args.queues[-1], True), flush=True)


if __name__ == "__main__":
    main()
