"""Wires an estate to its adapters."""

from __future__ import annotations

from pathlib import Path

from adapters.context import AdapterContext
from adapters.registry import adapter_for
from state.estate.model import Estate
from state.ports.balancer import Balancer
from state.ports.database import Database
from state.ports.faults import FaultInjector
from state.ports.outside import Outside
from state.ports.source import Source


def wire(estate: Estate, base: Path) -> Outside:
    """Build every adapter the estate names; `base` is the folder of its file. Connects to nothing.

    Reads the secrets, so it may block for as long as their commands take. Raises ConfigError.
    """
    context = AdapterContext(base, estate.polling)
    balancers: dict[str, Balancer] = {}
    databases: dict[str, Database] = {}
    sources: list[Source] = []
    for name, balancer in estate.balancers.items():
        balancers[name] = adapter_for("balancers", name, balancer).build(name, balancer, context)
        sources.append(context.source(f"balancer:{name}", balancers[name].read))
    for name, database in estate.databases.items():
        databases[name], polled = adapter_for("databases", name, database).build(name, database, context)
        sources += polled
    for name, monitor in estate.monitors.items():
        sources += adapter_for("monitors", name, monitor).build(name, monitor, context)
    for name, zone in estate.zones.items():
        sources += adapter_for("zones", name, zone).build(name, zone, context)
    faults: FaultInjector | None = None
    if estate.faults is not None:
        faults = adapter_for("faults", "", estate.faults).build(estate.faults, context)
    return Outside(sources, balancers, databases, faults)
