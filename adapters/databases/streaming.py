"""PostgreSQL servers that stream from each other without a manager: a pair, several standbys, a cascade.

Nothing acts by itself there: a standby is promoted by its own server, an old primary is fenced, rejoined and rebuilt by
commands of the estate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from adapters.context import AdapterContext, Polled, split_address
from adapters.databases.conninfo import of_conninfo, same_place, with_place
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_cluster import PostgresCluster, access_of, acting_access
from adapters.databases.postgres_lease import engine_name
from adapters.databases.postgres_options import PostgresOptions, ServedNode
from state.errors import EffectRefused, ReadFailure, Trouble
from state.estate.addresses import is_loopback
from state.estate.model import HandStep, Name
from state.ports.target import UNREADABLE, Identity, Receipt, began
from state.world.readings import PostgresReading

KIND = "streaming"
STATEMENTS = {
    "promote": "psql -h HOST_OF_{to} -c 'select pg_promote()'",
    "repoint": "psql -h HOST_OF_{node} -c \"alter system set primary_conninfo = '…'\" -c 'select pg_reload_conf()'",
    "drop-slot": "psql -h HOST_OF_{node} -c \"select pg_drop_replication_slot('{slot}')\"",
}
CONNINFO = """
select coalesce(current_setting('primary_conninfo', true), '') as conninfo,
  coalesce((select sender_host || ' ' || sender_port from pg_stat_wal_receiver), '') as sender
"""


class StreamingOptions(PostgresOptions):
    """Servers that stream from each other without a manager (`kind: streaming`)."""

    nodes: Mapping[Name, ServedNode]

    def read_by_hand(self) -> HandStep:
        text = (
            "on each server: select pg_is_in_recovery(), pg_last_wal_receive_lsn(); on the primary: pg_stat_replication"
        )
        return HandStep("read each server's role and position", text)

    def act_by_hand(self, act: str, values: Mapping[str, str]) -> HandStep:
        what = super().act_by_hand(act, values).what
        return HandStep(what, STATEMENTS[act].format_map({"to": "NODE", **values}) if act in STATEMENTS else "")


OPTIONS = StreamingOptions


class StreamedCluster(PostgresCluster):
    """Fulfils Database and ActsAt, and what PostgresCluster does."""

    def __init__(self, name: str, servers: Sequence[PostgresNode], places: Mapping[str, str], acting: Access | None):
        super().__init__(name, servers, acting)
        self._places = places

    def acts_at(self) -> tuple[str, ...]:
        """The address of every server."""
        return tuple(f"postgres {_here(place)}" for place in self._places.values())

    async def identify(self, *, deadline: float) -> Identity:
        """System identifier, who accepts writes, its timeline, and each node's server process. Raises ReadFailure
        unless exactly one does."""
        return await self._identified(deadline, unled=False)

    async def identify_unled(self, *, deadline: float) -> Identity:
        """The same where no node accepts writes; of several that do all are named. Raises ReadFailure when no server
        answers."""
        return await self._identified(deadline, unled=True)

    async def upstream(self, node: str, *, deadline: float) -> str:
        """The node that it streams from now, else the one it is set to stream from. Raises ReadFailure."""
        row = await self._servers[node].ask(CONNINFO, deadline=deadline)
        place = row["sender"].rpartition(" ")[::2] if row["sender"] else of_conninfo(row["conninfo"])
        if not place[0]:
            return ""
        known = (name for name, each in self._places.items() if same_place(split_address(each), place))
        return next(known, f"{place[0]}:{place[1]}")

    async def _identified(self, deadline: float, *, unled: bool) -> Identity:
        readings = await asyncio.gather(*(self._attempt(node, deadline) for node in self.nodes))
        read = [each for each in readings if each is not None]
        writers = [each for each in read if not each.in_recovery]
        who = " and ".join(each.node for each in writers)
        if len(writers) > 1 and not unled:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: {who} accept writes")
        if not writers and not (unled and read):
            raise ReadFailure(Trouble.ERROR, f"{self.name}: no node that answers accepts writes")
        facts = {"leader": who or "no node"}
        facts["system id"] = ", ".join(sorted({each.system_id for each in read}))
        facts["timeline"] = str(writers[0].timeline) if writers else UNREADABLE
        for node, each in zip(self.nodes, readings, strict=True):
            told = f"{each.system_id} at {each.server_address} since {began(each.started_at)}" if each else UNREADABLE
            facts[node] = told
        return Identity(self.name, facts)

    async def _attempt(self, node: str, deadline: float) -> PostgresReading | None:
        try:
            return await self.read_node(node, deadline=deadline)
        except ReadFailure:
            return None


class StreamingCluster(StreamedCluster):
    """Fulfils CanPromote and CanRepoint too: no manager does it."""

    async def promote(self, node: str, *, deadline: float) -> Receipt:
        """End the recovery of a standby; whether it did is read afterwards. Receipt code: `signalled`. Raises
        EffectRefused (`unreachable`, `no-account`, an SQLSTATE) and EffectUnknown (`timeout`, `reset`)."""
        async with self.acting(node, deadline) as session:
            if not await session.fetchval("select pg_promote(wait => false)"):
                raise EffectRefused(f"{node}: pg_promote could not signal the server", "not-signalled")
        return Receipt("signalled", f"{node} was told to end recovery")

    async def repoint(self, node: str, upstream: str, *, deadline: float) -> Receipt:
        """Set another host and port in primary_conninfo and reload. Receipt code: `repointed`. Raises EffectRefused
        (`password`: it has one, which is not sent through here; and as `promote`) and EffectUnknown."""
        host, port = split_address(self._places[upstream])
        async with self.acting(node, deadline) as session:
            former = await session.fetchval("select coalesce(current_setting('primary_conninfo', true), '')")
            try:
                made = with_place(former, host, str(port))
            except ValueError as error:
                raise EffectRefused(f"{node}: {error}", "password") from error
            statement = await session.fetchval(
                "select format('alter system set primary_conninfo = %L', $1::text)", made
            )
            await session.execute(statement)
            await session.fetchval("select pg_reload_conf()")
        return Receipt("repointed", f"{node} is set to stream from {upstream}")


def _here(place: str) -> str:
    host, port = split_address(place)
    return f"{'loopback' if is_loopback(host) else host.lower()}:{port}"


def build(name: str, options: StreamingOptions, context: AdapterContext) -> tuple[StreamingCluster, Sequence[Polled]]:
    """The cluster of one estate entry and its sources `postgres:db/node`. Raises ConfigError for a secret or a file of
    certificates that cannot be used."""
    cluster = cluster_of(name, options, context, engine_name())
    return cluster, server_sources(cluster, context)


def server_sources(cluster: PostgresCluster, context: AdapterContext) -> list[Polled]:
    """The sources of a cluster's servers, `postgres:db/node`."""
    sources = []
    for node in cluster.nodes:
        read, close = partial(cluster.read_node, node), partial(cluster.close_node, node)
        sources.append(context.source(f"postgres:{cluster.name}/{node}", read, close, steady=True))
    return sources


def cluster_of(name: str, options: StreamingOptions, context: AdapterContext, engine: str = "") -> StreamingCluster:
    """The cluster of one estate entry; with the name of an engine, the servers' leases are its own. Raises ConfigError
    as `build` does."""
    return StreamingCluster(name, *servers_of(name, options, context, engine))


def servers_of(
    name: str, options: PostgresOptions, context: AdapterContext, engine: str = ""
) -> tuple[Sequence[PostgresNode], Mapping[str, str], Access | None]:
    """The servers of one estate entry, their addresses, and the account that acts. Raises ConfigError as `build`."""
    access = access_of(name, options, context)
    servers = [
        PostgresNode(node, *split_address(each.postgres), access, engine) for node, each in options.nodes.items()
    ]
    places = {node: each.postgres for node, each in options.nodes.items()}
    return servers, places, acting_access(options, context, access)
