"""The command line in virtual time, over a pipe and on a terminal."""

import os
import re
import signal
import sys

import pytest

from mininet_kronos.cli import KronosCLI
from tests.terminal import Terminal

KRONOS = [sys.executable, "-m", "mininet_kronos"]


@pytest.fixture
def cli(run_script):
    """Return a function that feeds lines to the command line of a small network; it returns the output."""

    def run(*lines, options=("--link", "kronos,delay=1ms")):
        done = run_script(*KRONOS, "mn", *options, stdin="".join(f"{line}\n" for line in lines))
        assert done.status == 0, done
        assert "Traceback" not in done.err, done.err
        return done.out + done.err

    return run


def test_commands_and_time(cli):
    said = cli(
        "time", "h1 ping -c2 -i 1 h2", "time", "step 10ms", "step", "run 1s", "status", "py h1.cmd('echo hi')"
    )
    assert "virtual time: 0 ns" in said
    assert "2 packets transmitted, 2 received, 0% packet loss, time 1" in said
    times = [float(seconds) for seconds in re.findall(r"virtual time: ([\d.]+) s$", said, re.MULTILINE)]
    assert len(times) == 4, said
    after_ping, after_step, after_round, after_run = times
    assert 1.004 < after_ping < 1.1
    assert after_step - after_ping == pytest.approx(0.01, abs=1e-9)
    assert after_round - after_step == pytest.approx(0.001, abs=1e-9)
    assert after_run - after_round == pytest.approx(1, abs=1e-9)
    assert re.search(r"^virtual time: 2\.\d+ s, frozen, timestep 1 ms$", said, re.MULTILINE)
    assert re.search(r"^engine: .*$", said, re.MULTILINE)
    assert re.search(r"\bhi\b", said)


def test_time_of_a_command(cli):
    said = cli("time h1 sleep 5")
    elapsed = re.search(r"Elapsed time: ([\d.]+) s virtual, [\d.]+ s real", said)
    assert elapsed, said
    assert 5 <= float(elapsed[1]) < 5.1


def test_mistakes_at_the_command_line_are_one_line(cli):
    said = cli(
        "run",
        "run fast",
        "run -1s",
        "step x",
        "step 5 0s",
        "h9 ls",
        "break h9",
        "break 0s",
        "break h1 (",
        "xterm h1",
        "h1 no-such-program",
        "h1 echo fine",
    )
    assert "usage: run <duration>" in said
    assert "*** duration 'fast' is not understood" in said
    assert "*** duration '-1s' is negative" in said
    assert "*** timestep 'x' is not understood" in said
    assert "*** timestep 0 would never get anywhere" in said
    assert "*** 'h9' is no node, no link and no time" in said
    assert "*** time 0s has passed" in said
    assert "*** pattern '(' is not understood" in said
    assert "*** Unknown command: h9 ls" in said
    assert "xterm would stand still between rounds" in said
    assert "no-such-program: command not found" in said
    assert "fine" in said


def test_mininets_own_commands_work(cli):
    said = cli(
        "nodes",
        "net",
        "dump",
        "links",
        "pingall",
        "iperfudp 1M h1 h2",
        "h1 ifconfig h1-eth0",
        "sh echo shell",
    )
    assert "h1-eth0<->s1-eth1 (OK OK)" in said
    assert "(2/2 received)" in said
    assert "*** Results: ['1M', '" in said
    assert "10.0.0.1" in said
    assert "shell" in said


def test_a_link_goes_down_and_comes_back(cli):
    down, up = "link s1 h2 down", "link s1 h2 up"
    said = cli("h1 ping -c1 h2", down, "links", "h1 ping -c1 -W1 h2", up, "links", "run 1s", "h1 ping -c1 h2")
    assert re.findall(r"(\d) received", said) == ["1", "0", "1"]
    assert re.findall(r"h2-eth0<->\S+ \((.*)\)", said) == ["DOWN DOWN", "OK OK"]


def clock_readings(said):
    """Return what `time` has said, in ms."""
    units = {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1000}
    found = re.findall(r"virtual time: ([\d.]+) (\w+)$", said, re.MULTILINE)
    return [pytest.approx(float(number) * units[unit], abs=1e-6) for number, unit in found]


def test_steps_of_any_size(cli):
    assert clock_readings(cli("step", "step 5", "step 20us", "step 3 10ms")) == [1, 6, 6.02, 36.02]


def test_thawed_time_is_real_and_frozen_time_stands(cli):
    said = cli("run 5s", "thaw", "sh sleep 0.2", "run 1s", "freeze", "sh sleep 0.2", "time", "h1 sleep 1")
    ran, thawed, frozen, later = clock_readings(said)
    assert ran.expected == 5000
    assert ran.expected <= thawed.expected <= frozen.expected - 200
    assert frozen.expected <= later.expected < frozen.expected + 0.01  # sh lets switches answer
    assert "*** virtual time is not frozen" in said


def test_break_at_what_a_node_writes(cli):
    said = cli(
        "break h1 icmp_seq=3",
        "break h1 never",
        "break",
        "h1 ping -c5 h2",
        "time",
        "h1 ls",
        "pingall",
        "iperf h1 h2",
        "h2 ping -c1 h1",
        "link s1 h1 down",
        "link s1 h1 up",
        "continue",
        "break",
        "continue",
    )
    listed = [f"output of h1 that matches '{pattern}'" for pattern in ("icmp_seq=3", "never")]
    assert "".join(f"{each}\n" for each in [*(f"will stop at {each}" for each in listed), *listed]) in said
    assert re.search(
        r"\*\*\* stopped at 2\.\d+ s: output of h1 .*: 64 bytes from 10.0.0.2: icmp_seq=3 .* ms$",
        said,
        re.MULTILINE,
    )
    (stopped,) = clock_readings(said)
    assert 2004 < stopped.expected < 2030
    assert said.count("*** h1: its command has not ended") == 5
    assert "5 packets transmitted, 5 received" in said
    assert said.count("icmp_seq=5") == 1
    assert "there is no command to go on with" in said


def test_break_at_a_time(cli):
    said = cli("break 1500ms", "break +5ms", "h1 sleep 3", "time", "run 10s", "continue", "time")
    stopped, ended = clock_readings(said)
    assert stopped == 5
    assert 3000 < ended.expected < 3100
    assert "*** stopped at 5 ms: virtual time 5 ms" in said
    assert "*** stopped at 1.5 s: virtual time 1.5 s" in said


def test_break_at_a_frame(cli):
    said = cli(
        "h1 ping -c1 h2", "break s1-eth2 icmp[icmptype]=icmp-echoreply", "break s1-h2 arp and", "run 1s",
        "h1 ping -c3 -i 0.5 h2", "status h1", "continue",
    )  # fmt: skip
    assert "*** filter 'arp and' is not understood: can't parse filter expression" in said
    found = (
        r"\*\*\* stopped at .*: a frame on h2-eth0<->s1-eth2 .*: IP 10.0.0.2 > 10.0.0.1: ICMP echo reply, "
    )
    assert re.search(found, said)
    assert re.search(r"^  ping \[\d+\] waits in \w+\(\)( until [\d.]+ m?s)?$", said, re.MULTILINE)
    assert "3 packets transmitted, 3 received" in said


def test_status_tells_what_each_waits_for(cli):
    said = cli("h1 sleep 100 &", "run 1s", "status", "status h1 h2", "status h9", "h1 kill %1")
    line = r"h1 \(cputime, speed 1\): clock 1\.\d+ s, next at 10\d\.\d+ s; "
    task = r"sleep \[\d+\] waits in (clock_)?nanosleep\(\) until 10\d\.\d+ s"
    assert re.search(f"^{line}{task} \\(and 1 more\\)$", said, re.MULTILINE)
    assert re.search(f"^  {task}$", said, re.MULTILINE)
    assert re.search(r"^  bash \[\d+\] waits in read\(\)$", said, re.MULTILINE)
    assert re.search(r"^ovs \(instant\): .* \(and \d more\)$", said, re.MULTILINE)
    assert "*** there is no node 'h9'" in said


def test_an_iperf_that_is_stopped_leaves_no_server(cli):
    said = cli("break +1s", "iperf", "status h2", "continue", "iperf", options=["--link", "kronos,bw=10"])
    assert "*** stopped at 1" in said
    assert "iperf [" not in said
    assert said.count("*** Results: ['9.") == 1


def test_iperf_over_links_without_a_rate_is_short(cli):
    said = cli("break +1ms", "iperf")
    assert "*** h1-eth0 has no bw: TCP sends as much as its windows let it, for 0.5 s" in said


def test_links_tell_what_they_have_carried(cli):
    said = cli("h1 ping -c1 h2", "links s1-h1", "links s1-eth2", "links h1-h2")
    assert re.search(r"^h1-eth0<->s1-eth1 \(OK OK\)$", said, re.MULTILINE)
    assert re.search(
        r"^  s1-eth2 -> h2-eth0: delay 1ms; sent [1-9]\d* frames, \d+ bytes;", said, re.MULTILINE
    )
    assert "*** there is no link 'h1-h2'" in said


def test_programs_outside_may_ask_the_switches(cli):
    said = cli(
        "sh ovs-vsctl list-br", "sh ovs-ofctl -O OpenFlow13 dump-flows s1", "time", "sh exit 1", "sh echo end"
    )
    assert "s1\n" in said
    assert "actions=CONTROLLER" in said
    assert clock_readings(said) == [0]
    assert "end" in said


def test_a_switch_stops_and_starts_again(cli):
    said = cli(
        "h1 ping -c1 h2",
        "switch s1 stop",
        "h1 ping -c1 -W1 h2",
        "switch s1 start",
        "time wait",
        "h1 ping -c1 h2",
    )
    assert re.findall(r"(\d) received", said) == ["1", "0", "1"]


def test_captures(cli, tmp_path):
    said = cli(
        f"capture h2-s1 {tmp_path}/h2.pcap", "h1 ping -c2 -i 1 h2", "capture", "capture stop", "capture",
        "h1 ping -c1 h2", f"sh tcpdump -tt -n -r {tmp_path}/h2.pcap icmp", "capture h9",
        f"capture h2-s1 {tmp_path}", "capture h2-s1 /proc/no/file",
    )  # fmt: skip
    assert "no captures\n" in said
    assert f"*** h2-eth0: cannot write a capture to {tmp_path}: Is a directory; name another file" in said
    assert "*** h2-eth0: cannot write a capture to /proc/no/file: " in said
    assert said.count(f"h2-eth0: to {tmp_path}/h2.pcap\n") == 2
    stamps = [float(stamp) for stamp in re.findall(r"(\d+\.\d+) IP 10.0.0.1 > 10.0.0.2", said)]
    assert len(stamps) == 2
    assert stamps[1] - stamps[0] == pytest.approx(1, abs=0.01)
    assert "*** there is no link 'h9'" in said


def test_every_verb_has_help(cli):
    verbs = [name[3:] for name in dir(KronosCLI) if name.startswith("do_") and name != "do_EOF"]
    said = cli("help", *(f"help {verb}" for verb in verbs))
    assert "virtual time passes while a command runs" in said
    assert "*** No help on" not in said
    assert len(verbs) > 30


def test_comments_sources_and_statements(cli, tmp_path):
    script, another = tmp_path / "commands", tmp_path / "file of another"
    script.write_text(f"h1 echo from a file  # not this\nsource {another}\nrun 1s\n")
    another.write_text("h1 echo from 'another'\n")
    said = cli(
        f"source {script}", "source no-such-file", "px print(net.now)", "py h1.IP()", "noecho h1 echo quiet"
    )
    assert "from a file" in said
    assert "from another" in said
    assert "not this" not in said
    assert "error reading file no-such-file" in said
    assert "10.0.0.1" in said
    assert "quiet" in said
    assert clock_readings(said)[0].expected >= 1000


def test_dpctl_and_switch_commands(cli):
    said = cli(
        "h1 ping -c1 h2", "dpctl dump-flows -O OpenFlow13", "intfs", "ports", "pingallfull", "pingpairfull"
    )
    assert "n_packets=" in said
    assert "s1-eth2" in said
    assert said.count("rtt min/avg/max/mdev") >= 2


@pytest.fixture
def terminal():
    terminal = Terminal([*KRONOS, "mn", "--link", "kronos,delay=1ms"])
    yield terminal
    terminal.close()


def test_a_session_on_a_terminal(terminal):
    terminal.expect("mininet> ")
    terminal.type("h1 ping h2\n")  # without end
    terminal.expect("icmp_seq=3 ")
    os.kill(terminal.process.pid, signal.SIGINT)  # what Ctrl-C sends
    terminal.expect("packets transmitted")
    terminal.expect("mininet> ")
    terminal.type("h1 echo ready; read x; echo got $x\n")
    terminal.expect("\r\nready")
    terminal.type("typed fast\n")  # and whole
    terminal.expect("got typed fast")
    terminal.expect("mininet> ")
    for typed, choice in (
        ("link s1 h2 do", "link s1 h2 down"),
        ("switch s1 sto", "switch s1 stop"),
        ("capture st", "capture stop"),
        ("break cl", "break clear"),
        ("source pyproject.t", "source pyproject.toml"),
        ("time link s1 h2 do", "time link s1 h2 down"),
        ("time nod", "time nodes"),
    ):
        terminal.type(f"{typed}\t")
        terminal.expect(choice)
        terminal.type("\x15")  # Ctrl-U takes it back
    terminal.type("statu\t h\t\t")
    terminal.expect("h1  h2")
    terminal.type("1\n")
    terminal.expect("h1 (cputime, speed 1)")
    terminal.expect("mininet> ")
    terminal.type("time\n")
    assert re.search(r"virtual time: [\d.]+ s", terminal.expect("mininet> "))
    terminal.type("exit\n")
    terminal.expect("*** Done")
    assert terminal.process.wait(60) == 0


@pytest.mark.parametrize(
    ("command", "prompt", "typed", "seconds"),
    [
        ("sleep 30; read x; echo go''t $x", "", "it", "30"),
        ("head -c 3 | sed s/^/go''t./", "", "it", "0"),
        (f"{sys.executable} -ic 'import readline'", ">>> ", "print('g' + 'ot')", "0"),
        ("bash --norc -ic 'select x in a b; do echo go\"\"t; done'", "#? ", "1", "0"),
    ],
)
def test_time_stands_while_a_program_waits_for_what_is_typed(terminal, command, prompt, typed, seconds):
    terminal.expect("mininet> ")
    terminal.type("h2 while sleep 1; do :; done &\n")
    terminal.expect("mininet> ")
    terminal.type(f"h1 {command}\n")
    assert terminal.sees(prompt, 60)
    assert not terminal.sees("got", 0.5)
    for letter in typed:
        terminal.type(letter)
        terminal.sees("never", 0.02)
    terminal.type("\n")
    terminal.expect("got")
    terminal.sees("never", 0.3)
    if prompt:
        terminal.type("\x04")  # Ctrl-D
    terminal.sees("mininet> ", 60)
    terminal.type("py 'at second', net.now // 10**9\n")
    terminal.expect(f"('at second', {seconds})")


def test_ctrl_c_ends_what_runs_and_keeps_the_clocks_equal(terminal):
    terminal.expect("mininet> ")
    for command in "run 1000h", "step 100000000 10us", "h1 sleep 1000h & sleep 1000h", "pingall":
        terminal.type(f"{command}\n")
        for _ in range(60):
            os.kill(terminal.process.pid, signal.SIGINT)
            terminal.type("py 6 * 7\n")
            if terminal.sees("\r\n42\r\n", 1):
                break
        terminal.expect("\r\n42\r\n")
    terminal.type("py len(set(map(net.experiment.host_time, net.experiment.hosts)) | set([net.now]))\n")
    terminal.expect("\r\n1\r\n")


@pytest.mark.parametrize("command", ["", "h1 cat\n", "run 1000h\n"])
def test_mn_ends_with_its_terminal(terminal, command):
    terminal.expect("mininet> ")
    terminal.type(command)
    terminal.sees("never", 0.3)
    os.close(terminal.master)
    terminal.master = os.open("/dev/null", os.O_RDONLY)  # to be closed
    terminal.process.wait(60)
