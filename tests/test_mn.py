"""Mininet's own command, mn, in virtual time."""

import re
import shutil
import sys

import pytest

KRONOS = [sys.executable, "-m", "mininet_kronos"]
MODEL = ["--host", "kronos", "--link", "kronos,bw=10,delay=5ms", "--controller", "kronosryu"]


def test_ping_all_in_a_tree(run_script):
    done = run_script(*KRONOS, "mn", *MODEL, "--topo", "tree,2", "--test", "pingall")
    assert done.status == 0, done
    assert "*** Results: 0% dropped (12/12 received)" in done.err + done.out
    assert "bw 10, delay 5ms" in done.err + done.out


@pytest.mark.parametrize("python", [[], [sys.executable]])
def test_plain_mn_with_our_file(run_script, python):
    """With Debian's Python, which has no mininet_kronos, and with our own."""
    path = run_script(*KRONOS, "mn-path").out.strip()
    arguments = ["--custom", path, *MODEL, "--topo", "single,2", "--test", "pingpair"]
    done = run_script(*python, shutil.which("mn"), *arguments)
    assert done.status == 0, done
    assert "(2/2 received)" in done.err + done.out


def test_the_help_begins_with_what_is_ours(run_script):
    done = run_script(*KRONOS, "mn", "--help")
    assert (done.status, done.err) == (0, "")
    assert re.search(r"--link kronos\[,bw=.*^Usage: mn ", done.out, re.DOTALL | re.MULTILINE)


def test_links_without_a_delay_are_no_warning(run_script):
    done = run_script(*KRONOS, "mn", "--test", "pingpair")
    said = done.err + done.out
    assert "(timestep 1 ms; frames over links without a delay may be that late)" in said
    assert "choose a smaller timestep" not in said


def test_iperf_keeps_to_the_links_rate(run_script):
    done = run_script(*KRONOS, "mn", *MODEL, "--topo", "single,2", "--test", "iperf")
    assert done.status == 0, done
    rates = re.search(r"\*\*\* Results: \['([\d.]+) Mbits/sec', '([\d.]+) Mbits/sec'\]", done.err + done.out)
    assert rates, done
    assert float(rates[1]) == pytest.approx(9.56, rel=0.1)  # TCP's share of 10 Mbit/s


@pytest.mark.parametrize("switch", ["ovsbr", "lxbr", "ovsbr,pace=dilated,cpu_speed=2"])
def test_a_bridge_without_a_controller(run_script, switch):
    done = run_script(*KRONOS, "mn", "--switch", switch, "--controller", "none", "--test", "pingall")
    assert done.status == 0, done
    assert "(2/2 received)" in done.err + done.out


def test_switches_without_a_controller_forward_nothing(run_script):
    """As with Mininet, and nobody is waited for: flows can be added by hand."""
    done = run_script(*KRONOS, "mn", "--controller", "none", stdin="pingall\n")
    assert done.status == 0, done
    assert "(0/2 received)" in done.err + done.out


@pytest.mark.parametrize("option", ["--host", "--link", "--switch", "--controller"])
def test_defaults_by_name(run_script, option):
    name = "proc" if option == "--host" else "default"
    done = run_script(*KRONOS, "mn", option, name, "--test", "pingall")
    assert done.status == 0, done
    assert "(2/2 received)" in done.err + done.out


def test_the_controllers_messages_take_time(run_script):
    controller = "kronosryu,control_delay=2ms,pace=dilated"
    done = run_script(*KRONOS, "mn", "--controller", controller, "--test", "pingall")
    assert done.status == 0, done
    assert "(2/2 received)" in done.err + done.out


def test_a_test_that_fails_leaves_nothing(run_script):
    done = run_script(*KRONOS, "mn", "--test", "no-such-test")
    assert done.status != 0
    assert "no-such-test" in done.err


def test_round_trips_are_at_least_the_delays(run_script):
    done = run_script(*KRONOS, "mn", "--link", "kronos,delay=5ms", "--topo", "linear,2", "--test", "rtt,2")
    assert done.status == 0, done
    assert re.search(r"^h1 -> h2: 30\.\d+ to 3\d\.\d+ ms, delays 30 ms$", done.err + done.out, re.MULTILINE)


@pytest.mark.parametrize(
    "test", ["pingall", "pingpair", "iperfudp", "all", "none", "build", "pingall+run,2s", "pingAllFull"]
)
def test_mininets_own_tests(run_script, test):
    done = run_script(*KRONOS, "mn", "--link", "kronos,delay=1ms", "--test", test)
    assert done.status == 0, done
    assert "completed in" in done.err
    assert "Traceback" not in done.err


def test_several_custom_files(run_script, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from mininet.topo import Topo\n"
        "from mininet_kronos import KronosHost\n"
        "class Slow(KronosHost):\n"
        "    def __init__(self, name, factor=2, **params):\n"
        "        super().__init__(name, cpu_speed=1 / factor, **params)\n"
        "class Mine(Topo):\n"
        "    def build(self, n=2):\n"
        "        self.addSwitch('s1')\n"
        "        for i in range(n):\n"
        "            self.addLink(self.addHost(f'h{i}'), 's1', delay='2ms')\n"
        "hosts, topos = {'slow': Slow}, {'mine': Mine}\n"
        "tests = {'mine': lambda net: print('speed', net.experiment.host_status('h0').cpu_speed)}\n"
    )
    options = [
        "--custom",
        tmp_path / "mine.py",
        "--host",
        "slow,factor=4",
        "--topo",
        "mine,3",
        "--test",
        "mine",
    ]
    done = run_script(*KRONOS, "mn", *options)
    assert done.status == 0, done
    assert "speed 0.25" in done.out


def test_mn_cleans_up_what_is_ours_too(run_script):
    """In namespaces of its own: Mininet's clean-up kills by name, and removes files of /tmp."""
    hide = "" if sys.executable.startswith("/tmp/") else "mount -t tmpfs tmpfs /tmp; "
    script = (
        f"{hide}mount -t tmpfs tmpfs /run/kronos; mkdir /run/kronos/net-4000000-crashed; "
        'touch /run/kronos/4000000.sock; "$@" || exit; ls /run/kronos'
    )
    alone = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh"]
    done = run_script(*alone, *KRONOS, "mn", "-c")
    assert done.status == 0, done
    assert "*** Cleanup complete." in done.err
    assert done.out.splitlines() == [
        f"removed /run/kronos/{name}" for name in ("net-4000000-crashed", "4000000.sock")
    ]
