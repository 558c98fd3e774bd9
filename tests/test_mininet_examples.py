"""Mininet's own example scripts in virtual time: nothing but their classes is changed."""

import re
import sys
from pathlib import Path

import mininet
import pytest

EXAMPLES = Path(mininet.__file__).parent / "examples"
CLASSES = {  # of Mininet's, by what takes their place
    "KronosNet": ("Mininet",),
    "KronosCLI": ("CLI",),
    "KronosHost": ("Node", "Host", "CPULimitedHost"),
    "KronosOVSSwitch": ("OVSSwitch", "OVSKernelSwitch", "UserSwitch"),
    "KronosRyu": ("Controller", "OVSController"),
    "KronosLink": ("Link", "TCLink"),
    "KronosIntf": ("Intf", "TCIntf"),
}
IMPORT = re.compile(r"^( *)from mininet\.(?:net|cli|node|link) import (\([^)]*\)|[^(\n]*)$", re.MULTILINE)


def convert(text: str) -> str:
    """Change an example's imports of classes."""
    ours = {old: new for new, olds in CLASSES.items() for old in olds}

    def replace(match: re.Match[str]) -> str:
        names = re.findall(r"\w+", match[2])
        return "\n".join(f"{match[1]}from mininet_kronos import {ours[name]} as {name}" for name in names)

    return IMPORT.sub(replace, text)


@pytest.fixture
def run_example(run_script, tmp_path):
    """Return a function that runs an example, with these lines typed at its command line."""

    def run(name, *lines, arguments=()):
        script = tmp_path / f"{name}.py"
        script.write_text(convert((EXAMPLES / f"{name}.py").read_text()))
        done = run_script(
            sys.executable, script, *arguments, stdin="".join(f"{line}\n" for line in lines), cwd=tmp_path
        )
        assert done.status == 0, done
        assert "Traceback" not in done.err, done
        return done.out + done.err

    return run


def test_emptynet(run_example):
    said = run_example("emptynet", "pingall", "time h1 ping -c3 h2")
    assert "(2/2 received)" in said
    assert "3 packets transmitted, 3 received, 0% packet loss, time 200" in said


def test_multilink(run_example):
    said = run_example("multilink", "pingall", "links")
    assert "(2/2 received)" in said
    assert said.count(" (OK OK)") == 4


def test_multitest(run_example):
    said = run_example("multitest", "time")
    assert "(12/12 received)" in said
    assert said.count("eth0: flags=") == 4
    assert re.search(r"virtual time: [\d.]+ m?s", said)


def test_numberedports(run_example):
    said = run_example("numberedports")
    assert said.count("Validated.") == 5
    assert "(20/20 received)" in said


def test_intfoptions(run_example):
    said = run_example("intfoptions")
    rates = re.findall(r"Results: \['([\d.]+) Mbits/sec'", said)
    assert float(rates[0]) == pytest.approx(9.5, rel=0.1)
    lossy = re.search(r"Results: \['10M', '([\d.]+) Mbits/sec', '([\d.]+)", said)
    assert lossy, said
    assert float(lossy[1]) == pytest.approx(5, rel=0.15)  # half is lost
    assert "Run a ping to confirm delay" in said  # which may be lost: the loss stays


def test_linuxrouter(run_example):
    said = run_example("linuxrouter", "pingall", "h1 ping -c1 h3")
    assert "172.16.0.0" in said
    assert "(12/12 received)" in said
    assert "ttl=63" in said


def test_bind(run_example):
    said = run_example(
        "bind",
        "h1 touch /var/mn/mine; ls /var/mn",
        "h2 ls -A /var/mn; echo nothing",
        "py h1.pexec('ls /var/mn')",
    )
    assert "Private Directories: ['/var/log', '/var/run', '/var/mn']" in said
    assert re.search(r"mine\s", said)
    assert re.search(r"^nothing$", said, re.MULTILINE)
    assert "('mine\\n', '', 0)" in said


def test_popen(run_example):
    said = run_example("popen")
    for i in range(1, 6):
        assert said.count(f"<h{i}>: 64 bytes from") == 5, said
    assert said.count("5 packets transmitted, 5 received, 0% packet loss") == 5


def test_popenpoll(run_example):
    said = run_example("popenpoll")
    assert len(re.findall(r"^<h\d>: 64 bytes from 10\.0\.0\.1: ", said, re.MULTILINE)) > 30


def test_simpleperf(run_example):
    said = run_example("simpleperf", arguments=["testmode"])
    results = re.search(r"Results: \['10M', '([\d.]+) Mbits/sec', '([\d.]+) Mbits/sec'\]", said)
    assert results, said
    assert float(results[1]) == pytest.approx(10, rel=0.1)


def test_controllers2(run_example):
    said = run_example("controllers2", "pingall")
    assert said.count("(12/12 received)") == 2
