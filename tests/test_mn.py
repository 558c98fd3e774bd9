"""Mininet's own command, mn, in virtual time: tests, and the command line over a pipe and a terminal."""

import errno
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

KRONOS = [sys.executable, "-m", "mininet_kronos"]
MODEL = ["--host", "kronos", "--link", "kronos,bw=10,delay=5ms", "--controller", "kronosryu"]


@pytest.fixture
def cli(run_script):
    """Return a function that feeds lines to the command line of a small network; it returns the output."""

    def run(*lines, options=("--link", "kronos,delay=1ms")):
        done = run_script(*KRONOS, "mn", *options, stdin="".join(f"{line}\n" for line in lines))
        assert done.status == 0, done
        assert "Traceback" not in done.err, done.err
        return done.out + done.err

    return run


def test_ping_all_in_a_tree(run_script):
    done = run_script(*KRONOS, "mn", *MODEL, "--topo", "tree,2", "--test", "pingall")
    assert done.status == 0, done
    assert "*** Results: 0% dropped (12/12 received)" in done.err + done.out
    assert "bw 10, delay 5ms" in done.err + done.out


def test_plain_mn_with_our_file(run_script):
    path = run_script(*KRONOS, "mn-path").out.strip()
    done = run_script(
        sys.executable,
        shutil.which("mn"),
        "--custom",
        path,
        *MODEL,
        "--topo",
        "single,2",
        "--test",
        "pingpair",
    )
    assert done.status == 0, done
    assert "(2/2 received)" in done.err + done.out


def test_iperf_keeps_to_the_links_rate(run_script):
    done = run_script(*KRONOS, "mn", *MODEL, "--topo", "single,2", "--test", "iperf")
    assert done.status == 0, done
    rates = re.search(r"\*\*\* Results: \['([\d.]+) Mbits/sec', '([\d.]+) Mbits/sec'\]", done.err + done.out)
    assert rates, done
    assert float(rates[1]) == pytest.approx(9.56, rel=0.1)  # TCP's share of 10 Mbit/s


def test_a_bridge_without_a_controller(run_script):
    done = run_script(*KRONOS, "mn", "--switch", "ovsbr", "--controller", "none", "--test", "pingall")
    assert done.status == 0, done
    assert "(2/2 received)" in done.err + done.out


def test_a_test_that_fails_leaves_nothing(run_script):
    done = run_script(*KRONOS, "mn", "--test", "no-such-test")
    assert done.status != 0
    assert "no-such-test" in done.err


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
        "run", "run fast", "run -1s", "step 5", "h9 ls", "xterm h1", "h1 no-such-program", "h1 echo fine"
    )
    assert "usage: run <duration>" in said
    assert "*** duration 'fast' is not understood" in said
    assert "*** duration '-1s' is negative" in said
    assert "*** duration '5': it has no unit" in said
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
    said = cli("h1 ping -c1 h2", down, "h1 ping -c1 -W1 h2", up, "run 1s", "h1 ping -c1 h2")
    assert re.findall(r"(\d) received", said) == ["1", "0", "1"]


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, command):
        self.master, slave = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)

    def expect(self, text, limit=60):
        """Read until a text comes; return what came before it."""
        deadline = time.monotonic() + limit
        while text not in self.text:
            if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
                pytest.fail(f"no {text!r} in {self.text!r}")
            try:
                data = os.read(self.master, 4096)
            except OSError as problem:
                assert problem.errno == errno.EIO
                data = b""
            if not data:
                pytest.fail(f"the program has ended; no {text!r} in {self.text!r}")
            self.text += data.decode(errors="replace")
        before, self.text = self.text.split(text, 1)
        return before

    def sees(self, text, limit):
        """Say whether a text comes within so many seconds; it stays to be expected."""
        deadline = time.monotonic() + limit
        while text not in self.text:
            if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
                return False
            self.text += os.read(self.master, 4096).decode(errors="replace")
        return True

    def type(self, text):
        os.write(self.master, text.encode())

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)


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
    terminal.type("h1 read x; echo got $x\n")
    for _ in range(50):  # until mn has left its own line editing, which would keep the line
        terminal.type("typed\n")
        if terminal.sees("got typed", 1):
            break
    terminal.expect("got typed")
    terminal.expect("mininet> ")
    terminal.type("time\n")
    assert re.search(r"virtual time: [\d.]+ s", terminal.expect("mininet> "))
    terminal.type("exit\n")
    terminal.expect("*** Done")
    assert terminal.process.wait(60) == 0
