"""Virtual links against the closed formula.

arrival = departure + waiting + 8 * bytes / bw + delay
"""

import math
import sys
from pathlib import Path

import pytest

from mininet_kronos.experiment import Experiment
from mininet_kronos.records import LinkParams
from tests.dilated import engine_memory
from tests.wire import HEADERS, MS, READ, RECEIVER, SENDER, Wire


def modelled(departures, sizes, params):
    busy, arrivals = 0, []
    for departure, size in zip(departures, sizes):
        busy = max(busy, departure) + round((size + HEADERS) * 8e9 / params.bw_bps)
        arrivals.append(busy + params.delay_ns)
    return arrivals


def close_to(seen, expected):
    """A receiver sees a frame by a clock read, after what reads of its own it still had to make."""
    assert len(seen) == len(expected)
    late = [a - b for a, b in zip(seen, expected)]
    assert all(0 < ns <= 20 * READ for ns in late), late


@pytest.mark.parametrize("size", [10, 500, 1400])
@pytest.mark.parametrize("bw", [1e6, 10e6, 1e9])
def test_one_frame(wire, size, bw):
    params = LinkParams(bw_bps=bw, delay_ns=7_654_321)
    departures, arrivals = wire(params).send(size)
    close_to(arrivals, modelled(departures, [size], params))


def test_frames_back_to_back(wire):
    params = LinkParams(bw_bps=10e6, delay_ns=3 * MS)
    sizes = [1400, 100, 1000, 1, 1400] * 4
    departures, arrivals = wire(params).send(*sizes)
    close_to(arrivals, modelled(departures, sizes, params))


def test_delay_only(wire):
    departures, arrivals = wire(LinkParams(delay_ns=2_500_000)).send(100)
    close_to(arrivals, [departures[0] + 2_500_000])


def test_a_full_queue_drops_the_last(wire):
    params = LinkParams(bw_bps=1e6, delay_ns=1 * MS, max_queue=5)
    link = wire(params)
    departures, arrivals = link.send(*[1000] * 12)
    close_to(arrivals, modelled(departures[:5], [1000] * 5, params))
    stats = link.experiment.link_stats(link.link, 0)
    assert (stats.dropped_queue, stats.tx_frames, stats.rx_frames) == (7, 5, 5)
    assert stats.rx_bytes == 5 * (1000 + HEADERS)


def test_directions_have_their_own_parameters(wire):
    there, back = LinkParams(delay_ns=5 * MS), LinkParams(delay_ns=11 * MS)
    link = wire(there, back)
    output = link.until(
        link.start(
            0,
            "import subprocess, sys\n"
            "print(subprocess.run(['ping', '-c', '3', '10.66.0.2'], capture_output=True, text=True).stdout)",
        )
    )
    assert "3 received" in output
    rtt = output.split("rtt min/avg/max/mdev = ")[1].split("/")
    assert 16.0 <= float(rtt[0]) <= float(rtt[2]) < 16.01


def test_both_directions_at_once(wire):
    """Bursts that meet on the link do not know of each other."""
    models = LinkParams(bw_bps=10e6, delay_ns=3 * MS), LinkParams(bw_bps=4e6, delay_ns=1 * MS, max_queue=6)
    sizes = [700] * 20, [1400] * 12
    link = wire(*models)
    receivers = [link.start(index, RECEIVER) for index in (0, 1)]
    for receiver in receivers:
        link.ready(receiver)
    senders = [link.start(index, SENDER, f"10.66.0.{2 - index}", *sizes[index]) for index in (0, 1)]
    departures = [[int(stamp) for stamp in link.until(sender).split()] for sender in senders]
    assert abs(departures[0][0] - departures[1][0]) < 4 * MS  # they do meet
    for index, sent in (0, 20), (1, 6):
        arrivals = [int(line.split()[1]) for line in link.until(receivers[1 - index]).splitlines()]
        expected = modelled(departures[index][:sent], sizes[index][:sent], models[index])
        close_to(arrivals, expected)


def test_parameters_change_while_it_runs(wire):
    link = wire(LinkParams(delay_ns=5 * MS))
    departures, arrivals = link.send(100)
    close_to(arrivals, [departures[0] + 5 * MS])
    link.experiment.set_link(link.link, 0, LinkParams(delay_ns=9 * MS))
    departures, arrivals = link.send(100)
    close_to(arrivals, [departures[0] + 9 * MS])


def test_loss_is_seeded(cpus):
    params = LinkParams(delay_ns=2 * MS, loss=0.3)
    runs = []
    for seed in (1, 1, 2):
        link = Wire(cpus, params, seed=seed)
        departures, arrivals = link.send(*[100] * 200)
        link.stop()
        runs.append([arrival - departures[0] for arrival in arrivals])
    assert runs[0] == runs[1] != runs[2]
    assert 110 <= len(runs[0]) <= 170  # 140 expected, standard deviation 6.5


def test_jitter_never_reorders(wire):
    link = wire(LinkParams(bw_bps=1e9, delay_ns=20 * MS, jitter_ns=2 * MS, distribution="normal"))
    _, arrivals = link.send(*range(1, 101))
    assert len(arrivals) == 100
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] - arrivals[0] > 100_000  # far more than the serialization


MEMORY = 8  # MiB
ALLOCATOR = 4  # MiB that malloc may keep besides, however much it has given out
FLOOD = """
import socket, sys
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
data = bytes(int(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    out.sendto(data, ("10.66.0.2", 9999))
"""


@pytest.mark.parametrize("size", [10, 1400])
def test_frames_on_links_without_a_rate_are_bounded_in_memory(wire, monkeypatch, capfd, size):
    """What finds no room is dropped, and counted; when frames have arrived there is room again."""
    monkeypatch.setenv("KRONOS_LINK_MEMORY", str(MEMORY))
    link = wire(LinkParams(delay_ns=10_000 * MS))
    before = engine_memory("RssAnon")
    count = 2 * MEMORY * 2**20 // (size + 150)
    dropped = 0
    for sent in count, 100:
        link.until(link.start(0, FLOOD, size, sent))
        assert engine_memory("RssAnon") - before < (1.1 * MEMORY + ALLOCATOR) * 1024
        was, dropped = dropped, link.experiment.link_stats(link.link, 0).dropped_queue
        assert (dropped > was) == (sent == count)
        link.experiment.progress(MS, 11_000)
    stats = link.experiment.link_stats(link.link, 0)
    assert stats.rx_frames == stats.tx_frames == count + 100 - dropped
    assert capfd.readouterr().err.count(f"frames on links take more than {MEMORY} MiB") == 1


def test_bad_parameters_are_refused():
    with Experiment() as experiment:
        experiment.add_host("h0")
        end = (0, "h0", "eth0")
        for bad in (
            LinkParams(delay_ns=-1),
            LinkParams(delay_ns=2**62),
            LinkParams(jitter_ns=2**62),
            LinkParams(bw_bps=-1),
            LinkParams(bw_bps=1e-6),
            LinkParams(bw_bps=math.nan),
            LinkParams(loss=1.5),
            LinkParams(jitter_ns=-1),
            LinkParams(max_queue=-1),
        ):
            with pytest.raises(Exception, match="must"):
                experiment.add_link(end, end, bad, LinkParams())


def test_nothing_is_left():
    assert not [path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith("krt")]
    assert sys.platform == "linux"
