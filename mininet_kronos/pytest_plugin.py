"""A pytest fixture for tests of networks: `def test_reroute(kronos_net): net = kronos_net(MyTopo()) ...`.

It comes with the package; nothing need be imported.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest

if TYPE_CHECKING:
    from mininet_kronos.net import KronosNet

EPOCH = 1_000_000_000  # s since 1970, so that runs can be repeated


class Networks:
    """Starts one network after the other for a test, each with a directory of what it did."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._net: KronosNet | None = None
        self.runs: list[Path] = []

    def __call__(self, topo: Any = None, **params: Any) -> KronosNet:
        """Stop the network before, then make and start one; parameters are KronosNet's."""
        from mininet_kronos.net import KronosNet

        self.stop()
        run = self._directory / f"run-{len(self.runs) + 1}"
        self._net = KronosNet(topo, **{"epoch": EPOCH, "out": run, **params})
        self.runs.append(run)
        self._net.start()
        return self._net

    def stop(self) -> None:
        """Stop the network, if there is one."""
        if self._net:
            net, self._net = self._net, None
            net.stop()


@pytest.fixture
def kronos_net(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., KronosNet]]:
    """Return a function that starts a KronosNet; it is stopped after the test.

    The wall clock and the seed are the same in every run. A test that fails says where its runs'
    directories are.
    """
    networks = Networks(tmp_path)
    request.node.stash[_NETWORKS] = networks
    yield networks
    networks.stop()


_NETWORKS = pytest.StashKey[Networks]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Add to the report of a test that fails where its runs are."""
    report = yield
    networks = item.stash.get(_NETWORKS, None)
    if report.when == "call" and report.failed and networks and networks.runs:
        report.sections.append(("runs in virtual time", "\n".join(map(str, networks.runs))))
    return report
