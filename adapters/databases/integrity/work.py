"""The whole integrity suite of one database cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import asyncpg

from adapters.context import AdapterContext
from adapters.databases.comparing.side import ComparedSide
from adapters.databases.comparing.work import server_of
from adapters.databases.integrity.facts import Opened, cluster_facts
from adapters.databases.integrity.rows import indexes_of, rows_of, sequences_of
from adapters.databases.postgres import PostgresNode
from adapters.databases.statements import HasServers
from adapters.net.ssh import SshConnections
from adapters.registry import adapter_for
from state.config_files.suggestions import not_found
from state.errors import ReadFailure
from state.estate.model import DatabaseEntry, Estate
from state.health import Health
from state.integrity.judging import found_in, reference, unproven_collations
from state.integrity.model import DatabaseFacts, IntegrityAsked, IntegrityFacts, IntegrityFinding
from state.integrity.snapshot import changes
from state.ports.balancer import Balancer
from state.ports.database import Database
from state.verdicts.traffic import taking
from state.world.balancer_parts import BalancerReading
from state.world.integrity_parts import IntegrityLine, IntegrityReading

ASKED = IntegrityAsked
CATALOG = 30.0
"""Seconds for a question about the catalog."""
LIGHT = (ASKED.AMCHECK, ASKED.KEYS)
"""What is left out of a look that must not take long."""
MOST_KEPT = 20
NOT_KEPT = IntegrityFinding(
    ASKED.CHANGES,
    "cluster",
    Health.UNKNOWN,
    "how it was before is not known: it was not read in time, or the engine was started anew",
    "see what this cluster had, for example by an earlier recovery db verify --save",
)
Balancers = Mapping[str, Balancer]
JOINS = {"enable_hashjoin": "on", "enable_mergejoin": "on", "enable_sort": "on"}


class IntegritySuite:
    """Fulfils CanLookWhole for one database, over sessions of its own."""

    def __init__(
        self, name: str, entry: DatabaseEntry, servers: Sequence[PostgresNode], balancers: Balancers, deadline: float
    ) -> None:
        """`balancers` are those of the estate, each read within `deadline` seconds."""
        self._name, self._entry, self._balancers, self._deadline = name, entry, balancers, deadline
        self._servers = {each.node: each for each in servers}
        self._kept: dict[str, IntegrityFacts] = {}

    async def whole(
        self, *, within: float, skip: Collection[IntegrityAsked] = ()
    ) -> tuple[IntegrityFacts, list[IntegrityFinding]]:
        """Everything that is known and found; each question about rows has `within` seconds."""
        sides: list[ComparedSide] = []
        opened = partial(self._opened, sides)
        try:
            cluster = await cluster_facts(list(self._servers), opened)
            await _closed(sides)
            findings = list(found_in(cluster))
            findings += await _frontends(self._balancers, self._deadline, self._entry, cluster)
            sound: set[str] = set()
            cluster = await _deeper(cluster, partial(opened, limit=within), findings, skip, sound)
            findings += unproven_collations(cluster, sound)
        finally:
            await _closed(sides)
        order = {asked: at for at, asked in enumerate(ASKED)}
        kept = [each for each in findings if each.asked not in skip]
        return cluster, sorted(kept, key=lambda each: order[each.asked])

    async def look(self, *, skip: Collection[str], within: float) -> IntegrityReading:
        """The suite as a reading."""
        left_out = [IntegrityAsked(each) for each in skip]
        _, found = await self.whole(within=within, skip=left_out)
        return self._reading(found, left_out)

    async def keep(self, effect: str, *, deadline: float) -> None:
        """Catalogs, settings and slots of the nodes that answer by then, and where the sequences are."""
        sides: list[ComparedSide] = []
        opened = partial(self._opened, sides, limit=deadline)
        try:
            async with asyncio.timeout(deadline):
                cluster = await cluster_facts(list(self._servers), opened)
                self._kept[effect] = cluster
                self._kept[effect] = await _deeper(cluster, opened, [], LIGHT, set())
        except (TimeoutError, ReadFailure, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pass  # what is kept by then counts, and what is missing is told afterwards
        finally:
            await _closed(sides)
        while len(self._kept) > MOST_KEPT:
            self._kept.pop(next(iter(self._kept)))

    async def since(self, effect: str, *, within: float) -> IntegrityReading:
        """The suite, and what is different from what was kept."""
        cluster, found = await self.whole(within=within, skip=(ASKED.AMCHECK,))
        before = self._kept.get(effect)
        found += [NOT_KEPT] if before is None else changes(before, cluster)
        return self._reading(found, (ASKED.AMCHECK,))

    def forget(self, effect: str) -> None:
        """Let go what was kept."""
        self._kept.pop(effect, None)

    def _reading(self, found: Iterable[IntegrityFinding], left_out: Iterable[IntegrityAsked]) -> IntegrityReading:
        lines = (IntegrityLine(f.asked.value, f.where, f.health, f.fact, f.way_out) for f in found)
        return IntegrityReading(self._name, tuple(lines), tuple(each.value for each in left_out))

    def _opened(self, sides: list[ComparedSide], node: str, database: str, limit: float = CATALOG) -> ComparedSide:
        settings = {**JOINS, "statement_timeout": f"{limit * 1000:.0f}"}
        sides.append(ComparedSide(node, self._servers[node], database or None, 0, settings))
        return sides[-1]


def integrity_suites(
    estate: Estate, databases: Mapping[str, Database], balancers: Balancers
) -> dict[str, IntegritySuite]:
    """One for each database whose servers can be logged in to. Connects to nothing."""
    return {
        name: IntegritySuite(name, entry, database.servers, balancers, estate.polling.deadline * 5)
        for name, entry in estate.databases.items()
        if isinstance(database := databases[name], HasServers)
    }


async def verify(
    estate: Estate, base: Path, name: str, *, within: float, skip: Collection[IntegrityAsked] = ()
) -> tuple[IntegrityFacts, list[IntegrityFinding]]:
    """The suite of one database of an estate. Only reads. Raises NotFound and ConfigError."""
    if name not in estate.databases:
        raise not_found("database", name, estate.databases)
    hosts = SshConnections(dict(estate.hosts), base)
    context = AdapterContext(base, estate.polling, {}, hosts)
    entry = estate.databases[name]
    try:
        servers = [server_of(estate, context, name, node) for node in entry.nodes]
        balancers = {
            each: adapter_for("balancers", each, options).build(each, options, context)
            for each, options in (estate.balancers.items() if "primary" in entry.frontends.values() else ())
        }
        suite = IntegritySuite(name, entry, servers, balancers, estate.polling.deadline * 5)
        return await suite.whole(within=within, skip=skip)
    finally:
        await hosts.close()


async def _closed(sides: list[ComparedSide]) -> None:
    while sides:
        await sides.pop().close()


async def _deeper(
    cluster: IntegrityFacts,
    opened: Opened,
    findings: list[IntegrityFinding],
    skip: Collection[IntegrityAsked],
    sound: set[str],
) -> IntegrityFacts:
    """What rows and indexes tell: rows once, as they are replicated, indexes of every node. `sound` gets the indexes
    that were read and are in order, as `node/database/index`."""
    first = reference(cluster)
    nodes = dict(cluster.nodes)
    for name, node in cluster.nodes.items():
        databases: dict[str, DatabaseFacts] = {}
        for database, facts in node.databases.items():
            side, where = opened(name, database), f"{name}/{database}"
            positions: dict[str, int] = {}
            if name == first:
                if ASKED.KEYS not in skip:
                    findings += [each async for each in rows_of(side, where, facts)]
                findings += [each async for each in sequences_of(side, where, facts, positions)]
            if ASKED.AMCHECK not in skip:
                findings += [each async for each in indexes_of(side, where, facts, sound)]
            await side.close()
            databases[database] = replace(facts, positions=positions)
        nodes[name] = replace(node, databases=databases)
    return replace(cluster, nodes=nodes)


async def _frontends(
    balancers: Balancers, deadline: float, entry: DatabaseEntry, cluster: IntegrityFacts
) -> list[IntegrityFinding]:
    """Whether the backends that lead to the writer lead to it, and to nobody else."""
    backends = [backend for backend, role in entry.frontends.items() if role == "primary"]
    if not backends or len(cluster.writers) != 1:
        return []
    found: list[IntegrityFinding] = []
    for name, balancer in balancers.items():
        try:
            reading = await balancer.read(deadline=deadline)
        except ReadFailure as failure:
            found.append(
                IntegrityFinding(ASKED.FRONTENDS, name, Health.UNKNOWN, failure.message, "look whether it runs")
            )
            continue
        found += [each for backend in backends for each in _backend(name, backend, reading, cluster.writers[0])]
    return found


def _backend(name: str, backend: str, reading: BalancerReading, writer: str) -> list[IntegrityFinding]:
    servers = reading.of(backend)
    if not servers:
        return []
    led = sorted(server.name for server in taking(servers))
    where = f"{name}/{backend}"
    if led == [writer]:
        return [IntegrityFinding(ASKED.FRONTENDS, where, Health.PASS, f"leads to {writer}, the writer")]
    told = " and ".join(led) or "nobody"
    way_out = "see its checks of the servers: only the writer may pass them"
    return [IntegrityFinding(ASKED.FRONTENDS, where, Health.FAIL, f"leads to {told}, the writer is {writer}", way_out)]
