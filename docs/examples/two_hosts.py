from mininet.topo import Topo

from mininet_kronos import KronosNet


class TwoHosts(Topo):
    def build(self):
        switch = self.addSwitch("s1")
        for name in "h1", "h2":
            self.addLink(self.addHost(name), switch, bw=100, delay="10ms")


net = KronosNet(topo=TwoHosts())  # Ryu with a learning switch is the default controller
net.start()  # real time until everything is connected; then frozen
h1, h2 = net.get("h1", "h2")
print(h1.cmd("ping -c 5", h2.IP()))  # 40 ms, whatever else the machine does
h1.cmd("sleep 60")  # no time at all
net.run("10s")  # ten seconds for those who run in the background
print("virtual time:", net.now / 1e9, "s")
net.stop()
