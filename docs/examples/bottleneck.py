"""How much of a UDP flow gets through a bottleneck, at three rates."""

from mininet.topo import Topo

from mininet_kronos import KronosNet


class Bottleneck(Topo):
    def build(self):
        left, right = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(left, right, bw=50, delay="5ms", max_queue_size=100)
        self.addLink(self.addHost("h1"), left, bw=1000, delay="1ms")
        self.addLink(self.addHost("h2"), right, bw=1000, delay="1ms")


net = KronosNet(topo=Bottleneck(), seed=1)
net.start()
h1, h2 = net.get("h1", "h2")
h1.cmd("ping -c 1", h2.IP())  # addresses and flows
for rate in 40, 50, 60:
    server = h2.popen("iperf -s -u")
    report = h1.cmd(f"iperf -c {h2.IP()} -u -b {rate}M -l 1000 -t 2 -f m")
    print(f"{rate} Mbit/s:", report.strip().splitlines()[-1])
    server.kill()
net.stop()
