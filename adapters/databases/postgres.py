"""PostgreSQL (15 to 18), one node over one warm connection: its identity and its WAL positions.

Sources of the figures: PostgreSQL manual, "System Administration Functions" and "The Cumulative Statistics System".
The role needs `pg_monitor`, and for the descent of timelines what `postgres_descent.py` says.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from asyncpg.prepared_stmt import PreparedStatement

from adapters.databases.postgres_descent import Descent
from adapters.databases.postgres_lease import Lease
from adapters.databases.postgres_logical import SubscriptionWatch, publications_of
from adapters.databases.postgres_progress import Progress
from adapters.databases.postgres_query import BACKLOG_QUERY, QUERY, SLOW_QUERY
from adapters.databases.postgres_rows import archiver_of, descent_of, reading_of, settings_of, timeline_of
from adapters.databases.remembered import HighestTimeline
from adapters.databases.unsaid import unsaid
from adapters.net.answers_read import MALFORMED
from adapters.net.certificate_watch import CertificateWatch
from adapters.net.tls_reasons import tls_refusal
from adapters.net.tunnel import LoopThrough, Tunnel
from adapters.secrets import Secret
from state.errors import ReadFailure, Trouble
from state.units import time_limit
from state.world.postgres_parts import Publication, ServerSettings, Subscription, WalArchiver
from state.world.readings import PostgresReading
from state.world.shapes import misfit

CLOSE_SECONDS = 0.5
SLOW_SECONDS = 10.0
"""How often settings and the archiver are read; a server whose role has changed is asked at once."""
OFTEN = 1.0
"""The same where there are subscriptions, whose workers may fail in a loop."""

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

OWN_SETTINGS = {
    "search_path": "pg_catalog",
    "standard_conforming_strings": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""Of sessions for our own questions, which have limits of their own: a database may have ones in which nothing is
answered. Whoever owns the database could put a schema of his before `pg_catalog`: its
functions would answer in place of the server, with the rights of the account that asks. A standby knows no serializable
transaction."""

LONGEST_COUNT = 0.5
"""Seconds in which the files that wait for the archive are counted."""


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
        self._descent = Descent()
        self._progress = Progress()
        self._timeline = HighestTimeline()
        self._settings: ServerSettings | None = None
        self._archiver: WalArchiver | None = None
        self._watch = SubscriptionWatch()
        self._subscriptions: tuple[Subscription, ...] = ()
        self._publications: tuple[Publication, ...] = ()
        self._certificate = CertificateWatch(host, port, postgres=True, via=access.via, trusted=lambda: access.tls)
        self._slow_of: object = None
        self._slow_at = float("-inf")

    @property
    def via(self) -> Tunnel | None:
        """The host that leads to it."""
        return self._access.via

    async def read(self, *, deadline: float) -> PostgresReading:
        """One reading, in one query. Raises ReadFailure."""
        with self._told(deadline):
            if self._turn.locked() or self._connection is None or self._connection.is_closed():
                async with asyncio.timeout(deadline), self._turn:
                    return await self._read(deadline)
            async with self._turn:  # no waiting, so the driver's own timer is enough
                return await self._read_kept(deadline)

    async def with_certificate(self, reading: PostgresReading, *, deadline: float) -> PostgresReading:
        """A reading with how long its certificate is good for, where anything comes to it over TLS. Never raises."""
        streams = any(each.transport is not None and each.transport.version for each in reading.senders)
        if self._access.tls is None and not streams:
            return reading
        days = await self._certificate.days(deadline=deadline)
        seen = self._certificate
        return replace(reading, certificate_days=days, certificate_unread=seen.unread, certificate_refused=seen.refused)

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
            told = "; ".join(str(error).splitlines())
            message = f"PostgreSQL {self.node}: {refused or told or type(error).__name__}"
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
        began = time.monotonic()
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
            fields = dict(row)
            process = (row["system_id"], row["started_at"])
            timeline = self._timeline.of(process, timeline_of(fields), in_recovery=row["in_recovery"])
            await self._descent.read(connection, descent_of(fields, timeline))
            await self._read_slow(connection, (row["in_recovery"], row["started_at"]), began, deadline)
            other = "" if self._lease is None else await self._lease.other(connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection, self._statement = connection, statement
        made = reading_of(self.node, fields, timeline, self._descent, self._progress, began)
        made = replace(made, settings=self._settings, archiver=self._archiver, subscriptions=self._subscriptions)
        return _fitting(replace(made, publications=self._publications, other_engine=other))

    async def _read_slow(
        self, connection: asyncpg.Connection[asyncpg.Record], role: object, now: float, deadline: float
    ) -> None:
        """What changes slowly, when it is old or the server is not what it was."""
        if role == self._slow_of and now - self._slow_at < (OFTEN if self._subscriptions else SLOW_SECONDS):
            return
        row = await connection.fetchrow(SLOW_QUERY, timeout=deadline)
        if row is None:
            raise ReadFailure(Trouble.EMPTY, f"PostgreSQL {self.node} returned no row")
        on = row["archive_mode"] != "off" and row["lists_archive"]
        backlog = await _backlog(connection, deadline) if on else None
        self._settings, self._archiver = settings_of(dict(row)), archiver_of(dict(row), backlog)
        self._subscriptions = self._watch.of(row["subscriptions"], now)
        self._publications = publications_of(row["publications"])
        self._slow_of, self._slow_at = role, now

    async def _connect(self, deadline: float) -> asyncpg.Connection[asyncpg.Record]:
        connection = await self.session(None, deadline=deadline, read_only=True)
        if self._lease is not None:
            await self._lease.begin(connection, deadline)
        return connection

    def aside(self) -> PostgresNode:
        """The same server for one who reads beside the engine: without its lease."""
        return PostgresNode(self.node, self._host, self._port, self._access)

    @property
    def access(self) -> Access:
        """How it is logged in to."""
        return self._access

    async def session(
        self, access: Access | None, *, deadline: float, read_only: bool, foreign: bool = False
    ) -> asyncpg.Connection[asyncpg.Record]:
        """A new connection, by another account if one is given; its TLS and the way to it are those of the node.
        `foreign`: for a statement of the estate, which is run with the settings of its account. Raises what asyncpg and
        the system raise, and ReadFailure for the host that leads there."""
        own, local = self._access, self._host.startswith("/")
        access = own if access is None else access
        loop: Any = None
        if own.via is not None:
            remote = f"{self._host}/.s.PGSQL.{self._port}" if local else _netloc(self._host, self._port)
            loop = LoopThrough(await own.via.forward(remote))
        settings = {"application_name": "recovery"} | ({} if read_only else {"default_transaction_read_only": "off"})
        settings |= {} if foreign else OWN_SETTINGS
        with unsaid(access.password):
            connection = await asyncpg.connect(
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
                server_settings=settings,
            )
        if read_only:  # not when it is opened: what the server itself has would not be seen any more
            try:
                await connection.execute("set default_transaction_read_only = on", timeout=deadline)
            except BaseException:
                connection.terminate()
                raise
        return connection


async def _backlog(connection: asyncpg.Connection[asyncpg.Record], deadline: float) -> int | None:
    """How many files wait for the archive; None where there are so many that counting them takes too long."""
    await connection.execute(f"set statement_timeout = {min(LONGEST_COUNT, deadline / 4) * 1000:.0f}", timeout=deadline)
    try:
        counted: int = await connection.fetchval(BACKLOG_QUERY, timeout=deadline)
    except asyncpg.QueryCanceledError:
        return None
    finally:
        await connection.execute("reset statement_timeout", timeout=deadline)
    return counted


def _fitting(reading: PostgresReading) -> PostgresReading:
    """The reading, whose values a server may have given any type. Raises TypeError."""
    if (where := misfit(reading)) is not None:
        raise TypeError(f"a value of another kind at {where}")
    return reading


def _netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
