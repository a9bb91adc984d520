"""Finds the adapters and wires an estate to them. A new product is one file dropped into its package.

Such a file has `KIND`, a pydantic model `Options`, and `build`:

balancers  build(name, options, context) -> Balancer
monitors   build(name, options, context) -> sequence of sources
dns        build(zone, options, records, context) -> sequence of sources
databases  build(name, entry, context) -> (Database, sequence of sources)
faults     build(options, context) -> FaultInjector
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, ModuleType

from pydantic import BaseModel, ValidationError

from adapters.context import AdapterContext, misconfigured
from state.errors import ConfigError
from state.estate.model import Adapted, Estate
from state.ports.balancer import Balancer
from state.ports.database import Database
from state.ports.faults import FaultInjector
from state.ports.outside import Outside
from state.ports.source import Source

PACKAGES: Mapping[str, str] = {
    "balancers": "adapters.balancers",
    "databases": "adapters.databases",
    "monitors": "adapters.monitors",
    "zones": "adapters.dns",
    "faults": "adapters.faults",
}
"""Where the adapters of each section of the estate live."""


@lru_cache(maxsize=1)
def _modules() -> Mapping[tuple[str, str], ModuleType]:
    found: dict[tuple[str, str], ModuleType] = {}
    for section, package in PACKAGES.items():
        for info in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            module = importlib.import_module(info.name)
            if hasattr(module, "KIND"):
                found[section, module.KIND] = module
    return MappingProxyType(found)


def kinds() -> Mapping[tuple[str, str], type[BaseModel]]:
    """The options model of every adapter, by section of the estate and kind: `("balancers", "haproxy")`."""
    return {key: module.Options for key, module in _modules().items()}


def wire(estate: Estate, base: Path) -> Outside:
    """Build every adapter the estate names; `base` is the folder of its file. Connects to nothing.

    Reads the secrets, so it may block for as long as their commands take. Raises ConfigError.
    """
    context = AdapterContext(base, estate.polling)
    balancers = dict(_balancers(estate, context))
    sources: list[Source] = [context.source(f"balancer:{name}", balancer.read) for name, balancer in balancers.items()]
    databases: dict[str, Database] = {}
    for name, database in estate.databases.items():
        built, polled = _module("databases", name, database.kind).build(name, database, context)
        databases[name] = built
        sources += polled
    for name, monitor in estate.monitors.items():
        module, options = _adapter("monitors", name, monitor)
        sources += module.build(name, options, context)
    for name, zone in estate.zones.items():
        module, options = _adapter("zones", name, zone)
        sources += module.build(name, options, zone.records, context)
    return Outside(sources, balancers, databases, _faults(estate, context))


def _balancers(estate: Estate, context: AdapterContext) -> Iterator[tuple[str, Balancer]]:
    for name, entry in estate.balancers.items():
        module, options = _adapter("balancers", name, entry)
        yield name, module.build(name, options, context)


def _faults(estate: Estate, context: AdapterContext) -> FaultInjector | None:
    if estate.faults is None:
        return None
    module, options = _adapter("faults", "", estate.faults)
    injector: FaultInjector = module.build(options, context)
    return injector


def _module(section: str, name: str, kind: str) -> ModuleType:
    module = _modules().get((section, kind))
    if module is None:
        known = ", ".join(sorted(each for role, each in _modules() if role == section))
        raise misconfigured(f"{section}.{name}", f"kind {kind!r}", f"one of {known}")
    return module


def _adapter(section: str, name: str, entry: Adapted) -> tuple[ModuleType, BaseModel]:
    """The entry's adapter and its validated options. Raises ConfigError."""
    module = _module(section, name, entry.kind)
    try:
        options: BaseModel = module.Options.model_validate(entry.options)
    except ValidationError as error:
        raise ConfigError(
            tuple(
                misconfigured(f"{section}.{name}.{'.'.join(map(str, each['loc']))}", "", each["msg"]).problems[0]
                for each in error.errors(include_input=False)
            )
        ) from None
    return module, options
