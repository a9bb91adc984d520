"""The whole integrity suite of one database cluster."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

from adapters.context import AdapterContext
from adapters.databases.comparing.side import ComparedSide
from adapters.databases.comparing.work import server_of
from adapters.databases.integrity.facts import Opened, cluster_facts
from adapters.databases.integrity.rows import indexes_of, rows_of, sequences_of
from adapters.net.ssh import SshConnections
from adapters.registry import adapter_for
from state.config_files.suggestions import not_found
from state.errors import ReadFailure
from state.estate.model import DatabaseEntry, Estate
from state.health import Health
from state.integrity.judging import found_in, reference
from state.integrity.model import DatabaseFacts, IntegrityAsked, IntegrityFacts, IntegrityFinding
from state.ports.balancer import Balancer
from state.verdicts.traffic import taking
from state.world.balancer_parts import BalancerReading

ASKED = IntegrityAsked
CATALOG = 30.0
"""Seconds for a question about the catalog."""
JOINS = {"enable_hashjoin": "on", "enable_mergejoin": "on", "enable_sort": "on"}


async def verify(
    estate: Estate, base: Path, name: str, *, within: float, skip: Collection[IntegrityAsked] = ()
) -> tuple[IntegrityFacts, list[IntegrityFinding]]:
    """Everything that is known and found; each question about rows has `within` seconds. Only reads. Raises NotFound
    and ConfigError."""
    if name not in estate.databases:
        raise not_found("database", name, estate.databases)
    hosts = SshConnections(dict(estate.hosts), base)
    context = AdapterContext(base, estate.polling, {}, hosts)
    sides: list[ComparedSide] = []

    def opened(node: str, database: str, limit: float = CATALOG) -> ComparedSide:
        settings = {**JOINS, "statement_timeout": f"{limit * 1000:.0f}"}
        sides.append(ComparedSide(node, server_of(estate, context, name, node), database or None, 0, settings))
        return sides[-1]

    try:
        cluster = await cluster_facts(list(estate.databases[name].nodes), opened)
        await _closed(sides)
        findings = list(found_in(cluster))
        findings += await _frontends(estate, context, estate.databases[name], cluster)
        cluster = await _deeper(cluster, partial(opened, limit=within), findings, skip)
    finally:
        await _closed(sides)
        await hosts.close()
    order = {asked: at for at, asked in enumerate(ASKED)}
    kept = [each for each in findings if each.asked not in skip]
    return cluster, sorted(kept, key=lambda each: order[each.asked])


async def _closed(sides: list[ComparedSide]) -> None:
    while sides:
        await sides.pop().close()


async def _deeper(
    cluster: IntegrityFacts, opened: Opened, findings: list[IntegrityFinding], skip: Collection[IntegrityAsked]
) -> IntegrityFacts:
    """What rows and indexes tell: rows once, as they are replicated, indexes of every node."""
    first = reference(cluster)
    nodes = dict(cluster.nodes)
    for name, node in cluster.nodes.items():
        databases: dict[str, DatabaseFacts] = {}
        for database, facts in node.databases.items():
            side, where = opened(name, database), f"{name}/{database}"
            positions: dict[str, int] = {}
            if name == first:
                findings += [each async for each in rows_of(side, where, facts)]
                findings += [each async for each in sequences_of(side, where, facts, positions)]
            if ASKED.AMCHECK not in skip:
                findings += [each async for each in indexes_of(side, where, facts)]
            await side.close()
            databases[database] = replace(facts, positions=positions)
        nodes[name] = replace(node, databases=databases)
    return replace(cluster, nodes=nodes)


async def _frontends(
    estate: Estate, context: AdapterContext, entry: DatabaseEntry, cluster: IntegrityFacts
) -> list[IntegrityFinding]:
    """Whether the backends that lead to the writer lead to it, and to nobody else."""
    backends = [backend for backend, role in entry.frontends.items() if role == "primary"]
    if not backends or len(cluster.writers) != 1:
        return []
    found: list[IntegrityFinding] = []
    for name, options in estate.balancers.items():
        balancer: Balancer = adapter_for("balancers", name, options).build(name, options, context)
        try:
            reading = await balancer.read(deadline=estate.polling.deadline * 5)
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
