"""PostgreSQL (15 to 18), one node over one warm connection: its identity and its WAL positions.

Sources of the figures: PostgreSQL manual, "System Administration Functions" and "The Cumulative Statistics System".
The role needs `pg_monitor`. The fork point of a timeline is in its history file; the role may read it after
`GRANT EXECUTE ON FUNCTION pg_read_file(text, bigint, bigint, boolean) TO <role>`, else the fork point is unknown.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from asyncpg.prepared_stmt import PreparedStatement

from adapters.databases.postgres_lease import Lease
from adapters.net.answers_read import MALFORMED, read_json
from adapters.net.tls_reasons import tls_refusal
from adapters.net.tunnel import LoopThrough, Tunnel
from adapters.secrets import Secret
from state.errors import ReadFailure, Trouble
from state.units import time_limit
from state.world.readings import PostgresReading, ReplicationSlot, WalSender
from state.world.shapes import misfit

CLOSE_SECONDS = 0.5
LARGEST = 256 << 10
"""Characters of all rows of senders or slots."""

# The timeline of a writable node comes from its WAL file name: the control file keeps the old one until the next
# checkpoint after a promotion.
QUERY = """
select pg_is_in_recovery() as in_recovery,
  (select system_identifier::text from pg_control_system()) as system_id,
  case when pg_is_in_recovery() then null
       else substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end as wal_timeline,
  wr.received_tli, wr.status as receiver_state,
  (select timeline_id from pg_control_checkpoint()) as checkpoint_timeline,
  (select min_recovery_end_timeline from pg_control_recovery()) as recovery_timeline,
  current_setting('server_version') as version,
  extract(epoch from pg_postmaster_start_time())::float8 as started_at,
  host(inet_server_addr()) as address, inet_server_port() as port,
  case when pg_is_in_recovery() then null
       else pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8 end as write_lsn,
  case when pg_is_in_recovery() then pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::int8 end as receive_lsn,
  case when pg_is_in_recovery() then pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::int8 end as replay_lsn,
  case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() end as replay_pause,
  extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 as replay_age,
  current_setting('synchronous_standby_names') as synchronous_standby_names,
  current_setting('synchronous_commit') as synchronous_commit,
  (select coalesce(json_agg(json_build_array(application_name, state, sync_state,
      pg_wal_lsn_diff(sent_lsn, '0/0')::int8, pg_wal_lsn_diff(flush_lsn, '0/0')::int8,
      pg_wal_lsn_diff(replay_lsn, '0/0')::int8,
      extract(epoch from clock_timestamp() - reply_time)::float8) order by application_name), '[]')::text
    from pg_stat_replication) as senders,
  (select coalesce(json_agg(json_build_array(slot_name, slot_type, active,
      pg_wal_lsn_diff(restart_lsn, '0/0')::int8, wal_status) order by slot_name), '[]')::text
    from pg_replication_slots) as slots,
  (select count(*) from pg_stat_activity where backend_type = 'client backend') as sessions,
  current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8
    - coalesce(current_setting('reserved_connections', true)::int8, 0) as sessions_limit,
  has_function_privilege('pg_read_file(text, bigint, bigint, boolean)', 'execute') as reads_files
from (select 1) as always left join pg_stat_wal_receiver as wr on true
"""
ENDED = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.IdleSessionTimeoutError,
    ConnectionError,
)
"""How a connection says that the server ended it; also in the middle of the driver's own protocol."""
BEHIND = "localhost"
"""What a server's Unix socket on another host is called to the driver, which takes a path for one of this host."""
HISTORY = "select pg_read_file($1, 0, 65536, true)"


@dataclass(frozen=True, slots=True)
class Access:
    """How to log in to every node of a cluster. `tls` None is plain text; `via` is a host that leads to the servers."""

    user: str
    database: str
    password: Secret | None = None
    tls: ssl.SSLContext | None = None
    via: Tunnel | None = None


class PostgresNode:
    """One server. Every connection parameter is explicit, so the environment has no influence."""

    def __init__(self, node: str, host: str, port: int, access: Access, engine: str = "") -> None:
        """With the name of an `engine`, the kept connection has the server's lease, or tells who has it."""
        self.node = node
        self._lease = Lease(engine) if engine else None
        self._host, self._port, self._access = host, port, access
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._statement: PreparedStatement[asyncpg.Record] | None = None
        self._turn = asyncio.Lock()
        self._forks: dict[int, int | None] = {}

    async def read(self, *, deadline: float) -> PostgresReading:
        """One reading, in one query. Raises ReadFailure."""
        with self._told(deadline):
            if self._turn.locked() or self._connection is None or self._connection.is_closed():
                async with asyncio.timeout(deadline), self._turn:
                    return await self._read(deadline)
            async with self._turn:  # no waiting, so the driver's own timer is enough
                return await self._read_kept(deadline)

    async def ask(self, query: str, *, deadline: float) -> asyncpg.Record:
        """The only row of a query, over a connection of its own. Raises ReadFailure."""
        with self._told(deadline):
            async with asyncio.timeout(deadline):
                connection = await self._connect(deadline)
                try:
                    row = await connection.fetchrow(query, timeout=deadline)
                finally:
                    connection.terminate()
            if row is None:
                raise ReadFailure(Trouble.EMPTY, f"PostgreSQL {self.node} returned no row")
            return row

    @contextmanager
    def _told(self, deadline: float) -> Iterator[None]:
        """Errors of the driver as ReadFailure."""
        try:
            yield
        except TimeoutError as error:
            message = f"PostgreSQL {self.node} did not answer within {time_limit(deadline)}"
            raise ReadFailure(Trouble.TIMEOUT, message) from error
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError) as error:
            raise ReadFailure(Trouble.DENIED, f"PostgreSQL {self.node}: {error}") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            refused = tls_refusal(error)
            message = f"PostgreSQL {self.node}: {refused or str(error) or type(error).__name__}"
            reached = refused or not isinstance(error, OSError | asyncpg.ConnectionDoesNotExistError)
            raise ReadFailure(Trouble.ERROR if reached else Trouble.UNREACHABLE, message) from error
        except MALFORMED as error:
            message = f"PostgreSQL {self.node}: its answer is not as expected ({type(error).__name__})"
            raise ReadFailure(Trouble.ERROR, message) from error

    async def close(self) -> None:
        """Close the connection; a server that does not answer is given half a second."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.close(timeout=CLOSE_SECONDS)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()

    async def _read_kept(self, deadline: float) -> PostgresReading:
        """Read over the connection that is kept. A server may end it while it is idle: then once over a new one."""
        began = time.monotonic()
        try:
            return await self._read(deadline)
        except ENDED:
            left = max(0.01, deadline - (time.monotonic() - began))
            async with asyncio.timeout(left):
                return await self._read(left)

    async def _read(self, deadline: float) -> PostgresReading:
        connection, statement = self._connection, self._statement
        if connection is None or statement is None or connection.is_closed():
            connection = await self._connect(deadline)
            statement = None
        self._connection = None  # a connection whose query is interrupted is not used again
        try:
            if statement is None:
                statement = await connection.prepare(QUERY, timeout=deadline)
            row = await statement.fetchrow(timeout=deadline)
            if row is None:
                raise ReadFailure(Trouble.EMPTY, f"PostgreSQL {self.node} returned no row")
            timeline = _timeline(row)
            fork = await self._fork(connection, timeline) if row["reads_files"] else None
            other = "" if self._lease is None else await self._lease.other(connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection, self._statement = connection, statement
        return _fitting(replace(_reading(self.node, row, timeline, fork), other_engine=other))

    async def _connect(self, deadline: float) -> asyncpg.Connection[asyncpg.Record]:
        connection = await self.session(None, deadline=deadline, read_only=True)
        if self._lease is not None:
            await self._lease.begin(connection, deadline)
        return connection

    @property
    def access(self) -> Access:
        """How it is logged in to."""
        return self._access

    async def session(
        self, access: Access | None, *, deadline: float, read_only: bool
    ) -> asyncpg.Connection[asyncpg.Record]:
        """A new connection, by another account if one is given; its TLS and the way to it are those of the node. Raises
        what asyncpg and the system raise, and ReadFailure for the host that leads there."""
        own, local = self._access, self._host.startswith("/")
        access = own if access is None else access
        loop: Any = None
        if own.via is not None:
            remote = f"{self._host}/.s.PGSQL.{self._port}" if local else _netloc(self._host, self._port)
            loop = LoopThrough(await own.via.forward(remote))
        return await asyncpg.connect(
            host=BEHIND if local and loop is not None else self._host,
            port=self._port,
            loop=loop,
            user=access.user,
            password="" if access.password is None else access.password.reveal(),
            database=access.database,
            ssl=False if own.tls is None or local else own.tls,
            direct_tls=False,
            target_session_attrs=SessionAttribute.any,
            passfile="/dev/null",
            krbsrvname="postgres",
            gsslib="gssapi",
            timeout=deadline,
            command_timeout=deadline,
            server_settings={
                "application_name": "recovery",
                "default_transaction_read_only": "on" if read_only else "off",
            },
        )

    async def _fork(self, connection: asyncpg.Connection[asyncpg.Record], timeline: int | None) -> int | None:
        """Where this timeline left its parent, from the history file; read once for each timeline."""
        if timeline is None or timeline < 2:
            return None
        if timeline not in self._forks:
            text = await connection.fetchval(HISTORY, f"pg_wal/{timeline:08X}.history", timeout=CLOSE_SECONDS)
            if text is None:
                return None
            self._forks[timeline] = parse_fork(text)
        return self._forks[timeline]


def _fitting(reading: PostgresReading) -> PostgresReading:
    """The reading, whose values a server may have given any type. Raises TypeError."""
    if (where := misfit(reading)) is not None:
        raise TypeError(f"a value of another kind at {where}")
    return reading


def _netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_lsn(text: str) -> int:
    """A WAL position `16/B374D848` as bytes. Raises ValueError."""
    high, slash, low = text.partition("/")
    if not slash:
        raise ValueError(f"{text!r} is not a WAL position")
    return (int(high, 16) << 32) + int(low, 16)


def parse_fork(history: str) -> int | None:
    """The switch point in the last line of a timeline's history file: `parent TLI, LSN, reason`."""
    rows = [line.split() for line in history.splitlines() if line.strip() and not line.startswith("#")]
    return parse_lsn(rows[-1][1]) if rows and len(rows[-1]) > 1 else None


def _timeline(row: asyncpg.Record) -> int | None:
    if row["wal_timeline"] is not None:
        return int(row["wal_timeline"], 16)
    if row["received_tli"]:
        return int(row["received_tli"])
    return max(row["recovery_timeline"] or 0, row["checkpoint_timeline"] or 0) or None


def _reading(node: str, row: asyncpg.Record, timeline: int | None, fork: int | None) -> PostgresReading:
    fields = dict(row)
    address, in_recovery = fields["address"], fields["in_recovery"]
    return PostgresReading(
        node=node,
        in_recovery=in_recovery,
        timeline=timeline,
        system_id=fields["system_id"],
        version=fields["version"].partition(" ")[0],
        started_at=fields["started_at"],
        server_address=f"{address}:{fields['port']}" if address else "",
        write_lsn=fields["write_lsn"],
        receive_lsn=fields["receive_lsn"],
        replay_lsn=fields["replay_lsn"],
        replay_pause=fields["replay_pause"],
        replay_age=fields["replay_age"] if in_recovery else None,
        receiver_state=fields["receiver_state"],
        synchronous_standby_names=fields["synchronous_standby_names"],
        synchronous_commit=fields["synchronous_commit"],
        fork_lsn=fork,
        senders=_senders(fields["senders"]),
        slots=_slots(fields["slots"]),
        sessions=fields["sessions"],
        sessions_limit=fields["sessions_limit"],
    )


def _senders(text: str) -> tuple[WalSender, ...]:
    if text == "[]":
        return ()
    rows: list[list[Any]] = read_json(_bounded(text))
    return tuple(WalSender(row[0] or "", row[1] or "", row[2] or "", *row[3:7]) for row in rows)


def _bounded(text: str) -> str:
    """Raises ValueError for more rows than a server can have."""
    if len(text) > LARGEST:
        raise ValueError(f"rows of {len(text)} characters")
    return text


@lru_cache(maxsize=64)  # slots of an idle cluster read the same every time
def _slots(text: str) -> tuple[ReplicationSlot, ...]:
    return () if text == "[]" else tuple(ReplicationSlot(*row) for row in read_json(_bounded(text)))
