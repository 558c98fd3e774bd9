"""For `mn --custom`: Mininet's command with hosts, switches, links and a controller in virtual time.

mn executes this file and takes over every name that it defines, so it defines nothing else. Loaded
without further options it makes the whole network virtual.
"""

import importlib.util as _importing
import os as _os
import sys as _sys
from pathlib import Path as _Path
from typing import Any as _Any
from typing import NoReturn as _NoReturn

if not _importing.find_spec("mininet_kronos"):  # mn runs with Debian's Python: let it begin again with ours
    _file = _Path(_sys._getframe().f_code.co_filename).resolve()
    for _home in (home for above in _file.parents for home in (above, above / ".venv")):
        if (_home / "pyvenv.cfg").exists() and _Path(_sys.prefix) != _home:
            _python = str(_home / "bin" / "python")
            _os.execv(_python, [_python, *_sys.argv])

import mininet.util as _util
from mininet.clean import cleanup as _mininet_cleanup
from mininet.log import error as _error

from mininet_kronos.clean import clean as _clean
from mininet_kronos.cli import KronosCLI as _KronosCLI
from mininet_kronos.controller import KronosRemoteController as _KronosRemoteController
from mininet_kronos.controller import KronosRyu as _KronosRyu
from mininet_kronos.errors import KronosError as _KronosError
from mininet_kronos.link import KronosLink as _KronosLink
from mininet_kronos.mn_options import check_class as _check_class
from mininet_kronos.mn_options import check_name as _check_name
from mininet_kronos.mn_options import check_options as _check_options
from mininet_kronos.mn_options import topo_parameters as _topo_parameters
from mininet_kronos.net import KronosNet as _KronosNet
from mininet_kronos.net import stop_all as _stop_all
from mininet_kronos.node import KronosHost as _KronosHost
from mininet_kronos.rtt import test_round_trips as _test_round_trips
from mininet_kronos.switch import KronosLinuxBridge as _KronosLinuxBridge
from mininet_kronos.switch import KronosOVSBridge as _KronosOVSBridge
from mininet_kronos.switch import KronosOVSSwitch as _KronosOVSSwitch

CLI = _KronosCLI
hosts = {"kronos": _KronosHost, "proc": _KronosHost}
switches = {
    "kronosovs": _KronosOVSSwitch,
    "default": _KronosOVSSwitch,
    "ovs": _KronosOVSSwitch,
    "ovsk": _KronosOVSSwitch,
    "user": _KronosOVSSwitch,
    "kronosovsbr": _KronosOVSBridge,
    "ovsbr": _KronosOVSBridge,
    "kronoslxbr": _KronosLinuxBridge,
    "lxbr": _KronosLinuxBridge,
}
controllers = {
    "kronosryu": _KronosRyu,
    "default": _KronosRyu,
    "ryu": _KronosRyu,
    "remote": _KronosRemoteController,
}
LINKS = {"kronos": _KronosLink, "default": _KronosLink, "tc": _KronosLink, "tcu": _KronosLink}
tests = {"rtt": _test_round_trips}


def _fail(problem: object) -> _NoReturn:
    _error(f"*** Error: {problem}\n")
    _sys.exit(1)


def customClass(classes: _Any, argStr: str) -> _Any:
    """Return a class with preset parameters, as mn's own; wrong ones end mn before it changes anything."""
    try:
        _check_name(classes, argStr)
        chosen = _util.customClass(classes, argStr)
        _check_class(chosen, argStr)
    except Exception as problem:  # Mininet's own is no narrower
        _fail(problem)
    return chosen


def buildTopo(topos: _Any, topoStr: str) -> _Any:
    """Return the topology, as mn's own; a wrong one ends mn before it changes anything."""
    try:
        _check_name(topos, topoStr)
        return _util.buildTopo(topos, topoStr)
    except _KronosError as problem:
        _fail(f"--topo {problem}")
    except Exception as problem:  # whatever a Topo's build() raises
        _fail(f"--topo {topoStr}: {problem}; {_topo_parameters(topos, topoStr)}")


def validate(options: _Any) -> None:
    """End mn for options that have no place in virtual time."""
    try:
        _check_options(options)
    except _KronosError as problem:
        _fail(problem)


def findController(*_args: _Any) -> _Any:
    """Return mn's default controller."""
    return _KronosRyu


def cleanup() -> None:
    """Clean up after mn: what ends with an error is stopped; `mn -c` removes what was left behind."""
    if _sys.exc_info()[0] is None:
        _mininet_cleanup()
        _clean()
    else:
        _stop_all()
        _sys.exit(1)


class Mininet(_KronosNet):
    """KronosNet for mn: an error is one line and an exit status."""

    def __init__(self, *args: _Any, **params: _Any) -> None:
        self._or_exit(super().__init__, *args, **params)

    def start(self) -> None:
        """Start the network."""
        self._or_exit(super().start)

    def iperfUdp(self, **params: _Any) -> _Any:
        """Run iperf with UDP: what mn calls for --test iperfudp, and Mininet itself has no more."""
        return self.iperf(l4Type="UDP", **params)

    @staticmethod
    def _or_exit(method: _Any, *args: _Any, **params: _Any) -> _Any:
        try:
            return method(*args, **params)
        except _KronosError as problem:
            _fail(problem)


MininetWithControlNet = Mininet
