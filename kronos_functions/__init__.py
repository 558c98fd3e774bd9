"""Kronos' Python API, for orchestrator scripts that were written for it.

Times are in nanoseconds of virtual time since the freeze. Results below 0 are errors, which one line on
stderr explains. New scripts use mininet_kronos; docs/migrating-from-kronos.md says what differs.
"""

from __future__ import annotations

import ctypes

from mininet_kronos.libkronos import native_path

EXP_CBE = 1  # all tracers advance together
EXP_CS = 2  # a co-simulation: each timeline advances by itself

_api = ctypes.CDLL(str(native_path("libkronosapi.so")))
_int, _s64, _text = ctypes.c_int, ctypes.c_int64, ctypes.c_char_p
for _name, _result, _arguments in (
    ("initializeExp", _int, [_int]),
    ("initializeVtExp", _int, [_int, _int, _int]),
    ("synchronizeAndFreeze", _int, []),
    ("progressBy", _int, [_s64, _int]),
    ("progressTimelineBy", _int, [_int, _s64]),
    ("stopExp", _int, []),
    ("getCurrentVirtualTime", _s64, []),
    ("getCurrentTimePid", _s64, [_int]),
    ("setNetDeviceOwner", _int, [_int, _text]),
):
    _function = getattr(_api, _name)
    _function.restype, _function.argtypes = _result, _arguments


def initializeExp(num_expected_tracers: int) -> int:
    """Start an experiment that so many tracers will join."""
    return int(_api.initializeExp(num_expected_tracers))


def initializeVTExp(exp_type: int, num_timelines: int, num_expected_tracers: int) -> int:
    """Start an experiment of a type; under EXP_CS each tracer belongs to a timeline (tracer -t), from 0."""
    return int(_api.initializeVtExp(exp_type, num_timelines, num_expected_tracers))


def synchronizeAndFreeze() -> int:
    """Return 1 once all tracers have joined and everything stands still, else 0: try again."""
    return int(_api.synchronizeAndFreeze())


def progressBy(duration_ns: int, num_rounds: int = 1) -> int:
    """Run rounds, each of which advances virtual time by so much; return 0."""
    return int(_api.progressBy(duration_ns, num_rounds))


def progressTimelineBy(timeline_id: int, duration_ns: int) -> int:
    """Advance one timeline of a co-simulation; return 0. Any thread may call it."""
    return int(_api.progressTimelineBy(timeline_id, duration_ns))


def stopExp() -> int:
    """End all dilated processes; return 0."""
    return int(_api.stopExp())


def getCurrentVirtualTime() -> int:
    """Return the clock of the experiment, or of the first timeline."""
    return int(_api.getCurrentVirtualTime())


def getTimePID(pid: int) -> int:
    """Return the clock of a dilated process."""
    return int(_api.getCurrentTimePid(pid))


def setNetDeviceOwner(tracer_id: int, intf_name: str) -> int:
    """Give an interface to a tracer's processes (0: to any); return 0."""
    return int(_api.setNetDeviceOwner(tracer_id, intf_name.encode()))
