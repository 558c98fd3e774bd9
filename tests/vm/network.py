"""Mininet networks with the kernel engine: what is measured is what the links' parameters say.

Computation is free, so that it does not matter how fast the machine is.
"""

import re
import subprocess

from mininet.topo import Topo

from mininet_kronos import KronosNet, KronosRyu
from mininet_kronos.errors import ParameterError


class Pair(Topo):
    """h1 -- s1 -- h2."""

    def build(self):
        switch = self.addSwitch("s1")
        for name in "h1", "h2":
            self.addLink(self.addHost(name, counter="free"), switch, bw=10, delay="50ms")


def say(*words):
    """Report at once: a test that is silent for long is given up."""
    print(*words, flush=True)


def check_sleep(net, host):
    """Idle time is passed over; the command's end is noticed in its round, but for disks."""
    before = net.now
    host.cmd("sleep 60")
    slept = (net.now - before) / 1e9
    say(f"figure sleep 60: {slept} s")
    assert 60 <= slept < 60.5, slept


def check_ping(client, server):
    """A round trip is four delays."""
    text = client.cmd("ping -c 10", server.IP())
    times = [float(ms) for ms in re.findall(r"time=([\d.]+)", text)]
    say("figure round trips of 200 ms:", *times)
    assert len(times) == 10, text
    assert all(200 <= ms < 201 for ms in times), text


def check_refused(client, server):
    """A command that fails at once ends as any other."""
    text = client.cmd("iperf -c", server.IP(), "-t 1 2>&1")
    assert "refused" in text, text


def check_control_delay(net):
    """What this engine has not is refused in one line."""
    try:
        net.addController("c1", KronosRyu, control_delay="1ms")
    except ParameterError as error:
        assert "control_delay is the user engine's" in str(error), error
    else:
        raise AssertionError("a control_delay is not refused")


def check_tcp(net, client, server):
    """TCP fills the links, whose bandwidth includes 70 bytes of headers for each 1448 of data."""
    listener = server.popen("iperf -s", stdout=subprocess.PIPE)
    client.sendCmd("iperf -c", server.IP(), "-t 20 -i 2 -f k")
    text = ""
    while client.waiting:
        line = client.monitor()
        say(line.strip())
        text += line
    listener.kill()
    listener.wait()
    rate = float(re.findall(r"([\d.]+) Kbits/sec", text)[-1])
    say(f"figure TCP over 10 Mbit/s: {rate / 1000} Mbit/s, at {net.now / 1e9} s")
    assert 8500 < rate < 10000, text


def check_counters(net):
    """What one end of a link has sent, the other one has received: nothing is lost or on its way."""
    net.run("1s")
    for link in net.links:
        for direction in 0, 1:
            stats = link.counters(direction)
            assert stats.tx_frames == stats.rx_frames + stats.dropped_queue > 1000, stats
            assert stats.tx_bytes == stats.rx_bytes, stats


net = KronosNet(topo=Pair(), engine="kernel")
net.start()
h1, h2 = net.get("h1", "h2")
say("frozen")
assert net.pingAll() == 0
check_ping(h1, h2)
check_sleep(net, h1)
check_refused(h1, h2)
check_control_delay(net)
check_tcp(net, h1, h2)
check_counters(net)
net.stop()
say("stopped")
