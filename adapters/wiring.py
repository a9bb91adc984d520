"""Wires an estate to its adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from adapters.access.wired import access_targets
from adapters.backups.building import backup_source
from adapters.commands.building import Own, concealed_in, statements
from adapters.commands.check_sources import CheckSources
from adapters.commands.command import command_at
from adapters.context import AdapterContext
from adapters.databases.comparing.aside import EstateComparisons
from adapters.databases.integrity.work import integrity_suites
from adapters.net.ssh import SshConnections, require_files
from adapters.registry import adapter_for
from adapters.signatures.openssh import OpenSshSignatures
from state.estate.model import DatabaseEntry, Estate
from state.estate.own import LOCAL
from state.ports.anchors import AnchorPlace
from state.ports.balancer import Balancer
from state.ports.database import Database
from state.ports.faults import FaultInjector
from state.ports.outside import Outside
from state.ports.source import Source
from state.ports.zone import DnsZone
from state.verdicts.instances import schema_of

CHECKS_STAND_ON = ("hosts", "monitors", "databases", "polling")
"""Sections with which an estate's own checks are made again."""


def wire(estate: Estate, base: Path, kept: tuple[Estate, Outside] | None = None) -> Outside:
    """Build every adapter the estate names; `base` is the folder of its file. Connects to nothing.

    With `kept`, the adapters of entries that are the same there, monitors for the same services, are taken over with
    their connections, their secrets and what they remember.
    Reads the secrets of the others, so it may block for as long as their commands take. Raises ConfigError.
    """
    before, had = kept or (None, Outside((), {}, {}))
    hosts = _hosts(estate, base, before, had)
    context = AdapterContext(base, estate.polling, watched(estate), hosts, partial(command_at, base, hosts))
    balancers: dict[str, Balancer] = {}
    databases: dict[str, Database] = {}
    entries: dict[str, Sequence[Source]] = {}
    keeps = partial(_keeps, estate, before, had, context)
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
            databases[name], read = adapter_for("databases", name, database).build(name, database, context)
            entries[place] = [*read, *_backups(name, database, estate, context, hosts)]
    for section in ("monitors", "zones"):
        for name, entry in getattr(estate, section).items():
            place, keep = f"{section}/{name}", keeps(section, name)
            made = None if keep else adapter_for(section, name, entry).build(name, entry, context)
            entries[place] = had.entries[place] if made is None else made
    faults = _faults(estate, context, before, had)
    own = Own(estate, context, hosts)
    checks = CheckSources(estate, context, hosts, databases, own.concealed)
    entries |= _checks(estate, checks, before, had)
    return Outside(
        [source for each in entries.values() for source in each],
        balancers,
        databases,
        faults,
        entries,
        commands=own.commands(),
        http_calls=own.http_calls(),
        sql_calls=statements(estate, context, databases),
        integrity=integrity_suites(estate, databases, balancers),
        connections=hosts,
        comparing=EstateComparisons(estate, base),
        zones=_zones(estate, context, keeps, had),
        signatures=OpenSshSignatures(),
        anchors=_anchors(estate, context, keeps, had),
        access=access_targets(estate, databases, had, context),
    )


def _zones(
    estate: Estate, context: AdapterContext, keeps: Callable[[str, str], bool], had: Outside
) -> dict[str, DnsZone]:
    """The zones in which records can be changed."""
    zones: dict[str, DnsZone] = {}
    for name, entry in estate.zones.items():
        made_of = None if keeps("zones", name) else adapter_for("zones", name, entry)
        acts = getattr(made_of, "acting", None)
        if made_of is None and name in had.zones:
            zones[name] = had.zones[name]
        elif acts is not None:
            zones[name] = acts(name, entry, context)
    return zones


def _anchors(
    estate: Estate, context: AdapterContext, keeps: Callable[[str, str], bool], had: Outside
) -> dict[str, AnchorPlace]:
    """The places that keep anchors."""
    return {
        name: had.anchors[name]
        if keeps("anchors", name)
        else adapter_for("anchors", name, entry).build(name, entry, context)
        for name, entry in estate.anchors.items()
    }


def _backups(
    name: str, entry: DatabaseEntry, estate: Estate, context: AdapterContext, hosts: SshConnections
) -> Sequence[Source]:
    """The source of a database's backups, where the estate names any."""
    if entry.backups is None:
        return ()
    return [backup_source(name, entry.backups, context, hosts, concealed_in(estate, context))]


def _faults(estate: Estate, context: AdapterContext, before: Estate | None, had: Outside) -> FaultInjector | None:
    """The fault injector, if the estate has one."""
    if estate.faults is None:
        return None
    if before is not None and before.faults == estate.faults:
        return had.faults
    made: FaultInjector = adapter_for("faults", "", estate.faults).build(estate.faults, context)
    return made


def _checks(estate: Estate, made: CheckSources, before: Estate | None, had: Outside) -> dict[str, Sequence[Source]]:
    """The sources of the estate's own checks and schemas, by entry; those that are the same are kept."""
    same = before is not None and all(getattr(before, part) == getattr(estate, part) for part in CHECKS_STAND_ON)
    known = before.checks if same and before is not None else {}
    checks = {
        f"checks/{name}": had.entries[f"checks/{name}"] if known.get(name) == check else [made.build(name, check)]
        for name, check in estate.checks.items()
    }
    before_services = before.services if same and before is not None else {}
    for name, service in estate.services.items():
        entry, place = schema_of(service), f"releases/{name}"
        if entry is not None:
            kept = name in before_services and schema_of(before_services[name]) == entry
            checks[place] = had.entries[place] if kept else [made.schema(name, entry)]
    return checks


def _keeps(
    estate: Estate, before: Estate | None, had: Outside, context: AdapterContext, section: str, name: str
) -> bool:
    """Whether the adapter of an entry can be taken over: nothing that it was built from is different."""
    if before is None or before.polling != estate.polling:
        return False
    entry = getattr(estate, section)[name]
    backups = entry.backups if isinstance(entry, DatabaseEntry) else None
    behind = bool(entry.through) or (backups is not None and backups.on != LOCAL)
    if behind and estate.hosts != before.hosts:
        return False
    asked = section != "monitors" or watched(before).get(name) == context.watched.get(name)
    return asked and bool(getattr(before, section).get(name) == entry)


def _hosts(estate: Estate, base: Path, before: Estate | None, had: Outside) -> SshConnections:
    """The connections to hosts, with those that are open when the hosts are the same."""
    if before is not None and before.hosts == estate.hosts and isinstance(had.connections, SshConnections):
        return had.connections
    require_files(estate.hosts, base)
    return SshConnections(dict(estate.hosts), base)


def watched(estate: Estate) -> dict[str, tuple[str, ...]]:
    """For each monitor the services whose figures it is asked for, as they are called there."""
    found: dict[str, set[str]] = {}
    for service in estate.services.values():
        for monitor in service.metrics.monitors if service.metrics is not None else ():
            assert service.metrics is not None
            found.setdefault(monitor, set()).add(service.metrics.service)
    return {monitor: tuple(sorted(names)) for monitor, names in found.items()}
