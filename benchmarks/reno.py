"""TCP Reno with selective acknowledgements over one link that loses frames at random, packet by packet.

What TCP makes of a link by theory: without the kernel's timers, and with an acknowledgement for each packet.
"""

from __future__ import annotations

import heapq
import random

PAYLOAD, DATA, ACK = 1448 * 8, 1514 * 8, 66 * 8  # bits: a segment, its frame, that of an acknowledgement
FIRST_WINDOW = 10
LATER = 3  # packets that arrive before one sent earlier: that is lost
TIMEOUT = 0.2  # s


def goodput(rate: float, delay: float, loss: float, seconds: float, seed: int) -> float:
    """Return Mbit/s over a link of `rate` Mbit/s and `delay` ms one way; its queue is never full."""
    chance = random.Random(seed)
    serialization, back = DATA / (rate * 1e6), ACK / (rate * 1e6) + 2 * delay / 1e3
    now = busy = allowed = reduction = 0.0
    window, threshold, grown = FIRST_WINDOW, 1 << 30, 0
    sent = delivered = 0
    recovery = -1  # until all packets before this one are accounted for
    flight: set[int] = set()  # by the order in which they were sent; a lost one is sent again as another
    answers: list[tuple[float, int]] = []
    while now < seconds:
        while allowed >= 1 if recovery >= 0 else len(flight) < window:
            allowed -= 1
            busy = max(busy, now) + serialization
            flight.add(sent)
            if chance.random() >= loss:
                heapq.heappush(answers, (busy + back, sent))
            sent += 1
        if not answers:
            now += TIMEOUT + back
            flight.clear()
            window, threshold, recovery = 1, max(window // 2, 2), -1
            continue
        now, packet = heapq.heappop(answers)
        if packet not in flight:
            continue
        flight.remove(packet)
        delivered += 1
        allowed += reduction  # RFC 6937: in proportion to what is delivered
        lost = {other for other in flight if other < packet and (packet - other >= LATER or not answers)}
        flight -= lost
        if lost and max(lost) >= recovery:
            window = threshold = max(window // 2, 2)
            reduction, recovery, allowed = 0.5, sent, 1.0
        elif recovery >= 0:
            if not flight or min(flight) >= recovery:
                recovery, grown = -1, 0
        elif window < threshold:
            window += 1
        else:
            grown += 1
            if grown >= window:
                window, grown = window + 1, 0
    return delivered * PAYLOAD / now / 1e6
