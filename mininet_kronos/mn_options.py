"""What mn's options ask for, checked before anything is changed: used by custom.py, for `mn --custom`."""

from __future__ import annotations

import difflib
import inspect
import os
import sys
from collections.abc import Mapping
from typing import Any, Callable

from mininet.link import Link, TCIntf
from mininet.node import Controller, Node, Switch
from mininet.util import netParse, splitArgs

from mininet_kronos.controller import KronosController, check_app
from mininet_kronos.errors import ParameterError
from mininet_kronos.link import KronosLink
from mininet_kronos.link_model import MODEL, link_params
from mininet_kronos.net import KronosNet
from mininet_kronos.node import KronosHost, KronosNodeMixin, check_counter, check_pace, check_speed
from mininet_kronos.units import parse_count

ALTERNATIVES = (  # for classes of Mininet's that stay in real time
    (Switch, KronosNodeMixin, "--switch kronosovs"),
    (Controller, KronosNodeMixin, "--controller kronosryu"),
    (Node, KronosNodeMixin, "--host kronos"),
    (Link, KronosLink, "--link kronos"),
)
NOT_PARAMETERS = {"self", "name", "args", "params", "kwargs", "_params", "_kwargs", "kronos", "process"}
FOR_SCRIPTS = {  # what makes no sense on a command line, or does nothing
    "node1", "node2", "intf", "cls1", "cls2", "intfName1", "intfName2", "params1", "params2",
    "addr1", "addr2", "port1", "port2", "fast", "gro", "rxo", "txo", "traced",
}  # fmt: skip
OTHER_NODE_PARAMETERS = ("privateDirs", "dpid")
REFUSED = (  # of mn's options: its name for us, in its own spelling, and what to do instead
    ("cluster", "--cluster", "hosts of several CPUs: KRONOS_CPUS=4"),
    ("nat", "--nat", "the network has no way out"),
    ("xterms", "-x", "a terminal would stand still between rounds: type '<node> <command>' instead"),
    ("innamespace", "--innamespace", "switches share one Open vSwitch in the root namespace"),
    ("pin", "--pin", "hosts share the engine's CPU: use --host kronos,cpu_speed=X"),
)
TESTS = {"pingall", "pingpair", "iperfudp"}  # of Mininet, in mn's own spelling


def check_name(known: Mapping[str, Any], option: str) -> None:
    """Raise ParameterError if what an option names is not there."""
    name = splitArgs(option)[0]
    if not known.get(name):
        fit = sorted(key for key, chosen in known.items() if chosen and not _alternative(chosen))
        raise ParameterError(f"{name} is unknown; use one of {', '.join(fit)}")


def _alternative(chosen: Any) -> str | None:
    """Return what to use instead of a class that is outside virtual time."""
    for theirs, ours, alternative in ALTERNATIVES:
        if isinstance(chosen, type) and issubclass(chosen, theirs):
            return None if issubclass(chosen, ours) else alternative
    return None


def topo_parameters(topos: Mapping[str, Any], option: str) -> str:
    """Return what a topology takes, for a message."""
    topo = topos[splitArgs(option)[0]]
    taken = inspect.signature(getattr(topo, "build", topo)).parameters.values()
    names = [str(each) for each in taken if each.name != "self" and each.kind is not each.VAR_KEYWORD]
    return f"its parameters are {', '.join(names) or 'none'}"


def check_class(chosen: Any, option: str) -> None:
    """Raise ParameterError if one of mn's options asks for what the class does not have, or is not virtual.

    chosen: the class, with its parameters preset, or a function that makes objects; option: the text after
    --host and the like.
    """
    if not isinstance(chosen, type):
        return
    _name, args, params = splitArgs(option)
    if alternative := _alternative(chosen):
        raise ParameterError(f"'{option}' is outside virtual time; use {alternative}")
    if issubclass(chosen, (KronosNodeMixin, KronosLink)):
        _check_names(chosen, params, option)
    _check_values(chosen, args, params, option)


def _check_names(cls: type, params: dict[str, Any], option: str) -> None:
    known = _parameters(cls)
    for name in params:
        if name not in known:
            close = difflib.get_close_matches(name, known - FOR_SCRIPTS, 1, cutoff=0.5)
            hint = f"did you mean {close[0]}?" if close else f"use {', '.join(sorted(known - FOR_SCRIPTS))}"
            raise ParameterError(f"'{option}': there is no parameter '{name}'; {hint}")


def _parameters(cls: type) -> set[str]:
    """Return the names of all parameters that a class and its bases take."""
    names: set[str] = set()
    sources: list[Callable[..., Any]] = [base.__init__ for base in cls.__mro__]  # type: ignore[misc]
    if issubclass(cls, Link):
        names.update(MODEL)
        sources.append(TCIntf.config)
    else:
        names.update(OTHER_NODE_PARAMETERS)
        sources.append(Node.config)
    for source in sources:
        if source is not object.__init__:
            names.update(inspect.signature(source).parameters)
    return names - NOT_PARAMETERS


def _check_values(cls: type, args: list[str], params: dict[str, Any], option: str) -> None:
    if issubclass(cls, KronosLink):
        link_params(params)
    if issubclass(cls, (KronosHost, KronosController)):
        check_speed(f"'{option}'", params.get("cpu_speed", 1))
        check_counter(f"'{option}'", params.get("counter", "auto"))
        parse_count(params.get("cores", 1), f"'{option}': cores")
    if issubclass(cls, KronosController):
        check_pace(f"'{option}'", params.get("pace", "instant"))
        if params.get("port") is not None:
            parse_count(params["port"], f"'{option}': port")
        apps = params.get("apps", ())
        for app in (*args, *([apps] if isinstance(apps, str) else apps)):
            check_app(app)


def check_options(options: Any) -> None:
    """Raise ParameterError for options of mn's that have no place in virtual time, and for unknown tests."""
    for name, option, instead in REFUSED:
        if getattr(options, name, False):
            raise ParameterError(f"{option} is outside virtual time; {instead}")
    try:
        netParse(options.ipbase)
    except (ValueError, TypeError):
        raise ParameterError(f"--ipbase {options.ipbase} is no network; use for example 10.0.0.0/8") from None
    for option, script in ("--pre", options.pre), ("--post", options.post):
        if script and not os.access(script, os.R_OK):
            raise ParameterError(f"{option} {script} cannot be read; name a file of commands")
    known = {*getattr(sys.modules["__main__"], "TESTS", ()), *TESTS}
    for option in options.test:
        for test in option.split("+"):
            name = splitArgs(test)[0]
            if name not in known and name.lower() not in TESTS and not hasattr(KronosNet, name):
                raise ParameterError(f"--test {name} is unknown; use one of {', '.join(sorted(known))}")
