"""Grantees who try to stay, and the prober that looks whether one could."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg

from state.granting.model import Bundle, role_name
from state.granting.scram import new_secret, verifier
from tests.support.access_site import AccessSite

FORGIVEN = 5.0
"""Seconds after its end at which nothing of a grant may be usable."""
EVERY = 0.25
MOST = 4
"""Sessions that one holds at a time: as many as the role's limit allows."""
FAILED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
BUNDLES = (Bundle.READ_ALL, Bundle.MONITOR, Bundle.TERMINATE, Bundle.SCHEMA_FIX, Bundle.CONFIG_RELOAD)
EVIL = (
    "set statement_timeout = 0",
    "set idle_session_timeout = 0",
    "alter role current_user set statement_timeout = 0",
    "alter role current_user set role = none",
    "create temp table mine (n int)",
    "create table if not exists left_{n} (n int)",
    "create function raise_{n}() returns int security definer language sql as 'select 1'",
    "alter default privileges grant select on tables to public",
    "alter role current_user valid until 'infinity'",
    "alter role current_user connection limit -1",
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ '^recovery'",
    "select recovery_access.end_session(pid) from pg_stat_activity where application_name ~ '^recovery'",
    "select pg_cancel_backend(pid) from pg_stat_activity where application_name ~ '^recovery'",
    "lock table pg_authid in access share mode",
    "lock table recovery_access.turn",
    "comment on role current_user is 'recovery grant {{}}'",
    "select pg_try_advisory_lock(1)",
    "alter role current_user rename to somebody",
    "drop role current_user",
    "set session authorization recovery_owner",
    "grant {role} to public",
    "alter role current_user set session_preload_libraries = 'auto_explain'",
    "alter role recovery_owner nologin",
    "create table pg_roles (oid oid, rolname name, rolcanlogin bool)",
    "create view pg_stat_activity as select 1 as pid where false",
    "create function pg_terminate_backend(int) returns bool language sql as 'select true'",
    "create function current_setting(name) returns text language sql as 'select null::text'",
    "create operator = (leftarg = int4, rightarg = int4, function = int4ne)",
    "create temp table pg_prepared_xacts (owner name, gid text)",
    "create temp view pg_locks as select 1 as pid where false",
    "alter role current_user set search_path = pg_temp, public, pg_catalog",
    "alter role current_user in database postgres set role = 'app'",
    "alter database postgres connection limit 0",
    "revoke connect on database postgres from public",
    "alter system set hba_file = '/dev/null'",
    "alter system reset all",
    "copy (select 1) to program 'true'",
    "create event trigger stay on sql_drop execute function stay()",
    "create publication stay for all tables",
    "create subscription stay connection 'host=127.0.0.1' publication stay",
    "security label on role current_user is 'x'",
    "select pg_reload_conf(), pg_rotate_logfile()",
    "select pg_logical_emit_message(false, 'a', 'b')",
    "do $$ declare n int; begin for n in 0..20000 loop perform recovery_access.end_session(n); end loop; end $$",
    "alter role current_user password 'mine'",
)
LASTING = (
    ("begin", "alter role current_user password 'other'"),  # holds the row of its own role
    ("set role app", "insert into accounts values (1)"),
    ("select set_config('application_name', 'recovery reaper ' || (select oid from pg_roles where rolname = "
     "current_user), false)",),
    ("listen hostile", "begin", "declare c cursor with hold for select 1", "commit"),
    ("begin", "lock table pg_authid, pg_shdescription in access share mode",
     "select count(*) from recovery_access.turn"),
    ("select pg_advisory_lock(1380271958, 1)", "begin", "savepoint a", "create temp table x (n int) on commit drop"),
    ("set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0",
     "set force_parallel_mode = on", "set debug_parallel_query = on"),
)  # fmt: skip
"""What a session does last, and stays in."""


@dataclass
class Hostile:
    """A grant with its holder. `ends` by this host's monotonic clock; `last` the last moment at which it was usable."""

    n: int
    oid: int
    role: str
    passwords: list[str]
    ends: float
    random: random.Random
    prepares: bool
    sessions: list[asyncpg.Connection] = field(default_factory=list)
    used: int = 0
    refused: int = 0
    what: dict[int, str] = field(default_factory=dict)
    """What a session is, by its id."""
    last: float = 0.0
    found: list[str] = field(default_factory=list)

    def usable(self, how: str, at: float | None = None) -> None:
        """Something of it was usable just now."""
        now = time.monotonic() if at is None else at
        self.used += 1
        self.last = max(self.last, now)
        if now > self.ends + FORGIVEN:
            self.found.append(f"{self.role}: {how} {now - self.ends:.1f} s after its end")


async def begun(site: AccessSite, n: int, rolls: random.Random, seconds: int) -> Hostile:
    """A grant that is used at once, in the ways of one who wants to keep it."""
    role, secret = role_name(f"h{n:03d}", "mallory"), new_secret()
    bundle = BUNDLES[n % len(BUNDLES)]
    armed = await site.target.arm(
        f"G-H{n:03d}", role, bundle, "mallory", "T", effect=f"h/{n}", seconds=seconds, deadline=9
    )
    ends = time.monotonic() + armed.ends - time.time()  # servers and this process have one clock
    await site.target.open_login(armed.oid, verifier(secret), window=60, deadline=9)
    await site.target.watch(armed.oid, deadline=9)
    holder = Hostile(n, armed.oid, role, [secret, "mine", "other"], ends, rolls, n % 7 == 3)
    with suppress(*FAILED):
        session = await site.login(site.leader, role, secret)
        holder.sessions.append(session)
        holder.what[id(session)] = f"its first session at {site.leader}"
        for statement in EVIL:
            with suppress(*FAILED):
                await session.execute(statement.format(n=n, role=role))
        if holder.prepares:
            with suppress(*FAILED):
                await session.execute(f"begin; insert into left_{n} values (1); prepare transaction 'left {n}'")
    for each in range(2):
        with suppress(*FAILED):
            session = await site.login(site.standby if each else site.leader, role, rolls.choice(["mine", secret]))
            holder.sessions.append(session)
            holder.what[id(session)] = f"its session {each + 1} at {site.standby if each else site.leader}"
            for statement in LASTING[(n + each) % len(LASTING)]:
                with suppress(*FAILED):
                    await session.execute(statement)
    return holder


async def clung(site: AccessSite, holder: Hostile, over: asyncio.Event) -> None:
    """Probe what it has, four times a second, and try to get more: a login that works is kept."""
    slow: set[asyncio.Task[None]] = set()
    while not over.is_set():
        alive = [each for each in holder.sessions if await _answers(holder, each)]
        for each in holder.sessions:
            if each not in alive:
                each.terminate()
        holder.sessions = alive
        if len(alive) < MOST:
            node = holder.random.choice(["a", "b"])
            try:
                made = await site.login(node, holder.role, holder.random.choice(holder.passwords))
            except FAILED:
                holder.refused += 1
            else:
                holder.usable(f"a login at {node}")
                holder.what[id(made)] = f"a later session at {node}"
                holder.sessions.append(made)
        if not slow and time.monotonic() > holder.ends - 1.2:
            slow.add(asyncio.create_task(_late(site, holder)))
        await asyncio.sleep(EVERY)
    await asyncio.gather(*slow)
    for each in holder.sessions:
        each.terminate()


async def _answers(holder: Hostile, session: asyncpg.Connection) -> bool:
    asked = time.monotonic()
    try:
        answered = await session.fetchval("select 1", timeout=2) == 1
    except asyncpg.InFailedSQLTransactionError:  # it is there
        answered = True
    except FAILED:
        return False
    if answered:
        holder.usable(holder.what.get(id(session), "a slow session"), asked)
    return answered


async def _late(site: AccessSite, holder: Hostile) -> None:
    """A session that begins before the end and says whose it is only long after it."""
    with suppress(*FAILED):
        made = await site.login(site.leader, holder.role, holder.passwords[0], post_auth_delay="8")
        await _answers(holder, made)
        made.terminate()
