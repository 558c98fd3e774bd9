"""Network namespaces of other processes."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


@contextmanager
def network_namespace(pid: int) -> Iterator[None]:
    """Be in another process' network namespace for a moment."""
    ours, theirs = (os.open(f"/proc/{who}/ns/net", os.O_RDONLY) for who in ("thread-self", pid))
    try:
        _setns(theirs)
        try:
            yield
        finally:
            _setns(ours)
    finally:
        os.close(ours)
        os.close(theirs)


def namespace_of(node: Any) -> AbstractContextManager[None]:
    """Be in the network namespace of a Mininet node for a moment; errors: OSError, if its shell has ended."""
    return network_namespace(node.pid) if node.inNamespace else nullcontext()


def _setns(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
