"""Every file in topologies/: as a script, with the model's figures, and in mn."""

import re
import sys
from pathlib import Path

import pytest

TOPOLOGIES = Path(__file__).parents[1] / "topologies"
NAMES = sorted(path.stem for path in TOPOLOGIES.glob("*.py"))
SMALL = {
    "ring": "ring,n=2",
    "fat_tree": "fat_tree,fanout=2",
    "star": "star,k=4",
    "linear": "linear,k=3",
    "dumbbell": "dumbbell,n=2",
}


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
    """Twice six links of 1 ms at 1000 Mbit/s, and what reading clocks takes."""
    out = run_topology(
        "fat_tree", "--fanout", "2", "--count", "10", "--interval", "0.02", "--counter", "free"
    )  # fmt: skip
    percentiles = {int(p): float(ms) for p, ms in re.findall(r"^ *(\d+) % +([\d.]+)$", out, re.MULTILINE)}
    assert sorted(percentiles) == [0, 25, 50, 75, 95, 100], out
    frame = 8 * (64 + 8 + 20 + 14) / 1e6  # ms, at 1000 Mbit/s
    assert percentiles[0] >= 12 + 12 * frame - 0.001, out
    assert percentiles[100] < 12 + 12 * frame + 0.01, out


def test_star(run_topology):
    out = run_topology("star", "--k", "4", "--rate", "50", "--time", "1", "--speeds", "0.5", "2")
    rows = re.findall(r"^ *([\d.]+) +(\d+) +([\d.]+) +([\d.]+)$", out, re.MULTILINE)
    assert [(float(speed), int(flows)) for speed, flows, _, _ in rows] == [(0.5, 2), (2, 2)], out
    for _speed, _flows, slowest, fastest in rows:
        assert float(slowest) == pytest.approx(50, rel=0.005), out
        assert float(fastest) == pytest.approx(50, rel=0.005), out


def test_linear(run_topology):
    """The script prints the model beside what ping says: to the microsecond if computation takes no time."""
    out = run_topology("linear", "--k", "3", "--count", "20", "--counter", "free")
    rows = re.findall(r"^ *(\d+) +([\d.]+) +([\d.]+) +([\d.]+)$", out, re.MULTILINE)
    assert [int(links) for links, *_ in rows] == [3, 4], out
    for _links, model, mean, mdev in rows:
        assert float(mean) == pytest.approx(float(model), abs=0.002), out
        assert float(mdev) < 0.002, out


def test_dumbbell(run_topology):
    """A full queue adds its frames' time to a round trip; one that marks is kept short and loses nothing."""
    out = run_topology("dumbbell", "--queues", "100", "--ecn", "--time", "4")
    rows = re.findall(r"^ *100 +(?:no|yes) +(.*)$", out, re.MULTILINE)
    plain, marking = ([float(number) for number in row.split()] for row in rows)
    for full, idle, mean, most, mbps, _repeated in plain, marking:
        assert full == pytest.approx(100 * 1514 * 8 / 10e3), out
        assert idle == pytest.approx(14 + 2 * 98 * 8 * (1 / 10e3 + 2 / 100e3), abs=0.3), out
        assert idle < mean < most < idle + full + 2, out
        assert mbps > 0.9 * 10 * 1448 / 1514, out
    assert plain[3] > 14 + 0.8 * plain[0] and plain[5] > 0, out
    assert marking[3] < 14 + 50 and marking[5] == 0, out
