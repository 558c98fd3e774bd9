"""kronos doctor: found or not, what follows, the fix; and the other verbs' help."""

import platform
import re
import sys
from pathlib import Path

import pytest

from mininet_kronos import doctor

KRONOS = [sys.executable, "-m", "mininet_kronos"]
TOPICS = (
    "kernel", "processor", "time stamp counter", "CPUs", "instruction counter (PMU)", "ptrace",
    "seccomp filters", "perf events", "BPF", "real-time scheduling", "cgroups", "root", "Mininet",
    "programs", "TUN", "Ryu", "netem", "kernel datapath", "kronos.ko",
)  # fmt: skip


def test_every_topic_is_examined(run_script):
    done = run_script(*KRONOS, "doctor")
    assert done.status == 0, done
    for topic in (*TOPICS, "self-test"):
        assert re.search(rf"^(ok|note) +{re.escape(topic)} ", done.out, re.MULTILINE), topic
    assert "user engine: would run\n" in done.out
    assert re.search(r"^kernel engine: would (run|not run: .*)$", done.out, re.MULTILINE)


def test_the_exit_status_is_about_an_engine(run_script):
    for engine in doctor.ENGINES:
        done = run_script(*KRONOS, "doctor", "--engine", engine)
        assert (done.status == 0) == (f"{engine} engine: would run\n" in done.out), done


@pytest.fixture
def pretend(monkeypatch):
    """Return a function that pretends a setting below /proc/sys, or a file that is missing."""

    def pretend(setting=None, value=None, missing=None):
        real, exists = doctor._setting, Path.exists
        monkeypatch.setattr(doctor, "_setting", lambda name: value if name == setting else real(name))
        monkeypatch.setattr(Path, "exists", lambda path: str(path) != missing and exists(path))
        return {finding.topic: finding for check in doctor.CHECKS[:-1] for finding in check()}

    return pretend


@pytest.mark.parametrize(
    ("setting", "value", "topic", "fix"),
    [
        ("kernel/yama/ptrace_scope", "3", "ptrace", "reboot"),
        ("kernel/seccomp/actions_avail", "kill errno", "seccomp filters", "CONFIG_SECCOMP_FILTER"),
        ("kernel/perf_event_paranoid", None, "perf events", "CONFIG_PERF_EVENTS"),
        ("kernel/sched_rt_runtime_us", "0", "real-time scheduling", "sysctl -w kernel.sched_rt"),
    ],
)  # fmt: skip
def test_what_the_engine_cannot_do_without(pretend, setting, value, topic, fix):
    findings = pretend(setting, value)
    finding = findings[topic]
    assert finding.verdict == "PROBLEM"
    assert finding.follows
    assert fix in finding.fix
    assert not doctor.would_run(doctor.USER, list(findings.values()))


@pytest.mark.parametrize("path", ["/sys/kernel/btf/vmlinux", "/dev/kronos"])
def test_what_it_can_do_without(pretend, path):
    findings = pretend(missing=path)
    topic = "BPF" if "btf" in path else "kronos.ko"
    assert findings[topic].verdict == "note"
    assert findings[topic].fix
    assert doctor.would_run(doctor.USER, list(findings.values()))
    assert path != "/dev/kronos" or not doctor.would_run(doctor.KERNEL, list(findings.values()))


def test_an_old_kernel(pretend, monkeypatch):
    monkeypatch.setattr(platform, "release", lambda: "5.15.0-91-generic")
    finding = pretend()["kernel"]
    assert (finding.verdict, finding.found) == ("PROBLEM", "Linux 5.15.0-91-generic")


@pytest.mark.parametrize("verb", ["doctor", "clean", "mn-path", "completion", "version"])
def test_help_of_every_verb(run_script, verb):
    done = run_script(*KRONOS, verb, "--help")
    assert (done.status, done.err) == (0, "")
    assert re.match(rf"usage: kronos {verb} \[-h\]", done.out)
    assert re.search(r"^[A-Z].*\.", done.out, re.MULTILINE), "a description"


@pytest.mark.parametrize("shell", ["zsh", "fish", "tcsh"])
def test_completion_for_other_shells(run_script, shell):
    script = run_script(*KRONOS, "completion", shell).out
    assert "verify" in script
    assert "cpu-speed" in script


def test_a_reader_that_has_read_enough(run_script):
    done = run_script("bash", "-c", f"{' '.join(KRONOS)} completion bash | head -n 1")
    assert (done.out.count("\n"), done.err) == (1, "")


def test_no_blanks_at_the_ends_of_lines(run_script):
    assert not re.search(r" $", run_script(*KRONOS, "doctor").out, re.MULTILINE)


def test_completion_completes(run_script):
    script = run_script(*KRONOS, "completion", "bash").out
    ask = (
        "COMP_WORDS=(kronos do); COMP_CWORD=1; eval \"$(complete -p kronos | sed -E 's/.*-F (\\S+).*/\\1/')\""
    )
    done = run_script("bash", "-c", f"{script}\n{ask}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    assert done.out == "doctor\n", done
