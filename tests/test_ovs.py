"""The net's own Open vSwitch, in real time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mininet_kronos import ovs
from mininet_kronos.errors import MissingProgramError, SwitchError
from mininet_kronos.ovs import PrivateOVS, clean_left_behind


@pytest.fixture
def private_ovs():
    daemons = PrivateOVS()
    daemons.start()
    yield daemons
    daemons.stop()


def tool(daemons, *command):
    environment = {**os.environ, **daemons.env}
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def interfaces():
    return {path.name for path in Path("/sys/class/net").iterdir()}


def alive(pids):
    return [pid for pid in pids if Path("/proc", str(pid)).exists()]


def test_the_tools_find_it_and_it_has_few_threads(private_ovs):
    assert "ovs-vswitchd" in tool(private_ovs, "ovs-appctl", "-t", "ovs-vswitchd", "version")
    tool(private_ovs, "ovs-vsctl", "add-br", "krt0", "--", "set", "bridge", "krt0", "datapath_type=netdev")
    assert "krt0" in tool(private_ovs, "ovs-ofctl", "show", "krt0")
    tasks = Path("/proc", str(private_ovs.processes["ovs-vswitchd"].pid), "task").glob("*/comm")
    names = [task.read_text().strip() for task in tasks]
    assert sum(name.startswith("handler") for name in names) == 1, names
    assert sum(name.startswith("revalidator") for name in names) == 1, names


def test_stop_leaves_nothing_behind():
    before = interfaces()
    daemons = PrivateOVS()
    daemons.start()
    directory, pids = Path(daemons.env["OVS_RUNDIR"]), [process.pid for process in daemons.processes.values()]
    tool(daemons, "ovs-vsctl", "add-br", "krt0", "--", "set", "bridge", "krt0", "datapath_type=netdev")
    assert interfaces() - before == {"krt0", "ovs-netdev"}
    daemons.stop()
    daemons.stop()
    assert interfaces() == before
    assert not directory.exists()
    assert alive(pids) == []
    with pytest.raises(SwitchError, match="not running"):
        _ = daemons.env


ORPHAN = """
import os, signal, subprocess
from mininet_kronos.ovs import PrivateOVS
daemons = PrivateOVS()
daemons.start()
add = "ovs-vsctl add-br krt0 -- set bridge krt0 datapath_type=netdev"
subprocess.run(add.split(), env={**os.environ, **daemons.env}, check=True)
print(daemons.directory, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_orchestrator_leaves_is_found_and_removed():
    before = interfaces()
    orphan = subprocess.run(
        [sys.executable, "-c", ORPHAN], capture_output=True, text=True, timeout=60, check=False
    )
    assert orphan.returncode == -signal.SIGKILL, orphan.stderr
    directory = Path(orphan.stdout.strip())
    pids = [int(path.read_text()) for path in directory.glob("*.pid")]
    assert len(alive(pids)) == 2
    with pytest.raises(SwitchError, match="another Open vSwitch"):
        PrivateOVS().start()
    assert directory in clean_left_behind()
    assert interfaces() == before
    assert not directory.exists()


def test_a_running_one_is_not_taken_for_a_leftover(private_ovs):
    assert private_ovs.directory not in clean_left_behind()
    tool(private_ovs, "ovs-vsctl", "show")


def test_a_device_that_nobody_holds_is_no_obstacle():
    subprocess.run(["ip", "tuntap", "add", "ovs-netdev", "mode", "tap"], check=True)
    try:
        daemons = PrivateOVS()
        daemons.start()
        daemons.stop()
        assert "ovs-netdev" not in interfaces()
    finally:
        subprocess.run(["ip", "link", "delete", "ovs-netdev"], check=False, capture_output=True)


def test_a_missing_open_vswitch_is_one_line_with_the_fix(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingProgramError, match=r"^ovsdb-tool is not installed; run: apt-get install \S+$"):
        PrivateOVS().start()


def test_a_daemon_that_ends_at_once_is_explained():
    daemons = PrivateOVS(["sh", "-c", "echo cannot register >&2; exit 126", "prefix"])
    with pytest.raises(SwitchError, match="ovsdb-server ended with status 126: cannot register"):
        daemons.start()
    assert daemons.directory is None


def test_the_prefix_comes_before_both_daemons(tmp_path):
    note = tmp_path / "commands"
    daemons = PrivateOVS(["sh", "-c", f'echo "$1" >>{note}; exec "$@"', "prefix"])
    daemons.start()
    daemons.stop()
    assert note.read_text().split() == ["ovsdb-server", "ovs-vswitchd"]


def test_the_run_directory_is_where_it_should_be(private_ovs):
    assert private_ovs.directory.parent == ovs.RUN_DIRECTORY
