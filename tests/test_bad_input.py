"""Bad input: one clear line with the fix, a non-zero exit status, no traceback, nothing changed."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mininet.link import TCLink
from mininet.topo import SingleSwitchTopo, Topo

from mininet_kronos import KronosError, KronosNet
from tests.conftest import Pair

# Parameters: the network is refused before anything starts

REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "timestep 0": ({}, {"timestep": 0}, "timestep 0 would never get anywhere; use for example '100us'"),
    "negative timestep": ({}, {"timestep": "-1ms"}, "timestep '-1ms' is negative; it must be 0 or more"),
    "endless timestep": ({}, {"timestep": "1e30s"}, "timestep '1e30s' is longer than ten years; use .*"),
    "no unit": ({}, {"timestep": "5"}, "timestep '5': it has no unit; write for example '100us', .*"),
    "no time": ({}, {"timestep": "soon"}, "timestep 'soon' is not understood; write '100us', .*"),
    "seed": ({}, {"seed": -1}, "seed -1 must be a whole number from 0"),
    "epoch": ({}, {"epoch": "today"}, "epoch 'today' must be a number of seconds since 1970"),
    "xterms": ({}, {"xterms": True}, "KronosNet has no xterms: .*; use the CLI"),
    "negative delay": ({"delay": "-1ms"}, {}, r"h1-eth0: delay '-1ms' is negative; it must be 0 or more"),
    "endless delay": ({"delay": "9300000000s"}, {}, r"h1-eth0: delay '9300000000s' is longer than ten .*"),
    "delay without unit": ({"delay": 5}, {}, r"h1-eth0: delay 5 has no unit; write for example '5ms' .*"),
    "bw": ({"bw": 0}, {}, r"h1-eth0: bw 0 must be more than 0 Mbit/s; leave it out for no limit"),
    "tiny bw": ({"bw": 1e-15}, {}, r"h1-eth0: bw 1e-15 is below 1 bit/s; use at least '1bit'"),
    "loss": ({"loss": 101}, {}, r"h1-eth0: loss 101 is out of range; .* from 0 to 100"),
    "jitter": ({"jitter": "x"}, {}, r"h1-eth0: jitter 'x' is not understood; write .*"),
    "queue": ({"max_queue_size": 0}, {}, r"h1-eth0: max_queue_size 0 must be a whole number from 1"),
    "long queue": ({"max_queue_size": 2**64}, {}, r"h1-eth0: max_queue_size \d+ is too large; .*"),
    "two losses": ({"loss": 1, "loss_gemodel": 1}, {}, r"h1-eth0: loss and loss_gemodel exclude .*"),
    "bursts": ({"loss_gemodel": ()}, {}, r"h1-eth0: loss_gemodel \(\): write p, r, 1-h and 1-k, .*"),
    "gap": ({"gap": 5}, {}, r"h1-eth0: gap says which frames are reordered; give reorder, .*"),
    "reorder": ({"reorder": 5, "delay": None}, {}, r"h1-eth0: reorder needs a delay, .*"),
    "distribution": ({"distribution": "x"}, {}, r"h1-eth0: distribution 'x' is unknown; use uniform, .*"),
    "flag": ({"enable_red": "x"}, {}, r"h1-eth0: enable_red 'x' is not understood; write True or False"),
    "cpu_speed range": ({"host": {"cpu_speed": 1e-9}}, {}, "h1: cpu_speed 1e-09 is out of range; .*"),
    "cpu_speed": ({"host": {"cpu_speed": 0}}, {}, "h1: cpu_speed 0 must be a number above 0, or 'inf'"),
    "counter": ({"host": {"counter": "x"}}, {}, "h1: counter 'x' is unknown; use one of auto, .*"),
}


def one_line(problem):
    text = str(problem)
    assert "\n" not in text, text
    return text


@pytest.mark.parametrize("what", REFUSED)
def test_a_parameter_is_refused(what):
    link, params, expected = REFUSED[what]
    with pytest.raises(KronosError) as raised:
        KronosNet(topo=Pair(**link), **params)
    assert re.fullmatch(expected, one_line(raised.value)), raised.value


def test_parameters_that_look_like_ours_are_warned_of(make_net, caplog):
    """Mininet passes over what nobody knows: a script that says dealy has no delay."""
    make_net(Pair(hosts=1, host={"cpu_sped": 2, "mine": 1}, dealy="5ms"), start=False)
    assert "*** h1: there is no parameter 'cpu_sped'; did you mean cpu_speed?" in caplog.text
    assert "*** h1-s1: there is no parameter 'dealy'; did you mean delay?" in caplog.text
    assert caplog.text.count("there is no parameter") == 2


def test_a_long_interface_name_is_refused():
    class Long(Topo):
        def build(self):
            self.addLink(self.addHost("averylonghostname"), self.addSwitch("s1"))

    with pytest.raises(KronosError) as raised:
        KronosNet(topo=Long())
    assert re.fullmatch(r".*averylonghostname-eth0.*give the node a shorter name", one_line(raised.value))


def test_a_node_that_is_outside_virtual_time_is_refused():
    from mininet.node import Host, RemoteController

    for params in {"host": Host}, {"controller": RemoteController}:
        with pytest.raises(KronosError) as raised:
            KronosNet(topo=Pair(), **params)
        assert re.fullmatch(r"\w+: \w+ is outside virtual time; use KronosHost, .*", one_line(raised.value))


def test_a_link_that_is_outside_virtual_time_is_refused():
    for link in TCLink, partial(TCLink, bw=10):
        with pytest.raises(KronosError) as raised:
            KronosNet(topo=Pair(), link=link)
        said = one_line(raised.value)
        assert said == "h1-s1: TCLink is outside virtual time; use KronosLink, which is the default"


def test_a_class_is_no_topology():
    with pytest.raises(KronosError) as raised:
        KronosNet(topo=Pair)
    assert re.fullmatch(r"topo <class .*> is no topology; .*, such as MyTopo\(\)", one_line(raised.value))


CALLS = [
    (lambda net: net["h9"], "there is no node 'h9'; there are .*h1.*"),
    (lambda net: net.get("h1", "h9"), "there is no node 'h9'; there are .*h1.*"),
    (lambda net: net.run("-1s"), "duration '-1s' is negative; it must be 0 or more"),
    (lambda net: net.run("5"), "duration '5': it has no unit; write .*"),
    (lambda net: net.progress(-1), "rounds -1 must be a whole number from 0"),
    (lambda net: net.progress(1.5), "rounds 1.5 must be a whole number from 0"),
    (lambda net: net.links[0].intf1.config(delay="-1ms"), "h1-eth0: delay '-1ms' is negative; .*"),
    (lambda _net: KronosNet(topo=Pair()), r"there is a KronosNet already; call its stop\(\) first"),
]


def test_a_running_network_refuses_and_goes_on(make_net):
    net = make_net(Pair(hosts=1))
    for call, expected in CALLS:
        before = net.now
        with pytest.raises(KronosError) as raised:
            call(net)
        assert re.fullmatch(expected, one_line(raised.value)), raised.value
        assert net.now == before
    assert net["h1"].cmd("echo alive").strip() == "alive"


@pytest.mark.parametrize("what", ["before", "after"])
def test_time_does_not_pass_without_a_running_network(make_net, what):
    net = make_net(Pair(hosts=1), start=False)
    if what == "after":
        net.stop()
    with pytest.raises(KronosError) as raised:
        net.run("1s")
    expected = {
        "before": r"virtual time is not frozen; call net.start\(\) first, .*",
        "after": "the network has been stopped; make a new KronosNet",
    }
    assert re.fullmatch(expected[what], str(raised.value)), raised.value


# The machine: a script or command says what is missing

SCRIPT = (
    "from mininet.topo import SingleSwitchTopo; from mininet_kronos import KronosNet\n"
    "KronosNet(topo=SingleSwitchTopo(2)).start()\n"
)
KRONOS = [sys.executable, "-m", "mininet_kronos"]
HIDDEN = "import sys; sys.modules[{0!r}] = None; sys.argv[0] = 'kronos'; sys.dont_write_bytecode = True\n"


def without(program):
    """Return a command prefix in front of which a program is missing."""
    path = shutil.which(program)
    return ["unshare", "--mount", "sh", "-ec", f'mount --bind /dev/null {path}; exec "$@"', "sh"]


def last_line(done):
    """Return the error of a script: the last line; what Mininet logs may come before it."""
    assert done.status not in (0, None), done
    return [line for line in done.err.splitlines() if line.strip()][-1]


@pytest.mark.parametrize(
    ("hidden", "package"),
    [
        ("ovs-vsctl", "openvswitch-switch"),
        ("ovs-vswitchd", "openvswitch-switch"),
        ("mnexec", "mininet"),
        ("ifconfig", "net-tools"),
    ],
)
def test_a_missing_program_is_named_with_its_package(run_script, hidden, package):
    wanted = f"{hidden} is not installed; run: apt-get install {package}"
    done = run_script(*without(hidden), sys.executable, "-c", SCRIPT)
    assert last_line(done).endswith(f"MissingProgramError: {wanted}")
    for command in ["mn", "--topo", "single,2", "--test", "none"], ["doctor"]:
        done = run_script(*without(hidden), *KRONOS, *command)
        assert done.status == 1, done
        assert wanted in done.err + done.out
        assert "Traceback" not in done.err


def test_a_missing_mn_is_named(run_script):
    done = run_script(*without("mn"), *KRONOS, "mn")
    assert (done.status, done.one_line()) == (1, "kronos: mn is not installed; run: apt-get install mininet")


CHROOT = """
mount -t tmpfs kronos-test "$1"
for part in /*; do
    [ -d "$part" ] || continue
    mkdir -p "$1$part"
    mount --rbind "$part" "$1$part"
done
exec chroot "$@"
"""


def test_a_chroot_is_refused_before_mininet_hangs(run_script, tmp_path):
    chroot = ["unshare", "--mount", "sh", "-ec", CHROOT, "sh", tmp_path]
    done = run_script(*chroot, *KRONOS, "mn", "--test", "pingall", cwd="/")
    assert (done.status, "this is a chroot" in done.one_line(), done.out) == (1, True, ""), done
    done = run_script(*chroot, *KRONOS, "doctor", cwd="/")
    assert done.status == 1, done
    assert re.search(r"^PROBLEM +namespaces +this is a chroot.* use a container", done.out, re.MULTILINE)


def test_a_users_path_will_do(run_script):
    """On Debian it lacks the directories in which ifconfig and ovs-vswitchd are; `su` keeps it."""
    env = {"PATH": "/usr/bin:/bin"}
    assert run_script(*KRONOS, "mn", "--topo", "single,2", "--test", "pingall", env=env).status == 0
    assert "PROBLEM" not in run_script(*KRONOS, "doctor", env=env).out


@pytest.mark.parametrize("command", ["doctor", "clean"])
def test_a_missing_mininet_is_explained(run_python, command):
    code = (
        HIDDEN.format("mininet") + f"from mininet_kronos.__main__ import main; sys.exit(main([{command!r}]))"
    )
    done = run_python(code)
    if command == "clean":  # needs none
        assert done.status == 0, done
        return
    assert done.status == 1
    assert "apt-get install mininet" in done.out + done.err
    assert "Traceback" not in done.err


def test_a_missing_mininet_is_explained_to_a_script(run_python):
    done = run_python(HIDDEN.format("mininet") + "from mininet_kronos import KronosNet")
    assert re.search(r"MissingProgramError: Mininet is not installed for \S+; run: .*", last_line(done))


def test_a_missing_ryu_is_explained(run_python):
    code = (
        "import importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name in ('ryu', 'os_ken') else find(name, *rest)\n"
    )
    done = run_python(code + SCRIPT)
    expected = (
        r".*MissingProgramError: Ryu is not installed for \S+; run make setup, and use .venv/bin/python"
    )
    assert re.fullmatch(expected, last_line(done)), done


# No root


@pytest.fixture
def nobody(tmp_path_factory):
    """Return a command prefix that becomes nobody, and the package where nobody may read it."""
    directory = tmp_path_factory.mktemp("nobody")
    package = directory / "mininet_kronos"
    shutil.copytree(
        Path(__file__).parents[1] / "mininet_kronos",
        package,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in "rich", "markdown_it", "mdurl", "pygments":  # of its .venv, which he may not read either
        found = importlib.util.find_spec(name)
        assert found
        assert found.origin
        shutil.copytree(Path(found.origin).parent, directory / name)
    for path in directory, *directory.parents:
        if path == Path("/"):
            break
        path.chmod(path.stat().st_mode | 0o055)
    env = {**os.environ, "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/"}
    prefix = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "/usr/bin/python3"]
    return prefix, {"env": env, "cwd": directory}


NO_ROOT = "a network needs root; run the same command with sudo"


def test_no_root_in_a_script(run_script, nobody):
    prefix, params = nobody
    done = run_script(*prefix, "-c", SCRIPT, **params)
    assert last_line(done).endswith(f"KronosError: {NO_ROOT}")


@pytest.mark.parametrize("command", ["clean", "doctor"])
def test_no_root_in_a_command(run_script, nobody, command):
    prefix, params = nobody
    done = run_script(*prefix, "-m", "mininet_kronos", command, **params)
    assert done.status == 1, done
    assert NO_ROOT in done.out + done.err
    assert "Traceback" not in done.err


def test_no_root_in_mn(run_script, nobody):
    prefix, params = nobody
    done = run_script(*prefix, "-m", "mininet_kronos", "mn", "--test", "pingall", **params)
    assert done.status != 0, done
    assert "Traceback" not in done.err
    assert "root" in done.one_line()


# The command line


def test_no_verb_is_explained(run_script):
    done = run_script(*KRONOS)
    assert done.status == 2
    assert "usage: kronos" in done.err


def test_an_unknown_verb_is_explained(run_script):
    done = run_script(*KRONOS, "fly")
    assert done.status == 2
    assert "invalid choice: 'fly'" in done.err
    assert "Traceback" not in done.err


def test_the_verbs_that_change_nothing(run_script):
    assert re.fullmatch(r"kronos \d+\.\d+\S*\n", run_script(*KRONOS, "version").out)
    custom = Path(run_script(*KRONOS, "mn-path").out.strip())
    assert custom.is_file()
    done = run_script(*KRONOS, "--help")
    assert done.status == 0
    for verb in "mn", "doctor", "clean", "mn-path", "completion", "version":
        assert re.search(rf"^ +{verb}( |$)", done.out, re.MULTILINE), done.out


def test_doctor_finds_this_machine_good(run_script):
    done = run_script(*KRONOS, "doctor")
    assert done.status == 0, done
    assert "PROBLEM" not in done.out
    assert "engine:" in done.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--link", "kronos,delay=-5ms"], "delay '-5ms' is negative; it must be 0 or more"),
        (["--link", "kronos,delay=5"], "delay 5 has no unit"),
        (["--host", "kronos,cpu_speed=0"], "cpu_speed 0 must be a number above 0"),
        (["--controller", "kronosryu,apps=no.such.app"], "no.such.app"),
        (["--innamespace"], "--innamespace is outside virtual time"),
        (["--xterms"], "-x is outside virtual time"),
        (["--pin"], "--pin is outside virtual time"),
        (["--ipbase", "ten"], "--ipbase ten is no network"),
        (["--pre", "no-such-file"], "--pre no-such-file cannot be read"),
        (["--nat"], "--nat is outside virtual time"),
        (["--cluster", "localhost"], "--cluster is outside virtual time"),
        (["--host", "kronos,cpu_sped=2"], "there is no parameter 'cpu_sped'; did you mean cpu_speed?"),
        (["--host", "kronos,counter=cycles"], "counter 'cycles' is unknown"),
        (["--host", "cfs"], "'cfs' is outside virtual time; use --host kronos"),
        (["--host", "none"], "none is unknown; use one of kronos, proc"),
        (["--switch", "ivs"], "'ivs' is outside virtual time; use --switch kronosovs"),
        (["--switch", "kronosovs,failmode=secure"], "did you mean failMode?"),
        (["--link", "ovs"], "ovs is unknown; use one of default, kronos"),
        (["--link", "kronos,dealy=1ms"], "there is no parameter 'dealy'; did you mean delay?"),
        (["--controller", "ref"], "'ref' is outside virtual time; use --controller kronosryu"),
        (["--controller", "kronosryu,pace=slow"], "pace 'slow' is unknown"),
        (["--controller", "kronosryu,no_such_app.py"], "Ryu application no_such_app.py does not exist"),
        (["--host", "kronos,cores=0"], "'kronos,cores=0': cores 0 must be a whole number from 1"),
        (["--topo", "tree,two"], "; its parameters are depth=1, fanout=2"),
        (["--topo", "star"], "--topo star is unknown; use one of linear, minimal"),
        (["--test", "pingal"], "--test pingal is unknown; use one of"),
    ],
)
def test_mn_refuses_in_one_line(run_script, arguments, expected):
    options = arguments if "--test" in arguments else [*arguments, "--test", "none"]
    done = run_script(*KRONOS, "mn", *options)
    assert done.status == 1, done
    assert "Traceback" not in done.err
    assert "*** Creating network" not in done.err
    errors = [line for line in done.err.splitlines() if line.startswith("*** Error: ")]
    assert len(errors) == 1, done
    assert expected in errors[0]


def test_a_crashed_networks_leftovers_are_named(make_net):
    """An interface of the same name, whose Mininet has gone, is in the way."""
    subprocess.run(["ip", "tuntap", "add", "s1-eth1", "mode", "tap"], check=True)
    try:
        with pytest.raises(KronosError) as raised:
            KronosNet(topo=SingleSwitchTopo(1))
        assert re.fullmatch(r"interface s1-eth1 exists already; stop .*", one_line(raised.value))
    finally:
        subprocess.run(["ip", "link", "delete", "s1-eth1"], check=True)
