"""Every file in topologies/: as a script, with the model's figures, and in mn."""

import re
import sys
from pathlib import Path

import pytest

TOPOLOGIES = Path(__file__).parents[1] / "topologies"
NAMES = sorted(path.stem for path in TOPOLOGIES.glob("*.py"))
SMALL = {"ring": "ring,n=2", "fat_tree": "fat_tree,fanout=2", "star": "star,k=4", "linear": "linear,k=3"}


@pytest.fixture
def run_topology(run_script):
    """Return a function that runs a topology's script; it returns what it has printed."""

    def run(name, *options):
        done = run_script(sys.executable, TOPOLOGIES / f"{name}.py", *options, limit=250)
        assert done.status == 0, done
        assert "Traceback" not in done.err, done.err
        return done.out

    return run


def test_all_are_tested():
    assert sorted(SMALL) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_in_mn(run_script, name):
    done = run_script(
        sys.executable, "-m", "mininet_kronos", "mn",
        "--custom", TOPOLOGIES / f"{name}.py", "--topo", SMALL[name], "--test", "pingall",
    )  # fmt: skip
    assert done.status == 0, done
    assert "*** Results: 0% dropped" in done.out + done.err, done


@pytest.mark.parametrize("name", NAMES)
def test_help(run_topology, name):
    assert "usage:" in run_topology(name, "--help")


def test_ring(run_topology):
    """Every flow has its rate: iperf sends whole datagrams, so within 0.5 %."""
    out = run_topology("ring", "--n", "3", "--rate", "20", "--time", "1")
    flows = re.findall(r"^h\d+ to h\d+ +([\d.]+) +(\d+)/(\d+)$", out, re.MULTILINE)
    assert len(flows) == 3, out
    for mbps, lost, _sent in flows:
        assert float(mbps) == pytest.approx(20, rel=0.005), out
        assert int(lost) == 0, out


def test_fat_tree(run_topology):
    """Twice six links of 1 ms at 1000 Mbit/s, and the hosts' own work: at most 0.3 ms in the median."""
    out = run_topology("fat_tree", "--fanout", "2", "--count", "10", "--interval", "0.02")
    percentiles = {int(p): float(ms) for p, ms in re.findall(r"^ *(\d+) % +([\d.]+)$", out, re.MULTILINE)}
    assert sorted(percentiles) == [0, 25, 50, 75, 95, 100], out
    frame = 8 * (64 + 8 + 20 + 14) / 1e6  # ms, at 1000 Mbit/s
    assert percentiles[0] >= 12 + 12 * frame - 0.001, out
    assert percentiles[50] == pytest.approx(12 + 12 * frame, abs=0.3), out
    assert percentiles[95] < 13, out


def test_star(run_topology):
    out = run_topology("star", "--k", "4", "--rate", "50", "--time", "1", "--speeds", "0.5", "2")
    rows = re.findall(r"^ *([\d.]+) +(\d+) +([\d.]+) +([\d.]+)$", out, re.MULTILINE)
    assert [(float(speed), int(flows)) for speed, flows, _, _ in rows] == [(0.5, 2), (2, 2)], out
    for _speed, _flows, slowest, fastest in rows:
        assert float(slowest) == pytest.approx(50, rel=0.005), out
        assert float(fastest) == pytest.approx(50, rel=0.005), out


def test_linear(run_topology):
    """The script prints the model beside what ping says."""
    out = run_topology("linear", "--k", "3", "--count", "20")
    rows = re.findall(r"^ *(\d+) +([\d.]+) +([\d.]+) +([\d.]+)$", out, re.MULTILINE)
    assert [int(links) for links, *_ in rows] == [3, 4], out
    for _links, model, mean, mdev in rows:
        assert float(mean) == pytest.approx(float(model), abs=0.1), out
        assert float(mdev) < 0.02, out
