"""The PostgreSQL servers of a cluster, whoever manages it: their readings, and what is done at a server itself.

Promoting needs EXECUTE on pg_promote, repointing SET and ALTER SYSTEM on primary_conninfo and EXECUTE on
pg_reload_conf, dropping a slot the attribute REPLICATION, a restore point EXECUTE on pg_create_restore_point. They
belong to an account of their own (`act_user`), never to the one that reads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeAlias

import asyncpg

from adapters.context import AdapterContext
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_options import PostgresOptions
from adapters.databases.promotion import promotion_facts
from adapters.databases.remembered import LastWriter, SlotsSeen
from adapters.databases.restore_points import BEGIN, MAKE, OBSTACLE, read_record, record_of, record_query
from adapters.net.origin import tls_context
from adapters.net.tls_reasons import tls_refusal
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.ports.database import PointRecord, PromotionFacts, SeenWriter
from state.ports.target import Receipt
from state.text import clean
from state.units import time_limit
from state.world.readings import PostgresReading
from state.world.timelines import began_at

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
CONNECT = 3.0
"""Seconds within which a server must be logged in to; later, nothing is sent."""
MARK_STATEMENT = (
    "select format('alter role current_user in database %I set application_name = %L', current_database(), $1::text)"
)
MARKED = """
select coalesce((select max(substr(setting, 18)) from pg_db_role_setting as s, unnest(s.setconfig) as setting
  where s.setrole = (select oid from pg_roles where rolname = current_user) and setting like 'application_name=%'
    and s.setdatabase = (select oid from pg_database where datname = current_database())), '') as mark
"""


class PostgresCluster:
    """Fulfils RemembersWriter, RemembersSlots, CanTellPromotion, CanTellFork, CanMark, CanDropSlot, CanMakePoint and
    HasServers.

    `acting` is the account that changes servers; without one nothing is changed there but the mark of the reading
    account itself.
    """

    def __init__(self, name: str, servers: Sequence[PostgresNode], acting: Access | None) -> None:
        self.name = name
        self.nodes: Sequence[str] = [server.node for server in servers]
        self.servers: Sequence[PostgresNode] = tuple(servers)
        self._servers = {server.node: server for server in servers}
        self._acting, self._writer, self._slots = acting, LastWriter(), SlotsSeen()
        self.makes_points = acting is not None

    async def read_node(self, node: str, *, deadline: float) -> PostgresReading:
        """What the PostgreSQL server reports. Raises ReadFailure."""
        end = time.monotonic() + deadline
        server = self._servers[node]
        reading = await server.read(deadline=deadline)
        reading = await server.with_certificate(reading, deadline=end - time.monotonic())
        self._writer.saw(reading)
        return self._slots.saw(reading)

    async def fork(self, node: str, timeline: int, *, deadline: float) -> int | None:
        """Where a node's own timeline left its parent, by its history file: a manager's list of histories may tell of
        another server that was promoted to the timeline before. Raises ReadFailure."""
        reading = await self.read_node(node, deadline=deadline)
        return began_at(reading.history) if reading.timeline == timeline else None

    def last_writer(self) -> SeenWriter | None:
        """The node that accepted writes last, while this process read it."""
        return self._writer.told()

    def slots_seen(self, node: str) -> Collection[str]:
        """Names of the slots that a node has or has had, while this process read it."""
        return self._slots.told(node)

    async def promotion(self, node: str, *, deadline: float) -> PromotionFacts:
        """What a promotion means for a node. Raises ReadFailure."""
        return await promotion_facts(self._servers[node], deadline=deadline)

    async def mark(self, node: str, mark: str, *, deadline: float) -> Receipt:
        """Set the name that sessions of the reading account begin with, as a mark that standbys get through the WAL.

        It needs no right but to log in, and every session here sets a name of its own. Receipt code: `marked`. Raises
        EffectRefused (`unreachable`, an SQLSTATE) and EffectUnknown (`timeout`, `reset`).
        """
        async with self.acting(node, deadline, as_reader=True) as session:
            await session.execute(
                "set synchronous_commit = local"
            )  # a standby that is just coming back must not stop it
            await session.execute(await session.fetchval(MARK_STATEMENT, mark))
        return Receipt("marked", f"{node} has the mark {mark}")

    async def marked(self, node: str, *, deadline: float) -> str:
        """The last mark that a node has. Raises ReadFailure."""
        return str((await self._servers[node].ask(MARKED, deadline=deadline))["mark"])

    async def drop_slot(self, node: str, slot: str, *, deadline: float) -> Receipt:
        """Drop a slot; the server refuses it while the slot is in use. Codes as for `mark`, and `dropped`."""
        async with self.acting(node, deadline) as session:
            await session.execute("select pg_drop_replication_slot($1)", slot)
        return Receipt("dropped", f"slot {slot} of {node} was dropped")

    async def make_point(self, node: str, name: str, mark: str, *, deadline: float) -> Receipt:
        """Write a restore point and its record; Codes as for `mark`, `made`, `standby`, `not-able`."""
        async with self.acting(node, deadline) as session:
            await session.execute("set synchronous_commit = local")
            if why := await session.fetchval(OBSTACLE):
                raise EffectRefused(f"{node}: {why}", "standby" if why.startswith("a standby") else "not-able")
            before = read_record(await session.fetchval(record_query(None)))
            begun, head, tail = record_of(before, name, mark)
            block = await session.fetchval(MAKE, head, name, tail)
            await session.execute(await session.fetchval(BEGIN, begun))
            try:
                await session.execute(block)
            except asyncpg.PostgresError as error:  # the point may be in the WAL, and its record be taken back
                raise EffectUnknown(f"{node}: {_said(error)}", error.sqlstate or "refused") from error
        return Receipt("made", f"restore point {name} was written on {node}")

    async def points(self, node: str, *, deadline: float) -> Sequence[PointRecord]:
        """The restore points on record at a node. Raises ReadFailure."""
        if self._acting is None:
            return ()
        return read_record(
            str((await self._servers[node].ask(record_query(self._acting.user), deadline=deadline))["record"])
        )

    @asynccontextmanager
    async def acting(
        self, node: str, deadline: float, *, as_reader: bool = False, database: str = ""
    ) -> AsyncIterator[Session]:
        """A session that may change a server, in the cluster's database or in another one. What the server refuses
        was not done; what ends without its answer is unknown. Raises EffectRefused and EffectUnknown."""
        if node not in self._servers:
            raise EffectRefused(f"{node} is not a node of {self.name}", "unknown-name")
        if self._acting is None and not as_reader:
            raise EffectRefused(f"the estate names no act_user for {self.name}", "no-account")
        access = None if as_reader or self._acting is None else self._acting
        if access is not None and database:
            access = replace(access, database=database)
        session = await self._opened(node, min(deadline, CONNECT), access)
        try:
            async with asyncio.timeout(deadline):
                yield session
        except TimeoutError as error:
            raise EffectUnknown(f"{node} did not answer within {time_limit(deadline)}", "timeout") from error
        except asyncpg.PostgresConnectionError as error:
            raise EffectUnknown(f"{node}: {_said(error)}", "reset") from error
        except asyncpg.PostgresError as error:
            raise EffectRefused(f"{node}: {_said(error)}", error.sqlstate or "refused") from error
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise EffectUnknown(f"{node}: {_said(error)}", "reset") from error
        finally:
            session.terminate()

    async def _opened(self, node: str, deadline: float, access: Access | None) -> Session:
        try:
            async with asyncio.timeout(deadline):
                return await self._servers[node].session(access, deadline=deadline, read_only=False)
        except TimeoutError as error:
            raise EffectRefused(f"no session at {node} within {time_limit(deadline)}", "unreachable") from error
        except (ReadFailure, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise EffectRefused(f"no session at {node}: {_said(error)}", "unreachable") from error

    @property
    def account(self) -> Access | None:
        """The account that changes servers; None where the estate names none."""
        return self._acting

    def server(self, node: str) -> PostgresNode:
        """One node's server."""
        return self._servers[node]

    async def close_node(self, node: str) -> None:
        await self._servers[node].close()


def access_of(name: str, options: PostgresOptions, context: AdapterContext) -> Access:
    """The account that reads the servers. Raises ConfigError for a secret or certificates that cannot be used."""
    ca = context.authorities(f"databases.{name}", options.ca)
    client = context.client(options.cert, options.key)
    tls = tls_context(ca, client=client) if options.tls == "verify-full" else None
    return Access(options.user, options.database, context.secret(options.password), tls, context.way(options.via))


def acting_access(options: PostgresOptions, context: AdapterContext, reading: Access) -> Access | None:
    """The account that changes servers; None where the estate names none. Raises ConfigError for its secret."""
    if options.act_user is None:
        return None
    secret = context.secret(options.act_password)
    return Access(options.act_user, reading.database, secret, reading.tls, reading.via)


def _said(error: BaseException) -> str:
    if refused := tls_refusal(error):
        return refused
    text: Any = getattr(error, "message", "") or str(error) or type(error).__name__
    return clean(str(text).splitlines()[0], 300)
