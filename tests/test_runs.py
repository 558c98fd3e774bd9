"""What a run leaves, and what one makes of it: kronos run, verify, compare, report; the pytest fixture."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from mininet_kronos.__main__ import main
from mininet_kronos.runs.compare import compare
from mininet_kronos.runs.directory import HOSTS, LINKS, ROUNDS, SCHEMA, LogLine, RunDirectory

pytest_plugins = ["pytester"]

SCRIPT = """
import sys
from mininet.topo import Topo
from mininet_kronos import KronosNet

class Pair(Topo):
    def build(self):
        switch = self.addSwitch("s1")
        for name in "h1", "h2":
            self.addLink(self.addHost(name), switch, bw=100, delay="10ms", jitter="1ms")

net = KronosNet(topo=Pair())
net.start()
h1, h2 = net.get("h1", "h2")
print(h1.cmd("ping -c 5", h2.IP()))
h2.popen(["sh", "-c", "echo one; sleep 1; echo two >&2"]).communicate()
print(h1.cmd(*sys.argv[1:]) if sys.argv[1:] else "no more")
net.run("500ms")
net.stop()
"""
REPEATABLE = ("--counter", "free", "--seed", "7", "--epoch", "1000000000")


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture
def kronos(run_script):
    return lambda *words, **params: run_script(sys.executable, "-m", "mininet_kronos", *words, **params)


@pytest.fixture
def run(kronos, script, tmp_path):
    """A run's directory, and what kronos printed."""
    done = kronos("run", "--out", tmp_path / "run", *REPEATABLE, script)
    assert done.status == 0, done
    return RunDirectory(tmp_path / "run"), done


def test_a_run_leaves_all_that_one_needs_to_know(run):
    directory, done = run
    assert "5 packets transmitted, 5 received" in done.out
    assert f"the run is in {directory.path}" in done.err
    assert directory.config["parameters"]["seed"] == 7
    assert {node["name"]: node["kind"] for node in directory.config["nodes"]} == {
        "h1": "host", "h2": "host", "s1": "switch", "c0": "controller",
    }  # fmt: skip
    assert directory.config["links"][0]["directions"][0]["delay_ns"] == 10_000_000
    assert directory.config["versions"]["openvswitch"]
    summary = directory.summary
    assert summary["status"] == "stopped"
    assert {host["clock_ns"] for host in summary["hosts"].values()} == {summary["virtual_ns"]}
    assert summary["stats"]["rounds"] * 1_000_000 >= summary["virtual_ns"]


def test_samples_are_tables_that_pandas_reads(run):
    directory, _done = run
    links = pandas.read_csv(directory.path / "links.csv")
    sent = links[links.direction == "h1-eth0->s1-eth1"]
    assert (sent.virtual_ns.diff().dropna() > 0).all()
    assert sent.virtual_ns.diff().dropna().median() == 100_000_000
    assert sent.tx_frames.iloc[-1] >= 6  # ARP and five pings
    rounds = pandas.read_csv(directory.path / "rounds.csv")
    assert rounds.virtual_ns.iloc[-1] == directory.summary["virtual_ns"]
    hosts = pandas.read_csv(directory.path / "hosts.csv")
    assert set(hosts.host) == {"h1", "h2", "ovs", "c0"}


def test_every_column_and_key_is_documented(run):
    directory, _done = run
    page = (Path(__file__).parents[1] / "docs" / "run-directory.md").read_text()
    assert f"`schema` in both JSON files is {SCHEMA};" in page
    named = set(re.findall(r"`([^`]+)`", page.split("## Schema")[1].split("\n## ")[0]))
    tables = {column for table in (ROUNDS, HOSTS, LINKS) for column in table}
    node, link = directory.config["nodes"][0], directory.config["links"][0]
    keys = {*directory.config, *directory.config["parameters"], *directory.summary, *node, *link}
    assert tables | keys <= named


def test_logs_say_when_a_line_was_written(run):
    directory, _done = run
    pings = [line for line in directory.log_lines("h1") if "icmp_seq" in line.text]
    assert [int(float(line.virtual)) for line in pings] == [0, 1, 2, 3, 4]
    one, two = list(directory.log_lines("h2"))
    assert (one.source, one.text, two.source, two.text) == ("1 stdout", "one", "1 stderr", "two")
    assert float(two.virtual) - float(one.virtual) == pytest.approx(1, abs=0.002)
    assert any("learning_switch" in line.text for line in directory.log_lines("c0"))
    assert LogLine.parse(str(one)) == one


def test_the_report_opens_by_itself_in_a_browser(run, tmp_path):
    directory, _done = run
    page = directory.path / "report.html"
    text = page.read_text()
    assert text.count("<svg") >= 6
    assert "src=" not in text
    assert 'href="http' not in text
    browser = shutil.which("chromium")
    assert browser, "chromium is missing; fix: make setup"
    shown = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    for heading in ("Topology", "Throughput", "Queues", "Round trips", "CPU time", "Slowest hosts"):
        assert f"<h2>{heading}</h2>" in shown
    for name in ("h1", "h2", "s1", "h1-eth0-&gt;s1-eth1"):
        assert name in shown


def test_verify_finds_equal_runs_equal(kronos, script):
    done = kronos("verify", *REPEATABLE, script)
    assert done.status == 0, done
    assert "the runs are equal in all" in done.out


def test_verify_names_the_first_difference(kronos, script):
    done = kronos("verify", *REPEATABLE, script, "head -c 8 /dev/urandom | od -x")
    assert done.status == 2, done
    assert "the first difference is in log of h1, line" in done.out


def test_verify_says_why_runs_on_cpu_time_differ(kronos, script):
    done = kronos("verify", "--seed", "7", script, "head -c 10000000 /dev/zero | md5sum")
    assert done.status == 2, done
    assert re.search(
        r"^the runs differ in .* parts.*; the work of h1, h2 is measured as CPU time, which varies "
        r"\(--counter free repeats\), and the wall clock went on from the day's \(--epoch sets it\)$",
        done.out,
        re.MULTILINE,
    )


def test_runs_that_differ_in_times_alone(run, tmp_path):
    directory, _done = run
    shutil.copytree(directory.path, tmp_path / "other")
    log = tmp_path / "other" / "logs" / "h2.log"
    virtual, rest = log.read_text().split("\t", 1)
    log.write_text(f"{float(virtual) + 0.0015:.9f}\t{rest}")
    comparison = compare(directory, RunDirectory(tmp_path / "other"))
    assert re.fullmatch(
        r"the runs differ in 1 of \d+ parts, in times alone, by at most 1\.5 ms", comparison.verdict
    )
    log.write_text(f"{float(virtual) + 0.0015:.9f}\t{rest.replace('one', 'eins')}")
    comparison = compare(directory, RunDirectory(tmp_path / "other"))
    assert re.fullmatch(r"the runs differ in 1 of \d+ parts", comparison.verdict)


def test_captures_that_the_command_line_asks_for(kronos, script, tmp_path):
    done = kronos("run", "--capture", "h1-eth0", "--capture", "all", "--out", tmp_path / "run", script)
    assert done.status == 0, done
    names = {path.name for path in (tmp_path / "run" / "captures").glob("*.pcap")}
    assert names == {"h1-eth0.pcap", "h2-eth0.pcap", "s1-eth1.pcap", "s1-eth2.pcap"}
    done = kronos("run", "--capture", "h9-eth0", "--out", tmp_path / "other", script)
    assert (done.status, done.err.splitlines()[-1]) == (
        1,
        "kronos: there is no interface 'h9-eth0'; there are h1-eth0, s1-eth1, h2-eth0, s1-eth2",
    )


def test_compare_finds_another_seed(kronos, script, run, tmp_path, capsys):
    directory, _done = run
    other = tmp_path / "other"
    assert kronos("run", "--quiet", "--out", other, *REPEATABLE, "--seed", "8", script).status == 0
    assert main(["compare", str(directory.path), str(other)]) == 2
    said = capsys.readouterr().out
    assert "parameters, seed:\n  first:  7\n  second: 8" in said
    assert main(["compare", str(directory.path), str(directory.path)]) == 0


def test_a_script_that_fails_is_said_to_have_failed(kronos, tmp_path):
    script = tmp_path / "failing.py"
    script.write_text(SCRIPT.replace('net.run("500ms")', "1 / 0"))
    done = kronos("run", "--out", tmp_path / "run", script)
    assert done.status == 1
    assert "ZeroDivisionError: division by zero" in done.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "ZeroDivisionError: division by zero"


def test_a_directory_that_has_gone_stops_no_network(kronos, tmp_path):
    script = tmp_path / "removing.py"
    remove = f"import shutil; shutil.rmtree({str(tmp_path / 'run')!r})"
    script.write_text(SCRIPT.replace("net.stop()", remove))
    done = kronos("run", "--out", tmp_path / "run", script)
    assert done.status == 1, done
    assert "What the run has left is not complete: " in done.err
    assert done.err.splitlines()[-1].startswith(f"kronos: {tmp_path}/run/config.json cannot be read")
    assert "Traceback" not in done.err


def test_damaged_directories_get_one_line(run, tmp_path, capsys):
    directory, _done = run
    for name, content, said in (
        ("config.json", "[]", "config.json cannot be read; name"),
        ("config.json", '{"schema": 0}', "config.json has schema 0, not 1; use the version"),
        ("config.json", '{"schema": 1}', "config.json is damaged: it has no command, started, parameters, "),
        ("summary.json", None, "summary.json is missing: the run goes on, or was killed"),
        ("links.csv", None, "links.csv cannot be read: No such file or directory"),
    ):
        damaged = tmp_path / "damaged"
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(directory.path, damaged)
        (damaged / name).unlink()
        if content:
            (damaged / name).write_text(content)
        for words in ["report", damaged], ["compare", directory.path, damaged]:
            assert main([*map(str, words)]) == 1
            err = capsys.readouterr().err
            assert said in err
            assert err.count("\n") == 1


def test_bad_input_gets_one_line(tmp_path, capsys):
    plain = tmp_path / "plain.py"
    plain.write_text("print('no network')")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").touch()
    for words, said in (
        (["run", "nowhere.py"], "script nowhere.py does not exist"),
        (["run", str(taken)], f"script {taken} is no file that can be read"),
        (["run", "--seed", "x", str(plain)], "--seed x is not a whole number"),
        (["run", "--cpu-speed", "fast", str(plain)], "--cpu-speed fast is not a number"),
        (["run", "--out", str(tmp_path / "new"), str(plain)], "has made no KronosNet"),
        (["run", "--out", str(taken), str(plain)], "is not empty"),
        (["report", str(tmp_path)], "cannot be read"),
        (["compare", str(tmp_path), str(tmp_path)], "cannot be read"),
    ):
        assert main(words) == 1
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1


def test_progress_is_told_in_plain_lines_where_there_is_no_terminal(run):
    _directory, done = run
    last = next(line for line in done.err.splitlines() if "virtual s/s" in line)
    assert "rounds" in last
    assert "busiest" in last


def test_the_fixture_starts_and_stops_a_network(pytester):
    pytester.makepyfile(
        """
        from mininet.topo import MinimalTopo

        def test_reach(kronos_net):
            net = kronos_net(MinimalTopo())
            assert net.pingAll() == 0
            assert net["h1"].cmd("date +%Y").strip() == "2001"

        def test_fails(kronos_net):
            kronos_net(MinimalTopo())
            assert False
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*runs in virtual time*", "*run-1"])
    (directory,) = Path(pytester.path).parent.glob("**/test_reach0/run-1")
    assert RunDirectory(directory).summary["status"] == "stopped"
