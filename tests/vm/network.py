"""A Mininet network with the kernel engine, with both datapaths of Open vSwitch: links do what their
parameters say, and both have the same figures.

Computation is free, so that it does not matter how fast the machine is.
"""

import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from mininet.link import TCLink
from mininet.topo import Topo
from mininet.util import customClass

from mininet_kronos import KronosNet, KronosRyu
from mininet_kronos.cli import KronosCLI
from mininet_kronos.errors import ParameterError
from mininet_kronos.link import KronosLink


class Pair(Topo):
    """h1 -- s1 -- h2."""

    def build(self, datapath):
        switch = self.addSwitch("s1", datapath=datapath)
        for name in "h1", "h2":
            self.addLink(self.addHost(name, counter="free"), switch)


class Marked(KronosLink):
    """A user's own class of links."""

    def mark(self):
        """Return something that only this class has."""
        return f"{self.intf1} marked"


class Figures(NamedTuple):
    """What is measured in each network."""

    round_trips: list[float]  # ms
    rate: float  # kbit/s


def say(*words):
    """Report at once: a test that is silent for long is given up."""
    print(*words, flush=True)


def check_sleep(net, host):
    """Idle time is passed over; the command's end is noticed in its round; its program is read in no time."""
    before = net.now
    host.cmd("sleep 60")
    slept = (net.now - before) / 1e9
    say(f"figure sleep 60: {slept} s")
    assert 60 <= slept < 60.1, slept


def check_ping(client, server):
    """A round trip is four delays."""
    text = client.cmd("ping -c 10", server.IP())
    times = [float(ms) for ms in re.findall(r"time=([\d.]+)", text)]
    say("figure round trips of 200 ms:", *times)
    assert len(times) == 10, text
    assert all(200 <= ms < 201 for ms in times), text
    return times


def check_sending(client, server):
    """Each link sends a frame of 1514 bytes in 1.2112 ms, also after a pause; its delay can be changed."""
    intf = client.intf()

    def measure():
        text = client.cmd("ping -c 3 -i 0.5 -s 1472", server.IP())
        return [float(ms) for ms in re.findall(r"time=([\d.]+)", text)]

    times = measure()
    intf.config(delay="70ms")
    later = measure()
    intf.config(delay="50ms")
    say("figure round trips of 204.845 ms, and of 224.845:", *times, *later)
    for expected, got in (204.845, times), (224.845, later):
        assert len(got) == 3, got
        assert all(abs(ms - expected) < 0.2 for ms in got), (expected, got)


def check_models(client, server):
    """Traffic control takes all that a link may ask for; losses and drops of a queue are counted apart."""
    intf = client.intf()
    counters = intf.link.counters
    for model in (
        {"jitter": "5ms", "distribution": "normal", "delay_correlation": 20, "loss_gemodel": (1, 10)},
        {"corrupt": 1, "reorder": 25, "reorder_correlation": 50, "gap": 5, "jitter": "5ms"},
        {"enable_red": True}, {"enable_ecn": True}, {"use_tbf": True, "latency_ms": 50},
    ):  # fmt: skip
        intf.config(**model)
        intf.config(**dict.fromkeys(model))
    before = counters(0)
    intf.config(loss=100)
    client.cmd("ping -c 3 -i 0.01 -W 1", server.IP())
    after = counters(0)
    assert after.dropped_loss - before.dropped_loss >= 3, after
    assert after.dropped_queue == before.dropped_queue, after
    intf.config(loss=None, bw=0.1, max_queue_size=2)
    # 121 ms for each: of five at once two find room.
    text = client.cmd("ping -c 5 -i 0.01 -s 1472 -W 1", server.IP())
    last = counters(0)
    assert last.dropped_loss == after.dropped_loss, (last, text)
    assert last.dropped_queue - after.dropped_queue >= 3, (last, text)
    intf.config(bw=10, max_queue_size=None)


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


def check_tcp(net, client, server, seconds):
    """TCP fills the links, whose bandwidth includes 70 bytes of headers for each 1448 of data."""
    listener = server.popen("iperf -s", stdout=subprocess.PIPE)
    client.sendCmd("iperf -c", server.IP(), f"-t {seconds} -i 2 -f k")
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
    return rate


def check_command_line(net, directory):
    """Verbs of the command line: a capture has the round trip's stamps, and a breakpoint stops at a frame."""
    script = Path(directory, "lines")
    capture = Path(directory, "h1.pcap")
    script.write_text(
        f"time\nstatus\nlinks\nstep 10ms\ncapture h1-eth0 {capture}\nh1 ping -c 1 h2\n"
        "capture stop\nbreak h2-s1 icmp\nh1 ping -c 1 h2\n"
    )
    KronosCLI(net, script=str(script))
    shown = subprocess.run(
        ["tcpdump", "-nttr", capture, "--time-stamp-precision=nano", "icmp"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    say(shown)
    request, reply = (float(line.split()[0]) for line in shown.splitlines())
    # The kernel's traffic control delays what h1 sends before it is captured.
    assert 0.149 < reply - request < 0.152, shown
    assert net.get("h1").waiting  # it was stopped at the breakpoint
    assert all(link.status() == "(OK OK)" for link in net.links), net.links


def check_counters(net):
    """What one end of a link has sent, the other one has received: nothing is lost or on its way."""
    net.run("1s")
    for link in net.links:
        for direction in 0, 1:
            stats = link.counters(direction)
            dropped = stats.dropped_queue + stats.dropped_loss
            assert stats.tx_frames == stats.rx_frames + dropped > 400, stats
            assert stats.tx_bytes == stats.rx_bytes, stats


def check_datapath(switch, datapath):
    """The switch has the datapath that was asked for, and that one has forwarded."""
    shown = switch.cmd("ovs-appctl dpctl/show")
    assert ("ovs-system" if datapath == "kernel" else "ovs-netdev") in shown, shown
    assert re.search(r"hit:[1-9]", shown), shown


def check_network(datapath, seconds=10):
    """Bring the network up, measure, and take it down."""
    say(f"figure datapath {datapath}:")
    link = customClass({"kronos": Marked}, "kronos,bw=10,delay=50ms")  # as mn --link does
    net = KronosNet(topo=Pair(datapath=datapath), engine="kernel", link=link)
    net.start()
    client, server = net.get("h1", "h2")
    say("frozen")
    assert net.links[0].mark() == "h1-eth0 marked"
    assert net.pingAll() == 0
    round_trips = check_ping(client, server)
    check_sending(client, server)
    check_models(client, server)
    check_sleep(net, client)
    check_refused(client, server)
    check_control_delay(net)
    rate = check_tcp(net, client, server, seconds)
    check_counters(net)
    with TemporaryDirectory() as directory:
        check_command_line(net, directory)
    check_datapath(net.get("s1"), datapath)
    net.stop()
    say("stopped")
    return Figures(round_trips, rate)


def check_own_links(seconds=10):
    """Mininet's own TCLink, netem and HTB, is in virtual time as it is."""
    say("figure TCLink:")
    link = customClass({"tc": TCLink}, "tc,bw=10,delay=50ms")
    net = KronosNet(topo=Pair(datapath="user"), engine="kernel", link=link)
    net.start()
    client, server = net.get("h1", "h2")
    assert net.pingAll() == 0
    check_ping(client, server)
    check_tcp(net, client, server, seconds)
    net.stop()


def check_agreement(one, other):
    """Round trips to 0.5 ms, TCP to 3 %."""
    for mine, theirs in zip(one.round_trips, other.round_trips):
        assert abs(mine - theirs) < 0.5, (one, other)
    assert abs(one.rate - other.rate) < 0.03 * one.rate, (one, other)


first = check_network("kernel")
check_agreement(first, check_network("user"))
check_own_links()
