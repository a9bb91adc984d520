"""Finds the adapters. A new product is one file in the package of its section.

Such a module has `KIND`, its name in an estate file, `OPTIONS`, the model of its entries, and `build`:

section    OPTIONS is a    build
balancers  BalancerEntry   build(name, options, context) -> Balancer
monitors   MonitorEntry    build(name, options, context) -> sequence of sources
zones      ZoneEntry       build(name, options, context) -> sequence of sources; where records can be changed also
                           acting(name, options, context) -> DnsZone
databases  DatabaseEntry   build(name, options, context) -> (Database, sequence of sources)
anchors    AnchorEntry     build(name, options, context) -> AnchorPlace
faults     FaultsEntry     build(options, context) -> FaultInjector

What `recovery check --connect` asks of a product is in a module `NAME_examine` beside it, with
`examine(name, options, context, deadline=…)`.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Protocol, cast

from adapters.context import misconfigured
from state.estate.model import (
    Adapted,
    AnchorEntry,
    BalancerEntry,
    DatabaseEntry,
    FaultsEntry,
    Kinds,
    MonitorEntry,
    ZoneEntry,
)

SECTIONS: Mapping[str, tuple[str, type[Adapted]]] = {
    "balancers": ("adapters.balancers", BalancerEntry),
    "databases": ("adapters.databases", DatabaseEntry),
    "monitors": ("adapters.monitors", MonitorEntry),
    "zones": ("adapters.dns", ZoneEntry),
    "anchors": ("adapters.anchors", AnchorEntry),
    "faults": ("adapters.faults", FaultsEntry),
}
"""The package of the adapters of each section of the estate, and the base of their options."""


class AdapterModule(Protocol):
    """A module that is an adapter."""

    KIND: str
    OPTIONS: type[Adapted]
    build: Callable[..., Any]


_added: dict[tuple[str, str], AdapterModule] = {}


@lru_cache(maxsize=1)
def shipped() -> Mapping[tuple[str, str], AdapterModule]:
    """The adapters of the product, by section and kind. Raises TypeError for a module without the needed parts,
    ValueError for two of one kind."""
    found: dict[tuple[str, str], AdapterModule] = {}
    for section, (package, _) in SECTIONS.items():
        for info in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            module = importlib.import_module(info.name)
            if hasattr(module, "KIND"):
                adapter = _adapter(section, module)
                if (section, adapter.KIND) in found:
                    raise ValueError(f"two adapters of {section} have the kind {adapter.KIND}: {info.name} is one")
                found[section, adapter.KIND] = adapter
    return MappingProxyType(found)


@contextmanager
def added(section: str, module: object) -> Iterator[None]:
    """While the context lasts, a module from outside the product is an adapter of a section.

    Raises TypeError for a module without the needed parts, ValueError when its kind exists already.
    """
    adapter = _adapter(section, module)
    key = (section, adapter.KIND)
    if key in shipped() or key in _added:
        raise ValueError(f"{section} already has the kind {adapter.KIND}")
    _added[key] = adapter
    try:
        yield
    finally:
        del _added[key]


def kinds() -> Kinds:
    """The options model of every adapter, by section of the estate and kind: `("balancers", "haproxy")`."""
    return {key: module.OPTIONS for key, module in {**shipped(), **_added}.items()}


def adapter_for(section: str, name: str, entry: Adapted) -> AdapterModule:
    """The adapter that serves an entry. Raises ConfigError when there is none."""
    module = _added.get((section, entry.kind)) or shipped().get((section, entry.kind))
    if module is None or not isinstance(entry, module.OPTIONS):
        known = ", ".join(sorted(kind for role, kind in kinds() if role == section))
        raise misconfigured(f"{section}.{name}", f"kind {entry.kind!r}", f"one of {known}, with its own keys")
    return module


def examiner_of(module: AdapterModule) -> Callable[..., Any] | None:
    """`examine` of the module `NAME_examine` beside an adapter, where there is one."""
    name = f"{getattr(module, '__name__', '')}_examine"
    try:
        found = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):  # an adapter from outside that is no module of a package
        found = None
    return None if found is None else cast("Callable[..., Any]", importlib.import_module(name).examine)


def _adapter(section: str, module: object) -> AdapterModule:
    base = SECTIONS[section][1]
    options = getattr(module, "OPTIONS", None)
    if not (isinstance(options, type) and issubclass(options, base)) or not callable(getattr(module, "build", None)):
        raise TypeError(f"{module}: an adapter of {section} needs KIND, OPTIONS (a {base.__name__}) and build")
    return cast("AdapterModule", module)
