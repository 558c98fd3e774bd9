"""Mininet's nodes in virtual time: shells, processes, waiting, traffic, clocks."""

import shlex
import signal
import subprocess
import sys
import time

import pytest
from mininet.util import pmonitor

from tests.conftest import Pair, parse_ping

SECOND = 1_000_000_000


failed = 0  # tests, when the network was made


@pytest.fixture
def standing(module_net_maker, request):
    """h1, h2, h3 -- s1, links of 1 ms; a new one after a test that failed."""
    global failed
    if module_net_maker.net is None or request.session.testsfailed > failed:
        failed = request.session.testsfailed
        module_net_maker(Pair(delay="1ms", hosts=3), epoch=1_000_000_000)
    return module_net_maker.net


@pytest.fixture
def net(standing):
    return standing


def test_a_shell_keeps_its_state(net):
    h1, h2 = net["h1"], net["h2"]
    assert h1.cmd("X=5; cd /usr/share") == ""
    assert h1.cmd("echo $X $PWD").split() == ["5", "/usr/share"]
    assert h2.cmd('echo "<$X>"').strip() == "<>"
    assert h1.cmd("false; echo $?").strip() == "1"
    assert h1.cmd("echo one; echo two >&2").split() == ["one", "two"]
    h1.cmd("cd /")


def test_time_passes_only_while_a_command_runs(net):
    h1 = net["h1"]
    before = net.now
    time.sleep(0.01)
    assert net.now == before
    h1.cmd("sleep 2")
    assert 2 * SECOND <= net.now - before < 2.1 * SECOND
    assert [net.experiment.host_time(host.name) for host in net.hosts] == [net.now] * 3


def test_a_long_output_arrives_whole(net):
    assert net["h1"].cmd("seq 1 20000").split() == [str(i) for i in range(1, 20001)]


def test_background_jobs(net):
    h1 = net["h1"]
    h1.cmd("sleep 100 &")
    pid = h1.lastPid
    assert f" {pid} " in h1.cmd("jobs -l")
    before = net.now
    h1.cmd("sleep 3 & wait $!")
    assert 3 * SECOND <= net.now - before < 3.1 * SECOND
    h1.cmd(f"kill {pid}; wait")
    assert h1.cmd(f"kill -0 {pid}; echo $?").split()[-1] == "1"


def test_ctrl_c_ends_a_command(net):
    h1, h2 = net["h1"], net["h2"]
    h1.sendCmd(f"ping -i 0.5 {h2.IP()}")
    net.run("2.2s")
    h1.sendInt()
    result = parse_ping(h1.waitOutput())
    assert result.sent == result.received == 5
    assert h1.cmd("echo alive").strip() == "alive"


def test_ctrl_c_ends_a_busy_loop(net):
    h1 = net["h1"]
    h1.sendCmd("while :; do :; done")
    net.run("20ms")
    h1.sendInt()
    h1.waitOutput()
    assert h1.cmd("echo alive").strip() == "alive"


def test_send_monitor_and_wait(net):
    h1 = net["h1"]
    h1.sendCmd("for i in 1 2 3; do echo $i; sleep 1; done")
    heard, begin = [], net.now
    while h1.waiting:
        heard += [(word, round((net.now - begin) / SECOND)) for word in h1.monitor().split()]
    assert heard == [("1", 0), ("2", 1), ("3", 2)]
    h1.sendCmd("echo a; sleep 1; echo b")
    assert h1.waitOutput().split() == ["a", "b"]
    h1.sendCmd("sleep 5")
    begin = net.now
    assert h1.monitor(timeoutms=1000) == ""
    assert SECOND <= net.now - begin <= SECOND + 2 * net.timestep
    h1.waitOutput()


def test_two_hosts_work_at_once(net):
    h1, h2 = net["h1"], net["h2"]
    begin = net.now
    h1.sendCmd("sleep 5; echo one")
    h2.sendCmd("sleep 5; echo two")
    assert (h2.waitOutput() + h1.waitOutput()).split() == ["two", "one"]
    assert 5 * SECOND <= net.now - begin < 5.1 * SECOND


def test_popen_communicates_in_virtual_time(net):
    h1 = net["h1"]
    begin = net.now
    process = h1.popen(["cat"], stdin=subprocess.PIPE, text=True)
    assert process.communicate("said\n" * 50000) == ("said\n" * 50000, "")
    process = h1.popen("sleep 2; echo out; echo err >&2; exit 3", shell=True, text=True)
    assert process.communicate() == ("out\n", "err\n")
    assert process.returncode == 3
    assert 2 * SECOND <= net.now - begin < 3 * SECOND


def test_popen_waits_and_polls_in_virtual_time(net):
    h1 = net["h1"]
    begin = net.now
    process = h1.popen(["sleep", "3"])
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    assert SECOND <= net.now - begin < 1.1 * SECOND
    assert process.wait() == 0
    assert 3 * SECOND <= net.now - begin < 3.1 * SECOND
    process = h1.popen(["sleep", "1"])
    while process.poll() is None:
        pass
    assert process.returncode == 0
    process = h1.popen(["sleep", "1000"])
    process.terminate()
    assert process.wait() == -signal.SIGTERM


def test_popen_output_is_read_line_by_line(net):
    process = net["h1"].popen("for i in 1 2 3; do echo $i; sleep 1; done", shell=True, text=True)
    begin, heard = net.now, []
    for line in process.stdout:
        heard.append((line.strip(), round((net.now - begin) / SECOND)))
    assert heard == [("1", 0), ("2", 1), ("3", 2)]
    assert process.wait() == 0


def test_a_missing_program_is_said_by_popen(net):
    process = net["h1"].popen(["no-such-program"], text=True)
    _out, err = process.communicate()
    assert process.returncode != 0
    assert "no-such-program" in err
    assert "not found" in net["h1"].cmd("no-such-program")


def test_pexec(net):
    assert net["h1"].pexec("echo hello") == ("hello\n", "", 0)
    assert net["h1"].pexec(["sh", "-c", "echo bad >&2; exit 7"]) == ("", "bad\n", 7)


def test_pmonitor(net):
    popens = {
        host: host.popen(f"for i in 1 2; do sleep {i}; echo {host}; done", shell=True)
        for i, host in enumerate(net.hosts, 1)
    }
    heard = dict.fromkeys(net.hosts, 0)
    for host, line in pmonitor(popens):
        if host:
            assert line.strip() in ("", host.name)
            heard[host] += bool(line.strip())
    assert set(heard.values()) == {2}


def test_pmonitor_of_many(net):
    """More than 64 descriptors at once."""
    popens = {number: net["h1"].popen(["echo", str(number)]) for number in range(70)}
    heard = [(number, int(line)) for number, line in pmonitor(popens) if line.strip()]
    assert sorted(heard) == [(number, number) for number in range(70)]


def test_net_monitor(net):
    for host in net.hosts:
        host.sendCmd(f"sleep {host.name[1:]}; echo {host}")
    heard = []
    for host, line in net.monitor(net.hosts, timeoutms=5000):
        if host is None:
            break
        heard.append(line.strip())
    assert [line for line in heard if line in net] == ["h1", "h2", "h3"]
    for host in net.hosts:
        host.waitOutput()


def test_ping_all(net):
    assert net.pingAll() == 0
    for _source, _target, (sent, received, least, _mean, most, _mdev) in net.pingAllFull():
        assert (sent, received) == (1, 1)
        assert 4 <= least <= most < 9  # the first of a pair may ask for an address


def test_tcp(net):
    """TCP's retransmission timers and congestion control are in the kernel; the link's rate bounds it.

    A link of 100 Mbit/s carries 94.9 Mbit/s of TCP payload (1448 of 1526 bytes on an Ethernet without
    preamble: 1448 / 1514 = 95.6 %); slow start and the tail of the transfer cost up to 10 % of 2 s.
    """
    server, client = net.iperf((net["h1"], net["h2"]), seconds=2)
    for rate in server, client:
        value, unit = rate.split()
        assert unit == "Mbits/sec"
        assert 80 < float(value) < 105, (server, client)  # the client counts what is still in its buffer


def test_udp(net):
    rates = net.iperf((net["h1"], net["h3"]), l4Type="UDP", udpBw="10M", seconds=2)
    assert rates[0] == "10M"
    assert [float(rate.split()[0]) for rate in rates[1:]] == pytest.approx(
        [10, 10], rel=0.06
    )  # 1 MB is 2**20


def test_the_epoch_is_what_date_shows(net):
    h1, h2 = net["h1"], net["h2"]
    shown = [float(host.cmd("date +%s.%N")) for host in (h1, h2)]
    assert shown == pytest.approx([1_000_000_000 + net.now / SECOND] * 2, abs=0.1)


def test_clocks_of_all_kinds_agree(net):
    code = (
        "import time; c = [time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME, time.CLOCK_REALTIME, time.CLOCK_TAI];"
        "a = [time.clock_gettime_ns(x) for x in c]; time.sleep(7); b = [time.clock_gettime_ns(x) for x in c];"
        "print(*[y - x for x, y in zip(a, b)])"
    )
    for passed in net["h1"].cmd(f"{sys.executable} -c {shlex.quote(code)}").split():
        assert 7 * SECOND <= int(passed) < 7.05 * SECOND


def test_rounds_and_durations(net):
    begin = net.now
    assert net.progress(5) == 5
    assert net.now - begin == 5 * net.timestep
    net.run("1.2345s")
    assert net.now - begin == 5 * net.timestep + 1_234_500_000
    net.run(0.5)
    assert net.now - begin == 5 * net.timestep + 1_734_500_000


def test_switches_answer_while_the_net_is_frozen(net):
    s1, begin = net["s1"], net.now
    assert "n_packets" in s1.cmd("ovs-ofctl -O OpenFlow13 dump-flows s1")
    assert net.now - begin <= 10 * net.timestep
    assert "s1-eth3" in s1.cmd("ovs-vsctl list-ports s1")


def test_listeners_hear_what_nodes_write(net):
    h1, h2 = net["h1"], net["h2"]
    heard = []
    listen = lambda node, source, data: heard.append((node, source.split()[-1], data))  # noqa: E731
    net.pump.output_listeners.append(listen)
    try:
        h1.cmd("echo from a shell")
        h2.popen(["echo", "read"], stdout=subprocess.PIPE).stdout.read()
        h2.popen("echo collected >&2", shell=True, stderr=subprocess.PIPE).communicate()
    finally:
        net.pump.output_listeners.remove(listen)
    h1.cmd("echo afterwards")
    assert b"from a shell" in b"".join(data for node, *_, data in heard if node == "h1")
    assert ("h2", "stdout", b"read\n") in heard
    assert ("h2", "stderr", b"collected\n") in heard
    assert not any(b"afterwards" in data for _node, _source, data in heard)


def test_alarms_ring_at_their_virtual_time(net):
    start, rung, ticks = net.now, [], []

    def every_half_second():
        rung.append(net.now - start)
        return net.now + SECOND // 2 if len(rung) < 3 else None

    net.pump.at(start + SECOND // 2, every_half_second)
    net.pump.at(start + SECOND + 1, lambda: rung.append("in the middle of a round"))
    net.pump.tick_listeners.append(lambda: ticks.append(net.now))
    try:
        net.run("1700ms")
    finally:
        net.pump.tick_listeners.clear()
    assert rung == [SECOND // 2, SECOND, "in the middle of a round", 3 * SECOND // 2]
    assert ticks == sorted(ticks)
    assert ticks[-1] == net.now == start + 1_700_000_000
