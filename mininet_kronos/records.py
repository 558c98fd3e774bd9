"""What an experiment is told and what it tells: parameters, counters, and where everything stands.

Times are integers in nanoseconds, of virtual time since the freeze unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

# The numbers of kronos.h, by the names that users write.
COUNTERS = {"auto": 0, "instructions": 1, "cputime": 2, "free": 3}
ENGINES = {"auto": 0, "user": 1, "kernel": 2}
PACES = {"dilated": 0, "instant": 1, "realtime": 2}
DISTRIBUTIONS = {"uniform": 0, "normal": 1, "pareto": 2, "paretonormal": 3}
TASK_STATES = ("joining", "ready", "waiting", "stopped")

SPEEDS = (1e-6, 1e6)  # the least and the greatest cpu_speed; infinity is one as well


@dataclass(frozen=True)
class LinkParams:
    """One direction of a link; probabilities and correlations are 0 to 1.

    jitter_ns is a standard deviation, or half the width of the uniform distribution.
    """

    bw_bps: float = 0.0  # bits per second; 0: infinite
    delay_ns: int = 0
    jitter_ns: int = 0
    max_queue: int = 0  # frames, waiting and in service; 0: unlimited
    max_queue_bytes: int = 0  # of them
    distribution: str = "uniform"  # of jitter: a key of DISTRIBUTIONS
    jitter_reorders: bool = False  # else no frame overtakes another by jitter
    red: bool = False  # random early detection with TCLink's parameters
    ecn: bool = False  # the same, but frames that understand it are marked
    reorder_gap: int = 1  # every so many frames one may be reordered
    loss: float = 0.0
    loss_correlation: float = 0.0
    delay_correlation: float = 0.0
    ge_p: float = 0.0  # Gilbert-Elliott, instead of loss: from the good to the bad state
    ge_r: float = 0.0  # and back
    ge_bad_loss: float = 0.0  # 1-h of netem's loss gemodel
    ge_good_loss: float = 0.0  # 1-k
    duplicate: float = 0.0
    duplicate_correlation: float = 0.0
    corrupt: float = 0.0  # one bit
    corrupt_correlation: float = 0.0
    reorder: float = 0.0  # such frames have no delay
    reorder_correlation: float = 0.0


@dataclass(frozen=True)
class LinkStats:
    """What one direction of a link has carried so far."""

    tx_frames: int
    tx_bytes: int
    rx_frames: int
    rx_bytes: int
    dropped_queue: int = 0
    dropped_loss: int = 0
    late: int = 0  # frames that came after the receiver's clock had passed their arrival
    queued: int = 0  # in flight or queued now
    queue_frames: int = 0  # waiting or being sent now
    queue_bytes: int = 0
    dropped_red: int = 0
    dropped_down: int = 0  # the receiver's interface was down
    duplicated: int = 0
    corrupted: int = 0
    reordered: int = 0
    marked: int = 0  # by ECN
    max_late_ns: int = 0


@dataclass(frozen=True)
class Stats:
    """What the engine has done so far."""

    rounds: int
    rounds_skipped: int  # of rounds: passed over because nobody had work
    slices: int  # times a task was let run
    stops: int  # ptrace stops handled
    frames: int
    late_frames: int
    hosts: int
    tasks: int


@dataclass(frozen=True)
class HostStats:
    """What one host has done so far."""

    cpu_ns: int  # real CPU time that its tasks were charged for
    slices: int  # times that one of them was let run
    tasks: int  # now


@dataclass(frozen=True)
class TaskStatus:
    """Where a thread of a host stands."""

    pid: int
    tid: int
    program: str
    state: str  # one of TASK_STATES
    call: str  # the system call that it waits in, or ''
    deadline: int | None  # when that call times out, in ns since the freeze


@dataclass(frozen=True)
class HostStatus:
    """Where a host stands; times in ns since the freeze."""

    name: str
    clock: int
    next: int | None  # when it can act again; None: nothing is due
    pace: str
    counter: str
    cpu_speed: float
    tasks: tuple[TaskStatus, ...]  # the youngest first
