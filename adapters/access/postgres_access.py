"""Grants at a PostgreSQL cluster, through the functions with which `recovery db prepare` has prepared it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeAlias

import asyncpg

from adapters.access.access_rows import node_facts, seen_of
from adapters.access.pgbouncer import PgBouncer
from adapters.access.pictures import taken
from adapters.access.prepared_sql import VERSION
from adapters.access.reapers import Reapers
from adapters.access.rehearsal import against_password
from adapters.access.whose_functions import require_prepared
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_cluster import PostgresCluster
from state.api.views.access import GrantCredential
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.access import AccessEntry
from state.granting.model import AccessSeen, Armed, Bundle, PoolerSeen, Residue, ResidueKind
from state.granting.picture import PictureItem
from state.granting.scram import new_secret, verifier
from state.text import clean
from state.units import time_limit

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
CONNECT = 3.0
FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
WAL = """coalesce((case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
    else pg_current_wal_flush_lsn() end - '0/0')::int8, 0)"""
"""How far a node has got, in bytes."""
GOT = "select WAL".replace("WAL", WAL)
SEEN = """
select pg_is_in_recovery() as standby, extract(epoch from clock_timestamp())::float8 as clock,
  recovery_access.version() as version, recovery_access.unable() as unable,
  (select system_identifier::text from pg_control_system()) as system,
  (select case when g.source in ('user', 'database', 'database user', 'client', 'session') or exists (
      select from pg_db_role_setting as d, unnest(d.setconfig) as c where c ~ '^log_statement='
        and (d.setrole = 0 or d.setrole = any ($1::oid[]))) then 'unknown' else g.setting end
    from pg_settings as g where g.name = 'log_statement') as logged,
  WAL as wal,
  (select coalesce(json_agg(l), '[]') from recovery_access.listed() as l)::text as roles,
  (select coalesce(json_agg(json_build_array(o.oid, to_json(s))), '[]')
    from (select unnest($1::oid[]) as oid union select role_oid from recovery_access.listed() where ours) as o
    cross join lateral recovery_access.sessions(o.oid) as s)::text as sessions,
  (select coalesce(json_agg(u), '[]') from recovery_access.unaccounted() as u)::text as starting,
  (select coalesce(json_agg(json_build_array(r.oid, r.rolname)), '[]') from pg_roles as r where r.oid = any($1::oid[])
  )::text as there,
  (select coalesce(json_agg(distinct substr(a.application_name, 17)::int8), '[]') from pg_stat_activity as a
    where a.application_name ~ '^recovery reaper [0-9]{1,10}$' and a.state is distinct from 'idle'
      and a.usesysid = (select r.oid from pg_roles as r where r.rolname = current_user))::text as reapers
""".replace("WAL", WAL)
LEFT = """
select kind, database, thing from recovery_access.residue($1, $2) order by 1, 2, 3
"""
TOUCHED = """
select distinct d.datname::text as name, d.datallowconn as open
from pg_shdepend as s join pg_database as d on d.oid = s.dbid
where s.refclassid = 'pg_authid'::regclass and s.refobjid = $1
"""


class PostgresAccess:
    """Fulfils CanGrant for one cluster."""

    def __init__(
        self, cluster: PostgresCluster, acting: Access, entry: AccessEntry, poolers: Sequence[PgBouncer] = ()
    ) -> None:
        self._cluster, self._acting, self._poolers = cluster, acting, poolers
        self.bundles: Sequence[str] = tuple(
            each for each in entry.bundles if each is not Bundle.SCHEMA_FIX or entry.schema_owner is not None
        )
        self.longest = entry.longest
        self.takes = GrantCredential.VERIFIER
        self.idle = 2.0
        self._reapers = Reapers(acting)

    async def seen(self, oids: Collection[int], *, deadline: float) -> AccessSeen:
        """What every node and pooler tells. Raises ReadFailure."""
        pooled = asyncio.gather(*(_pooled(each, deadline) for each in self._poolers))
        told = await asyncio.gather(*(self._facts(node, oids, deadline) for node in self._cluster.servers))
        behind = {each.name: seen for each, seen in zip(self._poolers, await pooled, strict=True)}
        return seen_of({node.node: each for node, each in zip(self._cluster.servers, told, strict=True)}, behind)

    async def _facts(self, node: PostgresNode, oids: Collection[int], deadline: float) -> Any:
        try:
            async with _asking(node, self._acting, deadline) as session:
                row = await session.fetchrow(SEEN, list(oids))
                return node_facts(dict(row or {}), VERSION)
        except ReadFailure as error:
            return error

    async def arm(
        self,
        grant: str,
        role: str,
        bundle: str,
        person: str,
        ticket: str,
        *,
        effect: str,
        seconds: int,
        deadline: float,
    ) -> Armed:
        """Make the role. Raises EffectRefused and EffectUnknown."""  # fmt: skip
        call = "select * from recovery_access.arm($1, $2, $3, $4, $5, $6, $7)"
        async with self._at_primary(deadline) as session:
            row = await session.fetchrow(call, grant, effect, role, str(bundle), person, ticket, seconds)
        if row is None:
            raise EffectUnknown("the function gave no row", "no-row", over=True)
        return Armed(row[0], row[1])

    async def watch(self, oid: int, *, deadline: float) -> Mapping[str, str]:
        """Begin a reaper where none runs."""
        told = await asyncio.gather(*(self._reapers.begin(node, oid, deadline) for node in self._cluster.servers))
        return {node.node: why for node, why in zip(self._cluster.servers, told, strict=True) if why}

    async def rehearse(self, oid: int, role: str, *, deadline: float) -> Sequence[str]:
        """With a password of its own, which nobody is told and the real one replaces. Raises EffectRefused and
        EffectUnknown."""
        secret = new_secret()
        async with self._at_primary(deadline) as session:
            await session.fetchval("select recovery_access.rehearse($1, $2)", oid, verifier(secret))
            wal = await session.fetchval(GOT)
        told = await asyncio.gather(
            *(self._against(node, role, secret, wal, deadline) for node in self._cluster.servers)
        )
        return [each for each in told if each]

    async def _against(self, node: PostgresNode, role: str, secret: str, wal: int, deadline: float) -> str:
        """What is against a password at one node, which has heard of it once it has replayed so far."""

        async def heard() -> bool:
            async with _reading(node, self._acting, deadline) as session:
                return int(await session.fetchval(GOT)) >= wal

        return await against_password(node, self._acting, role, secret, heard, deadline)

    async def open_login(self, oid: int, verifier: str, *, window: float, deadline: float) -> float:
        """Open the login. Raises EffectRefused and EffectUnknown."""
        call = "select recovery_access.open_login($1, $2, $3)"
        async with self._at_primary(deadline) as session:
            return float(await session.fetchval(call, oid, verifier, round(window)))

    async def keep_open(self, oid: int, *, window: float, deadline: float) -> float | None:
        """Open it again. Raises EffectRefused and EffectUnknown."""
        async with self._at_primary(deadline) as session:
            until = await session.fetchval("select recovery_access.keep_open($1, $2)", oid, round(window))
        return None if until is None else float(until)

    async def extend(self, oid: int, seconds: int, *, effect: str, deadline: float) -> float:
        """Move the end. Raises EffectRefused and EffectUnknown."""
        async with self._at_primary(deadline) as session:
            return float(await session.fetchval("select recovery_access.extend($1, $2, $3)", oid, effect, seconds))

    async def block(self, oid: int, *, deadline: float) -> None:
        """Close the login for good, at every node that accepts writes: there may be two. Raises EffectRefused and
        EffectUnknown."""
        told = await asyncio.gather(*(self._blocked(node, oid, deadline) for node in self._cluster.servers))
        if against := [each for each in told if each]:
            raise EffectRefused("; ".join(against), "login-open")

    async def _blocked(self, node: PostgresNode, oid: int, deadline: float) -> str:
        """Why it is not closed there, empty when it is, or when that node accepts no writes or does not answer."""
        if await self._stands(node, deadline) is not False:
            return ""
        try:
            async with self._acting_at(node, deadline) as session:
                return clean(str(await session.fetchval("select recovery_access.block($1)", oid)), 200)
        except (EffectRefused, EffectUnknown) as error:
            return error.message

    async def terminate(
        self, oid: int, starting: Mapping[str, Sequence[int]], *, sure: bool, deadline: float
    ) -> Mapping[str, str]:
        """End sessions at every node; why not, by node."""
        told = await asyncio.gather(
            *(self._end_at(node, oid, starting.get(node.node, ()), sure, deadline) for node in self._cluster.servers)
        )
        return {node.node: why for node, why in zip(self._cluster.servers, told, strict=True) if why}

    async def _end_at(self, node: PostgresNode, oid: int, starting: Sequence[int], sure: bool, deadline: float) -> str:
        try:
            async with self._acting_at(node, deadline) as session:
                await session.fetchval("select recovery_access.terminate($1, $2, $3)", oid, list(starting), sure)
        except (EffectRefused, EffectUnknown) as error:
            return error.message
        return ""

    async def residue(self, oid: int, role: str, *, deadline: float) -> Sequence[Residue]:
        """What it has left: the cluster's own list of what depends on the role, and each database by itself."""
        primary = await self._primary(deadline)
        async with _asking(primary, self._acting, deadline) as session:
            rows = list(await session.fetch(LEFT, oid, role))
            touched = [(row["name"], row["open"]) for row in await session.fetch(TOUCHED, oid)]
        found = {(row["kind"], row["database"], row["thing"]) for row in rows}
        here = self._acting.database
        left = [Residue(ResidueKind(kind), database, clean(thing, 200)) for kind, database, thing in sorted(found)]
        for name, is_open in touched:
            if name == here:
                continue
            if not is_open:
                left.append(Residue(ResidueKind.CLOSED_DATABASE, name, "refuses connections"))
                continue
            async with _asking(primary, replace(self._acting, database=name), deadline) as session:
                inside = await session.fetch(LEFT, oid, role)
            left = [each for each in left if each.database != name]
            left += [
                Residue(ResidueKind(row["kind"]), name, clean(row["thing"], 200))
                for row in inside
                if row["database"] == name
            ]
        return left

    async def clear(self, oid: int, databases: Collection[str], *, deadline: float) -> Mapping[str, str]:
        """Hand over and revoke in each database; why not, by database."""
        failed: dict[str, str] = {}
        names = [self._acting.database, *(each for each in databases if each != self._acting.database)]
        for name in names:
            try:
                async with self._at_primary(deadline, database=name) as session:
                    await session.fetchval("select recovery_access.clear($1)", oid)
            except (EffectRefused, EffectUnknown) as error:
                failed[name] = error.message
        return failed

    async def picture(self, oids: Collection[int], *, deadline: float) -> Sequence[PictureItem]:
        """All databases, one after the other. Raises ReadFailure."""
        primary = await self._primary(deadline)

        @asynccontextmanager
        async def reading(database: str) -> AsyncIterator[Session]:
            access = replace(self._acting, database=database or self._acting.database)
            async with _asking(primary, access, deadline) as session:
                yield session

        return await taken(reading, oids)

    async def finish(self, oid: int, *, deadline: float) -> None:
        """Remove the role. Raises EffectRefused and EffectUnknown."""
        async with self._at_primary(deadline) as session:
            await session.fetchval("select recovery_access.finish($1)", oid)

    async def close(self) -> None:
        """End this process's side of the reapers; they go on in the servers."""
        await self._reapers.close()

    async def _primary(self, deadline: float) -> PostgresNode:
        """The one node that accepts writes. Raises ReadFailure."""
        told = await asyncio.gather(*(self._stands(node, deadline) for node in self._cluster.servers))
        leading = [node for node, standby in zip(self._cluster.servers, told, strict=True) if standby is False]
        if len(leading) != 1:
            names = " and ".join(each.node for each in leading) or "no node"
            raise ReadFailure(Trouble.ERROR, f"{self._cluster.name}: {names} accepts writes")
        return leading[0]

    async def _stands(self, node: PostgresNode, deadline: float) -> bool | None:
        try:
            async with _reading(node, self._acting, deadline) as session:
                return bool(await session.fetchval("select pg_is_in_recovery()"))
        except ReadFailure:
            return None

    @asynccontextmanager
    async def _at_primary(self, deadline: float, database: str = "") -> AsyncIterator[Session]:
        """A session that acts at the node that accepts writes. Raises EffectRefused and EffectUnknown."""
        try:
            primary = await self._primary(min(deadline, CONNECT))
        except ReadFailure as error:
            raise EffectRefused(error.message, "unreachable") from error
        async with self._acting_at(primary, deadline, database) as session:
            yield session

    @asynccontextmanager
    async def _acting_at(self, node: PostgresNode, deadline: float, database: str = "") -> AsyncIterator[Session]:
        """A session that may call the functions of one node. Raises EffectRefused and EffectUnknown."""
        async with self._cluster.acting(node.node, deadline, database=database) as session:
            try:
                await require_prepared(session, f"{node.node} ({database or self._acting.database})")
            except ReadFailure as error:
                raise EffectRefused(error.message, "not-prepared") from error
            await session.execute("set synchronous_commit = local")
            yield session


async def _pooled(pooler: PgBouncer, deadline: float) -> PoolerSeen | ReadFailure:
    try:
        return await pooler.seen(deadline=deadline)
    except ReadFailure as error:
        return error


@asynccontextmanager
async def _asking(node: PostgresNode, access: Access, deadline: float) -> AsyncIterator[Session]:
    """A session that reads, where the functions are those of an administrator. Raises ReadFailure."""
    async with _reading(node, access, deadline) as session:
        await require_prepared(session, f"{node.node} ({access.database})")
        yield session


@asynccontextmanager
async def _reading(node: PostgresNode, access: Access, deadline: float) -> AsyncIterator[Session]:
    """A session that reads with the account that acts. Raises ReadFailure."""
    session: Session | None = None
    try:
        async with asyncio.timeout(deadline):
            session = await node.session(access, deadline=deadline, read_only=True)
            yield session
    except TimeoutError as error:
        raise ReadFailure(Trouble.TIMEOUT, f"{node.node} did not answer within {time_limit(deadline)}") from error
    except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise ReadFailure(Trouble.DENIED, f"{node.node}: {_said(error)}") from error
    except (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError) as error:
        raise ReadFailure(Trouble.DENIED, f"{node.node} is not prepared for grants: {_said(error)}") from error
    except FAILURES as error:
        raise ReadFailure(Trouble.ERROR, f"{node.node}: {_said(error)}") from error
    finally:
        if session is not None:
            session.terminate()


def _said(error: BaseException) -> str:
    text = str(error)
    return clean(text.splitlines()[0] if text else type(error).__name__, 300)
