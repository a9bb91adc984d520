"""Wires an estate to its adapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.commands.building import build_own
from adapters.context import AdapterContext
from adapters.net.ssh import SshConnections
from adapters.registry import adapter_for
from state.estate.model import Estate
from state.ports.balancer import Balancer
from state.ports.database import Database
from state.ports.faults import FaultInjector
from state.ports.outside import Outside
from state.ports.source import Source


def wire(estate: Estate, base: Path, kept: tuple[Estate, Outside] | None = None) -> Outside:
    """Build every adapter the estate names; `base` is the folder of its file. Connects to nothing.

    With `kept`, the adapters of entries that are the same there, monitors for the same services, are taken over with
    their connections, their secrets and what they remember.
    Reads the secrets of the others, so it may block for as long as their commands take. Raises ConfigError.
    """
    context = AdapterContext(base, estate.polling, watched(estate))
    before, had = kept or (None, Outside((), {}, {}))
    balancers: dict[str, Balancer] = {}
    databases: dict[str, Database] = {}
    entries: dict[str, Sequence[Source]] = {}

    def keeps(section: str, name: str) -> bool:
        if before is None or before.polling != estate.polling:
            return False
        asked = section != "monitors" or watched(before).get(name) == context.watched.get(name)
        return asked and getattr(before, section).get(name) == getattr(estate, section)[name]

    for name, balancer in estate.balancers.items():
        place = f"balancers/{name}"
        if keeps("balancers", name):
            balancers[name], entries[place] = had.balancers[name], had.entries[place]
        else:
            balancers[name] = adapter_for("balancers", name, balancer).build(name, balancer, context)
            entries[place] = [context.source(f"balancer:{name}", balancers[name].read)]
    for name, database in estate.databases.items():
        place = f"databases/{name}"
        if keeps("databases", name):
            databases[name], entries[place] = had.databases[name], had.entries[place]
        else:
            databases[name], entries[place] = adapter_for("databases", name, database).build(name, database, context)
    for section in ("monitors", "zones"):
        for name, entry in getattr(estate, section).items():
            place, keep = f"{section}/{name}", keeps(section, name)
            made = None if keep else adapter_for(section, name, entry).build(name, entry, context)
            entries[place] = had.entries[place] if made is None else made
    faults: FaultInjector | None = None
    if estate.faults is not None:
        keep = before is not None and before.faults == estate.faults
        faults = had.faults if keep else adapter_for("faults", "", estate.faults).build(estate.faults, context)
    sources = [source for each in entries.values() for source in each]
    hosts = _hosts(estate, base, before, had)
    return Outside(sources, balancers, databases, faults, entries, build_own(estate, context, hosts), hosts)


def _hosts(estate: Estate, base: Path, before: Estate | None, had: Outside) -> SshConnections:
    """The connections to hosts, with those that are open when the hosts are the same."""
    if before is not None and before.hosts == estate.hosts and isinstance(had.connections, SshConnections):
        return had.connections
    return SshConnections(dict(estate.hosts), base)


def watched(estate: Estate) -> dict[str, tuple[str, ...]]:
    """For each monitor the services whose figures it is asked for, as they are called there."""
    found: dict[str, set[str]] = {}
    for service in estate.services.values():
        for monitor in service.metrics.monitors if service.metrics is not None else ():
            assert service.metrics is not None
            found.setdefault(monitor, set()).add(service.metrics.service)
    return {monitor: tuple(sorted(names)) for monitor, names in found.items()}
