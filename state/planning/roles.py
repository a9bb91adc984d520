"""Who leads a database, read for one plan: the order of a rolling runbook follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from state.changes.sight import describe, look, world_of
from state.config_files.suggestions import not_found
from state.errors import Refused
from state.estate.model import Estate
from state.ports.outside import Outside
from state.verdicts.replication import cluster_verdict


async def leaders_of(databases: Sequence[str], estate: Estate, outside: Outside, deadline: float) -> Mapping[str, str]:
    """The leader of each database. Raises Refused for one of which it is not certain now."""
    found = await asyncio.gather(*(_leader(name, estate, outside, deadline) for name in databases))
    return dict(zip(databases, found, strict=True))


async def _leader(name: str, estate: Estate, outside: Outside, deadline: float) -> str:
    database = outside.databases.get(name)
    if database is None:
        raise not_found("database", name, outside.databases)
    sight = await look(database, deadline)
    cluster = cluster_verdict(name, estate.databases[name], world_of(name, sight), 0.0)
    if cluster.split is None and sight.writable == (cluster.leader,):
        return cluster.leader
    fact = f"who leads {name} is not certain: {'; '.join(describe(node, sight) for node in database.nodes)}"
    raise Refused("roles-known", fact, "Repair the cluster or its readings first; the order of the steps follows it")
