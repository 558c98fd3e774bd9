"""CPython's own regression tests, which know best what a Python program may rely on.

Each module runs in one dilated host, in a network namespace of its own; it passes natively in such a
namespace, without the tests that are named here.
"""

import pytest

from tests.dilated import run_alone

PYTHON = "/usr/bin/python3"  # the distribution's: the package with the tests is for this one
MODULES = [
    "test_time",
    "test_select",
    "test_poll",
    "test_epoll",
    "test_selectors",
    "test_signal",
    "test_threadsignals",
    "test_threading",
    "test_thread",
    "test_queue",
    "test_sched",
    "test_timeout",
    "test_socket",
    "test_subprocess",
    "test_fork1",
    "test_wait3",
    "test_wait4",
    "test_posix",
    "test_eintr",
    "test_faulthandler",
    "test_multiprocessing_fork",
    "test_asyncio",
]
EXCLUDED = [
    "*VSOCK*",  # waits for an answer of the hypervisor: hangs natively as well where it has no vsock
]
LIMIT = 300  # virtual seconds: several times what the longest takes


@pytest.mark.parametrize("module", MODULES)
def test_module(module, tmp_path):
    ignored = [word for pattern in EXCLUDED for word in ("-i", pattern)]
    # No resources of the machine or of the Internet; what failed is told in full.
    command = [PYTHON, "-m", "test", "-u", "none", "-W", *ignored, module]
    ended = run_alone(command, tmp_path, LIMIT)
    assert (ended.status, "1 test OK." in ended.out) == (0, True), ended
