"""What a network is asked for in vain, found before anything is made."""

from __future__ import annotations

from typing import Any

from mininet.topo import Topo

from mininet_kronos.errors import ParameterError
from mininet_kronos.link import KronosLink, check_interface_name
from mininet_kronos.link_model import link_params
from mininet_kronos.node import check_counter, check_speed


def check_topo(topo: Any) -> None:
    """Raise ParameterError for what a topology asks in vain; parameters of classes are checked later."""
    if not isinstance(topo, Topo):
        raise ParameterError(f"topo {topo!r} is no topology; give an object of its class, such as MyTopo()")
    for node in topo.nodes():
        wanted = topo.nodeInfo(node)
        if "cpu_speed" in wanted:
            check_speed(node, wanted["cpu_speed"])
        if "counter" in wanted:
            check_counter(node, wanted["counter"])
    for _src, _dst, wanted in topo.links(withInfo=True):
        for end in "1", "2":
            name = wanted.get(f"intfName{end}") or f"{wanted[f'node{end}']}-eth{wanted[f'port{end}']}"
            check_interface_name(name)
            link_params({**(wanted.get(f"params{end}") or {}), **wanted}, name)


def check_params(epoch: Any, params: dict[str, Any]) -> None:
    """Raise ParameterError for parameters of a KronosNet that make no sense in virtual time."""
    if epoch is not None and not (isinstance(epoch, (int, float)) and epoch >= 0):
        raise ParameterError(f"epoch {epoch!r} must be a number of seconds since 1970")
    for name, why in (
        ("xterms", "a terminal would stand still between rounds; use the CLI"),
        ("inNamespace", "switches share one Open vSwitch in the root namespace"),
        ("autoPinCpus", "hosts share the engine's CPU; use a host's cpu_speed"),
    ):
        if params.get(name):
            raise ParameterError(f"KronosNet has no {name}: {why}")


def check_link_class(name: str, made_by: Any) -> None:
    """Raise ParameterError for a class, or a partial of one, whose links would be in real time."""
    made_by = getattr(made_by, "func", made_by)
    if isinstance(made_by, type) and not issubclass(made_by, KronosLink):
        raise ParameterError(
            f"{name}: {made_by.__name__} is outside virtual time; use KronosLink, which is the default"
        )
