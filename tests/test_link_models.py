"""The models of netem and RED against their formulas: seeds are fixed, so that results are as well."""

import itertools
import math
import statistics

import pytest

from mininet_kronos.records import LinkParams
from tests.wire import HEADERS, MS

# Sends so many numbered datagrams of a size, a gap of ns apart, with this TOS; prints the clock before each.
SENDER = """
import socket, sys, time
count, size, gap, tos = map(int, sys.argv[1:])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK: what is corrupted arrives
out.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
start = time.monotonic_ns()
stamps = []
for number in range(count):
    time.sleep(max(0, start + number * gap - time.monotonic_ns()) / 1e9)
    stamps.append(time.monotonic_ns())
    out.sendto(number.to_bytes(4, "big") + bytes(size - 4), ("10.66.0.2", 9999))
print(*stamps)
"""
# Prints number, clock, ECN bits and how many bits of the rest are not 0, until none has come for a second.
RECEIVER = """
import socket, time
inbox = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
inbox.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
inbox.bind(("0.0.0.0", 9999))
inbox.settimeout(1.0)
print("ready", flush=True)
lines = []
try:
    while True:
        data, control, _flags, _address = inbox.recvmsg(2048, 64)
        bits = bin(int.from_bytes(data[4:], "big")).count("1")
        lines.append((int.from_bytes(data[:4], "big"), time.monotonic_ns(), control[0][2][0] & 3, bits))
except TimeoutError:
    pass
for line in lines:
    print(*line)
"""


@pytest.fixture
def cpus():
    """The models are the sender's worker's alone."""
    return 1


class Sent:
    """What became of numbered datagrams, and the link's counters."""

    def __init__(self, link, count, size=100, gap=100_000, tos=0):
        receiver = link.start(1, RECEIVER)
        link.ready(receiver)
        before = link.experiment.link_stats(link.link, 0)
        sender = link.start(0, SENDER, count, size, gap, tos)
        self.departures = [int(stamp) for stamp in link.until(sender).split()]
        self.lines = [tuple(map(int, line.split())) for line in link.until(receiver).splitlines()]
        self.numbers = [line[0] for line in self.lines]
        self.lost = sorted(set(range(count)) - set(self.numbers))
        after = link.experiment.link_stats(link.link, 0)
        self.stats = {
            name: getattr(after, name) - getattr(before, name) for name in after.__dataclass_fields__
        }

    def delays(self):
        return {number: stamp - self.departures[number] for number, stamp, *_ in self.lines}


def expect(count, total, probability, sigmas=4):
    """Fail if a count is far from what independent draws give."""
    deviation = math.sqrt(total * probability * (1 - probability))
    assert abs(count - total * probability) < sigmas * deviation, (count, total * probability, deviation)


def bursts(lost):
    """Return the lengths of runs of consecutive losses."""
    runs = itertools.groupby(enumerate(lost), lambda pair: pair[1] - pair[0])
    return [len(list(run)) for _, run in runs]


def test_independent_loss(wire):
    sent = Sent(wire(LinkParams(delay_ns=2 * MS, loss=0.1), seed=3), 4000)
    expect(len(sent.lost), 4000, 0.1)
    assert statistics.mean(bursts(sent.lost)) == pytest.approx(1 / 0.9, rel=0.06)
    assert sent.stats["dropped_loss"] == len(sent.lost)


def test_correlated_loss_comes_in_bursts(wire):
    sent = Sent(wire(LinkParams(delay_ns=2 * MS, loss=0.3, loss_correlation=0.5), seed=3), 4000)
    rate = len(sent.lost) / 4000
    again = len(set(sent.lost) & {number + 1 for number in sent.lost}) / len(sent.lost)
    assert again > 1.5 * rate > 0.15


@pytest.mark.parametrize(
    ("p", "r", "bad", "good"), [(0.05, 0.25, 1.0, 0.0), (0.02, 0.1, 0.7, 0.01), (0.2, 0.8, 1.0, 0.0)]
)
def test_gilbert_elliott(wire, p, r, bad, good):
    """Stationary loss, and, where the bad state loses all and the good one nothing, its mean length 1/r."""
    model = LinkParams(delay_ns=2 * MS, ge_p=p, ge_r=r, ge_bad_loss=bad, ge_good_loss=good)
    sent = Sent(wire(model, seed=5), 5000)
    in_bad = p / (p + r)
    loss = in_bad * bad + (1 - in_bad) * good
    # The states' correlation (1 - p - r) makes the variance of a mean that much larger.
    memory = (2 - p - r) / (p + r)
    assert abs(len(sent.lost) / 5000 - loss) < 4 * math.sqrt(loss * (1 - loss) * memory / 5000)
    if (bad, good) == (1, 0):
        assert statistics.mean(bursts(sent.lost)) == pytest.approx(1 / r, rel=0.2)


def test_duplication(wire):
    sent = Sent(wire(LinkParams(delay_ns=2 * MS, duplicate=0.2), seed=4), 2000)
    assert not sent.lost
    expect(len(sent.numbers) - 2000, 2000, 0.2)
    assert sent.stats["duplicated"] == len(sent.numbers) - 2000
    assert sent.numbers == sorted(sent.numbers)


def test_every_fifth_frame_overtakes(wire):
    sent = Sent(wire(LinkParams(delay_ns=5 * MS, reorder=1.0, reorder_gap=5)), 50, gap=MS)
    delays = sent.delays()
    early = [number for number in range(50) if delays[number] < MS]
    assert early == list(range(4, 50, 5))
    assert all(5 * MS < delays[number] < 5 * MS + 20_000 for number in range(50) if number not in early)
    assert sent.stats["reordered"] == 10


def test_reordering(wire):
    sent = Sent(wire(LinkParams(delay_ns=5 * MS, reorder=0.25), seed=1), 2000)
    expect(sum(delay < MS for delay in sent.delays().values()), 2000, 0.25)
    assert len(sent.numbers) == 2000


def test_corruption_changes_one_bit(wire):
    """Of frames of 1442 bytes 1396 are the payload behind the number: most of what is corrupted arrives."""
    sent = Sent(wire(LinkParams(delay_ns=2 * MS, corrupt=0.3), seed=2), 1000, size=1400)
    expect(sent.stats["corrupted"], 1000, 0.3)
    changed = [bits for *_, bits in sent.lines if bits]
    assert set(changed) == {1}
    expect(len(changed), sent.stats["corrupted"], 1396 / 1442)


def normal(x):
    return statistics.NormalDist().cdf(x)


def pareto(x):
    return 0 if x <= -2 / 3 else 1 if x >= 4 else 1 - (0.75 * x + 1.5) ** -3


CUMULATIVE = {"uniform": lambda x: min(max((x + 1) / 2, 0), 1), "normal": normal, "pareto": pareto}
# Mean and standard deviation of iproute2's tables, in units of the jitter.
MOMENTS = {
    "uniform": (0, 1 / math.sqrt(3)),
    "normal": (0, 1),
    "pareto": (-0.033, 0.82),
    "paretonormal": (-0.025, 0.834),
}


@pytest.mark.parametrize("distribution", MOMENTS)
def test_jitter_has_the_distribution(wire, distribution):
    model = LinkParams(
        delay_ns=50 * MS, jitter_ns=5 * MS, distribution=distribution, jitter_reorders=True
    )  # fmt: skip
    sent = Sent(wire(model, seed=6), 2000)
    values = sorted((delay / MS - 50) / 5 for delay in sent.delays().values())
    mean, deviation = MOMENTS[distribution]
    assert statistics.mean(values) == pytest.approx(mean, abs=4 * deviation / math.sqrt(2000))
    assert statistics.stdev(values) == pytest.approx(deviation, rel=0.08)
    assert max(map(abs, values)) < 4.01
    if distribution in CUMULATIVE:  # Kolmogorov and Smirnov: 0.036 is passed by chance once in a hundred
        cumulative = CUMULATIVE[distribution]
        assert max(abs(cumulative(value) - index / 2000) for index, value in enumerate(values)) < 0.036
    assert sent.numbers != sorted(sent.numbers)


def test_correlated_delays_are_near_each_other(wire):
    model = LinkParams(delay_ns=50 * MS, jitter_ns=5 * MS, delay_correlation=0.8, jitter_reorders=True)
    delays = [delay for _, delay in sorted(Sent(wire(model, seed=6), 1000).delays().items())]
    assert statistics.correlation(delays, [*delays[1:], delays[0]]) > 0.6


def test_all_models_repeat(wire):
    model = LinkParams(
        bw_bps=10e6, delay_ns=5 * MS, jitter_ns=MS, distribution="paretonormal", loss=0.05,
        duplicate=0.1, corrupt=0.1, reorder=0.2, red=True,
    )  # fmt: skip
    runs = []
    for seed in (1, 1, 2):
        sent = Sent(wire(model, seed=seed), 200)
        runs.append([(number, stamp - sent.departures[0], bits) for number, stamp, _, bits in sent.lines])
        wire.stop()
    assert runs[0] == runs[1] != runs[2]


SIZE = 1000 + HEADERS
OVERLOAD = 500_000  # ns between frames: twice what 8 Mbit/s can carry
BW = SIZE * 8e9 / (2 * OVERLOAD)


def waiting(sent):
    """Return the bytes that were before each frame, as its delay tells."""
    return [(delay - MS) / 1e9 * BW / 8 - SIZE for _, delay in sorted(sent.delays().items())]


def test_red_keeps_the_queue_short(wire):
    sent = Sent(wire(LinkParams(bw_bps=BW, delay_ns=MS, red=True), seed=1), 1000, 1000, OVERLOAD)
    assert sent.stats["dropped_red"] == len(sent.lost)
    queue = waiting(sent)[200:]
    assert 25_000 < statistics.mean(queue) < 35_000 and max(queue) < 40_000
    assert 0.35 < len(sent.lost) / 1000 < 0.5
    assert statistics.mean(bursts(sent.lost)) < 2  # spread out, not in bursts


def test_ecn_marks_those_that_understand_it(wire):
    link = wire(LinkParams(bw_bps=BW, delay_ns=MS, ecn=True), seed=1)
    sent = Sent(link, 200, 1000, OVERLOAD, tos=2)
    marks = [ecn for _, _, ecn, _ in sent.lines]
    assert set(marks) == {2, 3} and marks.count(3) == sent.stats["marked"] > 20
    assert not sent.lost
    others = Sent(link, 200, 1000, OVERLOAD, tos=0)
    assert others.stats["marked"] == 0 and others.stats["dropped_red"] == len(others.lost) > 20


def test_a_queue_of_bytes(wire):
    sent = Sent(wire(LinkParams(bw_bps=BW, delay_ns=MS, max_queue_bytes=10 * SIZE)), 100, 1000, OVERLOAD)
    assert 8 * SIZE < max(waiting(sent)) <= 9 * SIZE  # the frame that is being sent counts as a whole
    assert sent.stats["dropped_queue"] == len(sent.lost) > 30
