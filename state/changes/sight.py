"""One fresh reading of all nodes of a database, and a world of it that the verdicts of the screens can judge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from state.errors import ReadFailure
from state.ports.database import Database, HasManagers, HasTables, RemembersWriter, SeenWriter
from state.verdicts.votes import PRIMARY, manager_role
from state.world.manager_tables import ManagerTable
from state.world.observed import Observed
from state.world.readings import PatroniReading, PostgresReading, Reading
from state.world.world import World

DEFAULT_TTL = 30.0
"""Patroni's `ttl` where none was read: a loop with all its tries is shorter (ttl >= loop_wait + 2 * retry_timeout)."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One fresh reading of all nodes: by the server and by its manager, None without an answer; `members` is empty for
    a cluster whose nodes have no manager that is read. `tables` are those of a
    manager that is asked by command. `last` is the node that accepted writes last, as it was read then."""

    servers: Mapping[str, PostgresReading | None]
    members: Mapping[str, PatroniReading | None]
    last: SeenWriter | None = None
    tables: Mapping[str, ManagerTable | None] = field(default_factory=dict)

    @property
    def writable(self) -> tuple[str, ...]:
        """Nodes whose own server accepts writes."""
        return tuple(n for n, r in self.servers.items() if r is not None and not r.in_recovery)

    @property
    def leaders(self) -> tuple[str, ...]:
        """Nodes whose manager says they lead and run: in a paused cluster a stopped server keeps its role."""
        told = ((n, m) for n, m in self.members.items() if m is not None)
        found = [node for node, member in told if manager_role(member.role, member.state) == PRIMARY]
        rows = (row for table in self.tables.values() if table is not None for row in table.nodes)
        return tuple(dict.fromkeys((*found, *(row.name for row in rows if row.role == PRIMARY))))

    @property
    def managed(self) -> bool:
        """Whether its nodes have managers."""
        return bool(self.members)

    @property
    def ttl(self) -> float:
        """The longest `ttl` that a manager has; 0 when none says it."""
        return max((m.ttl or 0.0 for m in self.members.values() if m is not None), default=0.0)


def at_work(ttl: float, checkpoint: float) -> float:
    """Seconds a manager may be at a request before its servers show it; `ttl` is 0 where it was not read."""
    return (ttl or DEFAULT_TTL) + checkpoint


async def look(database: Database, deadline: float) -> Sight:
    """Read every node, server and manager, at the same time."""
    nodes = tuple(database.nodes)
    managed = database if isinstance(database, HasManagers) else None

    async def server(node: str) -> PostgresReading | None:
        try:
            return await database.read_node(node, deadline=deadline)
        except ReadFailure:
            return None

    async def member(manager: HasManagers, node: str) -> PatroniReading | None:
        try:
            return await manager.read_member(node, deadline=deadline)
        except ReadFailure:
            return None

    asked = () if managed is None else nodes
    servers, members = await asyncio.gather(
        asyncio.gather(*(server(n) for n in nodes)),
        asyncio.gather(*(member(managed, n) for n in asked if managed is not None)),
    )
    tables = await _tables(database, deadline)
    last = database.last_writer() if isinstance(database, RemembersWriter) else None  # with what was just read
    return Sight(dict(zip(nodes, servers, strict=True)), dict(zip(asked, members, strict=True)), last, tables)


async def _tables(database: Database, deadline: float) -> dict[str, ManagerTable | None]:
    """The tables of a manager that is asked by command."""
    if not isinstance(database, HasTables):
        return {}
    asked = database

    async def table(place: str) -> ManagerTable | None:
        try:
            return await asked.read_table(place, deadline=deadline)
        except ReadFailure:
            return None

    places = tuple(asked.table_places)
    return dict(zip(places, await asyncio.gather(*(table(place) for place in places)), strict=True))


def world_of(database: str, sight: Sight) -> World:
    """A world of these readings alone; of a writer that does not answer now also its last one, as old as it is."""
    world = World()
    for role, found in (("postgres", sight.servers), ("patroni", sight.members), ("manager", sight.tables)):
        for node, reading in found.items():
            key = f"{role}:{database}/{node}"
            seen: Observed[Reading] = Observed(key, limit=1.0)
            world.observed[key] = seen if reading is None else seen.succeeded(reading, 0.0, 0.0)
    last = sight.last
    if last is not None and sight.servers.get(last.reading.node) is None:
        key = f"postgres:{database}/{last.reading.node}"
        old: Observed[Reading] = Observed(key, limit=1.0)
        world.observed[key] = old.succeeded(last.reading, last.at, -max(2.0, last.age))
    return world


def describe(node: str, sight: Sight) -> str:
    """One node in one line, from its server and its manager."""
    server, member = sight.servers.get(node), sight.members.get(node)
    if server is None:
        said = "server does not answer"
    else:
        said = f"server {'standby' if server.in_recovery else 'accepts writes'}, timeline {server.timeline}"
    if not sight.managed:
        return f"{node}: {said}"
    return f"{node}: {said}; manager says {member.role if member else 'nothing'}"
