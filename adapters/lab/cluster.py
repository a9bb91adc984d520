"""Queries the lab's Patroni and PostgreSQL directly, not through the links, and prepares the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import asyncpg

from adapters.lab.errors import LabError
from adapters.lab.powers import ACTING, grants_sql
from adapters.lab.topology import SCHEMA_VERSION, Credentials, Node, Topology

SQL_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
HTTP_ERRORS = (OSError, TimeoutError, aiohttp.ClientError)
SWITCHOVER = 45.0  # seconds for an answer
SCHEMA = """
create table if not exists orders (
  number bigint primary key, site text not null, release text not null, at timestamptz not null default now());
create table if not exists heartbeat (at timestamptz not null);
insert into heartbeat select now() where not exists (select from heartbeat);
create table if not exists schema_migrations (
  version bigint primary key, applied_at timestamptz not null default now());
alter table orders owner to shop;
alter table heartbeat owner to shop;
"""


class Cluster:
    """The lab's own view of its nodes, `managed` by Patroni or not. Needs `open` before use."""

    def __init__(self, topology: Topology, credentials: Credentials, *, managed: bool) -> None:
        self.managed = managed
        self._topology = topology
        self._credentials = credentials
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1.5))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, url: str) -> tuple[int, str]:
        """Status and body of an HTTP request; status 0 when there was no answer."""
        if self._session is None:
            raise RuntimeError("the cluster is not open")
        try:
            async with self._session.get(url) as response:
                return response.status, await response.text()
        except HTTP_ERRORS:
            return 0, ""

    async def post(self, url: str) -> tuple[int, str]:
        """As `get`, with the verb POST."""
        if self._session is None:
            raise RuntimeError("the cluster is not open")
        try:
            async with self._session.post(url) as response:
                return response.status, await response.text()
        except HTTP_ERRORS:
            return 0, ""

    async def switch_over(self, leader: str, candidate: str) -> None:
        """Ask the leader's Patroni to hand over. Raises LabError unless it says that it did."""
        if self._session is None:
            raise RuntimeError("the cluster is not open")
        node = self._topology.nodes[leader]
        try:
            async with self._session.post(
                f"http://{node.host}:{node.api}/switchover",
                json={"leader": leader, "candidate": candidate},
                auth=aiohttp.BasicAuth("recovery", self._credentials.api),
                timeout=aiohttp.ClientTimeout(total=SWITCHOVER),
            ) as response:
                status, text = response.status, await response.text()
        except HTTP_ERRORS as error:
            raise LabError(f"{leader} does not answer: {type(error).__name__}") from error
        if status != 200:
            raise LabError(f"{leader} did not hand over to {candidate}: {text}")

    async def primary(self) -> str | None:
        """The member that says it holds the leader lock; None when no member says so. Without Patroni the first server
        that accepts writes."""
        if not self.managed:
            names = list(self._topology.nodes)
            roles = await asyncio.gather(*map(self.in_recovery, names))
            return next((name for name, replica in zip(names, roles, strict=True) if replica is False), None)
        nodes = self._topology.nodes.values()
        answers = await asyncio.gather(*(self.get(f"http://{n.host}:{n.api}/primary") for n in nodes))
        for node, (status, _) in zip(nodes, answers, strict=True):
            if status == 200:
                return node.name
        return None

    async def members(self, nodes: Mapping[str, Node] | None = None) -> dict[str, dict[str, Any]]:
        """Members as Patroni lists them, from the first of these nodes that answers; by default the main cluster."""
        for node in (self._topology.nodes if nodes is None else nodes).values():
            status, body = await self.get(f"http://{node.host}:{node.api}/cluster")
            if status == 200:
                return {member["name"]: member for member in json.loads(body).get("members", [])}
        return {}

    async def healthy(self) -> bool:
        """One leader runs and every other node streams from it."""
        if not self.managed:
            return await self.settled()
        members = await self.members()
        leaders = [m for m in members.values() if m["role"] == "leader" and m["state"] == "running"]
        streaming = [m for m in members.values() if m["state"] == "streaming"]
        return len(leaders) == 1 and len(leaders) + len(streaming) == len(self._topology.nodes)

    async def connect(self, node: Node) -> asyncpg.Connection[asyncpg.Record]:
        """A superuser's session on one node. Raises one of SQL_ERRORS."""
        return await asyncpg.connect(
            host=node.host,
            port=node.postgres,
            user="superuser",
            password=self._credentials.superuser,
            database="postgres",
            ssl=False,
            timeout=2,
            command_timeout=5,
        )

    async def query(self, name: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run one statement on one node as superuser. Raises one of SQL_ERRORS."""
        connection = await self.connect(self._topology.nodes[name])
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            connection.terminate()

    async def in_recovery(self, name: str) -> bool | None:
        """Whether a node is a standby; None when it does not answer."""
        try:
            rows = await self.query(name, "select pg_is_in_recovery()")
        except SQL_ERRORS:
            return None
        return bool(rows[0][0])

    async def streaming(self) -> set[str]:
        """The standbys that the primary says it streams to."""
        primary = await self.primary()
        if primary is None:
            return set()
        sql = "select application_name from pg_stat_replication where state = 'streaming'"
        try:
            return {row[0] for row in await self.query(primary, sql)}
        except SQL_ERRORS:
            return set()

    async def settled(self) -> bool:
        """One node accepts writes and streams to all others, according to the servers, not to Patroni's store."""
        names = list(self._topology.nodes)
        roles = dict(zip(names, await asyncio.gather(*map(self.in_recovery, names)), strict=True))
        writable = [name for name, replica in roles.items() if replica is False]
        standbys = {name for name, replica in roles.items() if replica is True}
        if len(writable) != 1 or len(standbys) != len(names) - 1:
            return False
        return standbys <= await self.streaming()

    async def prepare(self, name: str) -> None:
        """Create the roles and tables on the primary. Raises one of SQL_ERRORS."""
        connection = await self.connect(self._topology.nodes[name])
        try:
            for role in ("recovery", ACTING, "shop"):
                known = await connection.fetchval("select true from pg_roles where rolname = $1", role)
                verb = "alter" if known else "create"
                password = getattr(self._credentials, role)
                literal = await connection.fetchval("select quote_literal($1::text)", password)
                await connection.execute(f"{verb} role {role} login password {literal}")
            await connection.execute("grant pg_monitor to recovery")
            # For the descent of timelines and lost commits; see docs/security.md for what this allows.
            for function in ("pg_read_file", "pg_read_binary_file"):
                await connection.execute(
                    f"grant execute on function {function}(text, bigint, bigint, boolean) to recovery"
                )
            await self._inspectable(connection)
            await connection.execute(SCHEMA)
            await connection.execute(grants_sql(connection.get_server_version().major))
            await connection.execute(
                "insert into schema_migrations (version) values ($1) on conflict do nothing", SCHEMA_VERSION
            )
            await connection.execute("grant select on schema_migrations to recovery")
        finally:
            connection.terminate()

    @staticmethod
    async def _inspectable(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Let `db lost` decode WAL, where this PostgreSQL has the extension (15 and later, with contrib)."""
        if await connection.fetchval("select true from pg_available_extensions where name = 'pg_walinspect'"):
            await connection.execute("create extension if not exists pg_walinspect")
            await connection.execute("grant execute on function pg_get_wal_records_info(pg_lsn, pg_lsn) to recovery")

    async def lost_orders(self, acknowledged: list[int]) -> list[int]:
        """The order numbers that the primary lacks. Raises one of SQL_ERRORS, LookupError without a primary."""
        primary = await self.primary()
        if primary is None:
            raise LookupError("no primary answers")
        sql = "select n from unnest($1::bigint[]) n where not exists (select from orders where number = n) order by n"
        return [row[0] for row in await self.query(primary, sql, acknowledged)]
