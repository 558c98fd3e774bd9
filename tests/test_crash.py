"""Whatever is killed, and when: nothing is left behind, and the next network starts."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mininet.topo import Topo

from mininet_kronos.errors import KronosError
from mininet_kronos.experiment import Experiment
from tests.conftest import Pair, ping
from tests.leftovers import state, wait_for

BUSY_NET = """
import os, sys
from tests.conftest import Pair
from mininet_kronos import KronosNet
net = KronosNet(topo=Pair(delay="1ms", hosts=4))
net.start()
for host in net.hosts[:2]:
    host.cmd("while :; do :; done &")
    host.cmd("setsid sleep 1000 &")
net["h3"].popen(["sleep", "1000"])
net["h3"].cmd(f"ping -i 0.01 {net['h4'].IP()} >/dev/null &")
print("pid of the engine", os.popen(f"pgrep -P {os.getpid()} kronos-engine").read().strip(), flush=True)
print("pid of Ryu", net["c0"].lastPid, flush=True)
print("ready", flush=True)
"""
FOREVER = "\nwhile True:\n    net.run('1s')\n"


@pytest.fixture
def busy_net(start_script):
    """Return a function that runs a script with a busy network, and then the code given."""

    def start(code=FOREVER):
        script = start_script(sys.executable, "-c", BUSY_NET + code)
        script.expect("ready")
        return script

    return start


def pid_of(script, what):
    said = script.read()[0].split()
    return int(said[said.index(what.split()[-1]) + 1])


@pytest.fixture
def works_again(make_net):
    """After the test, nothing is left behind and a new network works."""
    before = state()
    yield
    wait_for(before)
    net = make_net(Pair(delay="1ms"))
    result, text = ping(net["h1"], net["h2"], 2)
    assert result.received == 2, text


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_an_orchestrator_killed_in_mid_round(busy_net, works_again, name):
    script = busy_net()
    script.process.send_signal(signal.Signals[name])
    done = script.wait()
    assert done.status == -signal.Signals[name]
    assert "Traceback" not in done.err


def test_an_orchestrator_killed_while_all_stands_still(busy_net):
    script = busy_net("\nimport time\ntime.sleep(1000)\n")
    script.process.kill()
    script.wait()


def test_an_orchestrator_killed_while_it_starts(start_script, works_again):
    """At ten moments of the bring-up, each after one more line of Mininet's."""
    code = (
        "from tests.conftest import Pair; from mininet_kronos import KronosNet; import mininet.log\n"
        "mininet.log.setLogLevel('info')\n"
        "KronosNet(topo=Pair()).start()"
    )
    for moment in "Adding hosts", "Adding links", "Starting controller", "Waiting for switches":
        script = start_script("sh", "-c", 'exec "$0" "$@" 2>&1', sys.executable, "-uc", code)
        script.expect(moment)
        script.process.kill()
        script.wait()


def test_ctrl_c_in_mid_round(busy_net):
    """Python's KeyboardInterrupt: the script ends by itself, and takes all with it."""
    script = busy_net("\ntry:\n    while True: net.run('1s')\nexcept KeyboardInterrupt: print('stopped')\n")
    script.process.send_signal(signal.SIGINT)
    done = script.wait()
    assert (done.status, done.out.splitlines()[-1]) == (0, "stopped"), done
    assert "Traceback" not in done.err


def test_ctrl_c_can_be_survived(busy_net):
    script = busy_net(
        "\ntry:\n    while True: net.run('1s')\n"
        "except KeyboardInterrupt: print(net['h3'].cmd('echo alive'))\nnet.stop()\n"
    )
    script.process.send_signal(signal.SIGINT)
    done = script.wait()
    assert (done.status, done.out.split()[-1]) == (0, "alive"), done


def test_ctrl_c_while_it_stops(make_net, monkeypatch):
    """In the midst of the clean-up: what comes after it is done all the same."""
    net = make_net(Pair(hosts=1))
    stop = net.ovs.stop

    def interrupted():
        stop()
        raise KeyboardInterrupt

    monkeypatch.setattr(net.ovs, "stop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.stop()
    assert not net.pump.directory.exists()


@pytest.mark.parametrize(
    ("number", "problem"),
    [(signal.SIGKILL, "has ended unexpectedly"), (signal.SIGSTOP, "was stopped by a signal")],
)
def test_the_engine_killed(busy_net, works_again, number, problem):
    """The orchestrator gets one line, and can still stop."""
    script = busy_net(
        "\nfrom mininet_kronos import KronosError\n"
        "try:\n    while True: net.run('1s')\n"
        "except KronosError as problem: print(f'problem: {problem}', flush=True)\nnet.stop()\n"
    )
    os.kill(pid_of(script, "the engine"), number)
    done = script.wait()
    assert done.status == 0, done
    assert re.search(rf"^problem: the engine .*{problem}.*$", done.out, re.MULTILINE), done
    assert "Traceback" not in done.err


def test_engine_and_orchestrator_killed(busy_net, run_script, works_again):
    """Nobody is left to clean up; `kronos clean` does."""
    script = busy_net()
    os.kill(pid_of(script, "the engine"), signal.SIGKILL)
    script.process.kill()
    script.wait()
    done = run_script(sys.executable, "-m", "mininet_kronos", "clean")
    assert done.status == 0, done


# The engine's own, after it has answered the request to stop.
SLOW_END = """
#include <sys/syscall.h>
#include <unistd.h>

int unlink(const char *path)
{
	sleep(1);
	return (int)syscall(SYS_unlink, path);
}
"""


def test_a_stop_is_no_abort(tmp_path, monkeypatch):
    """What is to be done if the orchestrator dies is not done when it stops; it would hit the next one."""
    source, library, mark = (tmp_path / name for name in ("slow.c", "slow.so", "aborted"))
    source.write_text(SLOW_END)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    experiment = Experiment()
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(library))
        experiment.initialize()
    experiment.on_abort(f"touch {mark}")
    experiment.stop()
    subprocess.run(["sleep", "1"], check=True)  # longer than the abort's script would take
    assert not mark.exists()


def test_a_hosts_shell_killed(make_net):
    """That host is lost, and says so; the others go on, and the network stops as ever."""
    net = make_net(Pair(delay="1ms", hosts=3))
    h1, h2, h3 = net.hosts
    h1.sendCmd("sleep 1000")
    os.kill(h1.shell.pid, signal.SIGKILL)
    with pytest.raises(KronosError, match=r"^h1: its shell has ended"):
        h1.waitOutput()
    with pytest.raises(KronosError, match=r"^h1: its shell has ended"):
        h1.cmd("echo alive")
    result, text = ping(h2, h3, 3)
    assert result.received == 3, text


def test_a_hosts_shell_killed_while_nothing_is_due(make_net, tmp_path):
    """What it has started has its terminal still, and waits for ever."""
    os.mkfifo(tmp_path / "fifo")
    net = make_net(Topo(), start=False, controller=None)
    h1 = net.addHost("h1")
    net.start()
    with pytest.raises(KronosError, match=r"^h1: its shell has ended"):
        h1.cmd(f"cat {tmp_path}/fifo & kill -KILL $$")


def test_a_hosts_process_killed(make_net):
    """From outside, as the kernel's out-of-memory killer does."""
    net = make_net(Pair(delay="1ms"))
    h1, h2 = net.hosts
    process = h1.popen(["sleep", "1000"])
    loop = h1.popen("while :; do :; done", shell=True)
    net.run("10ms")
    for victim in process, loop:
        os.kill(victim.pid, signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
    result, text = ping(h1, h2, 2)
    assert result.received == 2, text


def test_ryu_killed(make_net):
    """Flows that are there go on; new ones have no controller."""
    net = make_net(Pair(delay="1ms", hosts=3))
    h1, h2, _h3 = net.hosts
    assert ping(h1, h2, 2)[0].received == 2
    os.kill(net["c0"].lastPid, signal.SIGKILL)
    net.run("1s")
    result, text = ping(h1, h2, 3)
    assert result.received == 3, text


@pytest.mark.parametrize("daemon", ["ovs-vswitchd", "ovsdb-server"])
def test_open_vswitch_killed(make_net, daemon):
    """Time still passes, if slowly (without its database ovs-vswitchd spins), and the network stops."""
    net = make_net(Pair(delay="1ms"))
    os.kill(net.ovs.processes[daemon].pid, signal.SIGKILL)
    net.run("400ms")
    assert net["h1"].cmd("echo alive").strip() == "alive"
    assert net.now >= 400_000_000


def test_a_stopped_orchestrator_goes_on(busy_net):
    """Ctrl-Z and fg: no virtual time is lost or won."""
    script = busy_net(
        "\nfor i in range(10): net.run('100ms')\nprint(\n    net.experiment.host_time('h1') == net.now)"
    )
    os.kill(script.process.pid, signal.SIGSTOP)
    subprocess.run(["sleep", "0.5"], check=True)
    os.kill(script.process.pid, signal.SIGCONT)
    assert script.wait().out.splitlines()[-1] == "True"


def test_what_others_left_is_no_obstacle(make_net):
    """Run directories of a process id that has long gone."""
    left = Path("/run/kronos/net-4194305-gone")
    left.mkdir(parents=True)
    try:
        assert make_net(Pair(delay="1ms")).pingAll() == 0
    finally:
        if left.exists():
            left.rmdir()
