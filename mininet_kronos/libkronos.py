"""libkronos by ctypes: where it is, its functions, and the structures of kronos.h."""

from __future__ import annotations

import ctypes
from pathlib import Path

from mininet_kronos import records
from mininet_kronos.errors import EngineError

NAME_MAX = 64  # bytes, with the final 0
INTERFACE_MAX = 16
CORES_MAX = 1024
NEVER = 2**63 - 1

_RED, _ECN, _JITTER_REORDERS = 1, 2, 4  # flags of a link


class Config(ctypes.Structure):
    """struct kronos_config."""

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("expected_tracers", ctypes.c_uint32),
        ("seed", ctypes.c_uint64),
        ("epoch_ns", ctypes.c_int64),
        ("engine_path", ctypes.c_char_p),
        ("socket_path", ctypes.c_char_p),
        ("cpu", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
        ("cpus", ctypes.c_uint32),
        ("engine", ctypes.c_uint32),
    ]


class HostConfig(ctypes.Structure):
    """struct kronos_host_config."""

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("pace", ctypes.c_uint32),
        ("counter", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("place", ctypes.c_uint32),
        ("cores", ctypes.c_uint32),
        ("cpu_speed", ctypes.c_double),
        ("name", ctypes.c_char * NAME_MAX),
    ]


_PROBABILITIES = (
    "loss", "loss_correlation", "delay_correlation", "ge_p", "ge_r", "ge_bad_loss", "ge_good_loss",
    "duplicate", "duplicate_correlation", "corrupt", "corrupt_correlation", "reorder", "reorder_correlation",
)  # fmt: skip


class LinkParams(ctypes.Structure):
    """struct kronos_link_params."""

    _fields_ = [
        ("bw_bps", ctypes.c_double),
        ("delay_ns", ctypes.c_int64),
        ("jitter_ns", ctypes.c_int64),
        ("max_queue", ctypes.c_int64),
        ("max_queue_bytes", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("distribution", ctypes.c_uint32),
        ("reorder_gap", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        *((name, ctypes.c_double) for name in _PROBABILITIES),
    ]


class LinkConfig(ctypes.Structure):
    """struct kronos_link_config."""

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("host", ctypes.c_uint32 * 2),
        ("tap_fd", ctypes.c_int32 * 2),
        ("dir", LinkParams * 2),
        ("name", (ctypes.c_char * INTERFACE_MAX) * 2),
    ]


class RelayConfig(ctypes.Structure):
    """struct kronos_relay_config."""

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("host", ctypes.c_uint32 * 2),
        ("listener", ctypes.c_int32),
        ("port", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("delay_ns", ctypes.c_int64),
    ]


class LinkStats(ctypes.Structure):
    """struct kronos_link_stats."""

    _fields_ = [
        (name, ctypes.c_int64 if name == "max_late_ns" else ctypes.c_uint64)
        for name in records.LinkStats.__dataclass_fields__
    ]


class Stats(ctypes.Structure):
    """struct kronos_stats."""

    _fields_ = [(name, ctypes.c_uint64) for name in records.Stats.__dataclass_fields__]


class HostStats(ctypes.Structure):
    """struct kronos_host_stats."""

    _fields_ = [(name, ctypes.c_uint64) for name in records.HostStats.__dataclass_fields__]


class HostStatus(ctypes.Structure):
    """struct kronos_host_status."""

    _fields_ = [
        ("clock", ctypes.c_int64),
        ("next", ctypes.c_int64),
        ("tasks", ctypes.c_uint32),
        ("pace", ctypes.c_uint32),
        ("counter", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("cpu_speed", ctypes.c_double),
    ]


class Task(ctypes.Structure):
    """struct kronos_task."""

    _fields_ = [
        ("pid", ctypes.c_int32),
        ("tid", ctypes.c_int32),
        ("state", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("deadline", ctypes.c_int64),
        ("call", ctypes.c_char * 32),
        ("program", ctypes.c_char * 16),
    ]


def native_path(name: str) -> Path:
    """Return the path of a built C part: installed with the package, or in a source tree."""
    package = Path(__file__).resolve().parent
    for directory in (package / "native", package.parent / "tracer" / "build"):
        if (directory / name).exists():
            return directory / name
    raise EngineError(f"{name} has not been built; fix: make setup")


def load() -> ctypes.CDLL:
    """Return libkronos with the prototypes of its functions; errors: EngineError."""
    path = native_path("libkronos.so")
    library = ctypes.CDLL(str(path))
    pointer, text, i64, u32 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_uint32
    prototypes: dict[str, tuple[object, list[object]]] = {
        "initialize": (ctypes.c_int, [ctypes.POINTER(pointer), ctypes.POINTER(Config)]),
        "socket": (text, [pointer]),
        "mechanisms": (text, [pointer]),
        "error": (text, [pointer]),
        "add_host": (ctypes.c_int, [pointer, ctypes.POINTER(HostConfig)]),
        "kill_host": (ctypes.c_int, [pointer, u32]),
        "remove_host": (ctypes.c_int, [pointer, u32]),
        "add_link": (ctypes.c_int, [pointer, ctypes.POINTER(LinkConfig)]),
        "remove_link": (ctypes.c_int, [pointer, u32]),
        "capture": (ctypes.c_int, [pointer, u32, u32, ctypes.c_int]),
        "set_link": (ctypes.c_int, [pointer, u32, u32, ctypes.POINTER(LinkParams)]),
        "link_stats": (ctypes.c_int, [pointer, u32, u32, ctypes.POINTER(LinkStats)]),
        "add_relay": (ctypes.c_int, [pointer, ctypes.POINTER(RelayConfig)]),
        "on_abort": (ctypes.c_int, [pointer, text]),
        "freeze": (ctypes.c_int, [pointer, ctypes.c_int]),
        "thaw": (ctypes.c_int, [pointer]),
        "progress": (i64, [pointer, i64, i64, ctypes.c_int]),
        "now": (i64, [pointer]),
        "host_time": (i64, [pointer, u32]),
        "real_time": (i64, [pointer]),
        "real_wait": (ctypes.c_int, [pointer, ctypes.c_int, i64]),
        "stats": (ctypes.c_int, [pointer, ctypes.POINTER(Stats)]),
        "host_stats": (ctypes.c_int, [pointer, u32, ctypes.POINTER(HostStats)]),
        "host_status": (ctypes.c_int, [pointer, u32, ctypes.POINTER(HostStatus)]),
        "task": (ctypes.c_int, [pointer, u32, u32, ctypes.POINTER(Task)]),
        "watch_link": (ctypes.c_int, [pointer, u32, ctypes.c_int]),
        "watch_fd": (ctypes.c_int, [pointer, ctypes.c_int]),
        "unwatch_fd": (ctypes.c_int, [pointer, ctypes.c_int]),
        "watch_terminal": (ctypes.c_int, [pointer, u32, ctypes.c_uint64, ctypes.c_int]),
        "engine": (ctypes.c_int, [pointer]),
        "task_time": (i64, [pointer, ctypes.c_int32]),
        "stop": (ctypes.c_int, [pointer]),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(library, f"kronos_{name}", None)
        if function is None:
            raise EngineError(f"{path} is older than mininet_kronos; fix: make setup")
        function.restype, function.argtypes = result, arguments
    return library


def link_structure(params: records.LinkParams) -> LinkParams:
    """Return one direction's model as the library wants it."""
    return LinkParams(
        bw_bps=params.bw_bps,
        delay_ns=params.delay_ns,
        jitter_ns=params.jitter_ns,
        max_queue=params.max_queue,
        max_queue_bytes=params.max_queue_bytes,
        flags=params.red * _RED | params.ecn * _ECN | params.jitter_reorders * _JITTER_REORDERS,
        distribution=records.DISTRIBUTIONS[params.distribution],
        reorder_gap=params.reorder_gap,
        **{name: getattr(params, name) for name in _PROBABILITIES},
    )
