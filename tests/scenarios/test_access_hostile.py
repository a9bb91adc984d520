"""Twenty grants with hostile holders, a killed engine, a standby that restarts: a prober finds nothing usable."""

from __future__ import annotations

import asyncio
import os
import pwd
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import pytest

from adapters.access.postgres_access import PostgresAccess
from adapters.access.prepared_sql import prepare_sql
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_cluster import PostgresCluster
from adapters.secrets import Secret
from state.api.views.access import GrantState
from state.estate.access import AccessEntry
from state.granting.model import Bundle, role_name
from state.granting.scram import new_secret, verifier
from tests.contract.components import PASSWORD
from tests.support.plain_pair import Servers, plain_pair
from tests.support.real_engine import RealEngine, engine_home, until

GRANTS = 20
FORGIVEN = 5.0
"""Seconds after its end at which nothing of a grant may be usable."""
FAILED = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
EVIL = (
    "set statement_timeout = 0",
    "set idle_session_timeout = 0",
    "alter role current_user set statement_timeout = 0",
    "create temp table mine (n int)",
    "create table if not exists left_{n} (n int)",
    "create function raise_{n}() returns int security definer language sql as 'select 1'",
    "alter default privileges grant select on tables to public",
    "alter role current_user password 'mine'",
)


@dataclass
class Hostile:
    """A grant with its holder, who tries to stay."""

    n: int
    role: str
    secret: str
    ends: float
    """By this host's monotonic clock."""
    sessions: list[asyncpg.Connection] = field(default_factory=list)


@pytest.fixture
async def site() -> AsyncIterator[tuple[Servers, RealEngine, PostgresAccess]]:
    with plain_pair() as servers:
        major = int((servers.pair.place / "a" / "PG_VERSION").read_text())
        servers.sql("a", prepare_sql(major, act="ops", read="recovery", longest=14_400))
        servers.sql("a", "grant create on schema public to public")
        tree = {
            "estate": "hostile",
            "environment": "lab",
            "sites": {"east": {}},
            "people": {"you": {"accounts": [pwd.getpwuid(os.geteuid()).pw_name], "roles": ["commander"]}},
            "databases": {"ledger": {**servers.database("a", "b", fenced=False), "access": {}}},
            "runbooks": [],
        }
        reading, acting = (Access(name, "postgres", Secret(PASSWORD)) for name in ("recovery", "ops"))
        nodes = [PostgresNode(name, "127.0.0.1", servers.ports[name], reading) for name in ("a", "b")]
        target = PostgresAccess(PostgresCluster("ledger", nodes, acting), acting, AccessEntry())
        with engine_home(tree) as engine:
            await engine.start()
            yield servers, engine, target
        await target.close()


async def login(servers: Servers, holder: Hostile, node: str, **settings: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        host="127.0.0.1", port=servers.ports[node], user=holder.role, password=holder.secret, database="postgres",
        ssl=False, timeout=8, server_settings=settings,
    )  # fmt: skip


async def begun(servers: Servers, target: PostgresAccess, n: int) -> Hostile:
    """A grant that is used at once, in the ways of one who wants to keep it."""
    role, secret, seconds = role_name(f"h{n:02d}", "mallory"), new_secret(), 8 + n % 6
    bundle = (Bundle.READ_ALL, Bundle.MONITOR, Bundle.TERMINATE)[n % 3]
    began = time.monotonic()
    armed = await target.arm(f"G-H{n:02d}", role, bundle, "mallory", "T", effect=f"h/{n}", seconds=seconds, deadline=9)
    await target.open_login(armed.oid, verifier(secret), window=60, deadline=9)
    await target.watch(armed.oid, deadline=9)
    holder = Hostile(n, role, secret, began + seconds)
    for node in ("a", "a", "b"):
        with suppress(*FAILED):
            holder.sessions.append(await login(servers, holder, node))
    for statement in EVIL:
        with suppress(*FAILED):
            await holder.sessions[0].execute(statement.format(n=n))
    return holder


async def usable(session: asyncpg.Connection) -> bool:
    try:
        return await session.fetchval("select 1", timeout=1) == 1
    except FAILED:
        return False


async def probed(servers: Servers, holders: list[Hostile], until_: float) -> list[str]:
    """Every 250 ms: what is usable though its grant ended more than the forgiven seconds ago."""
    found: list[str] = []
    while time.monotonic() < until_:
        for holder in holders:
            if time.monotonic() < holder.ends + FORGIVEN:
                continue
            found += [f"{holder.role}: a session" for each in holder.sessions if await usable(each)]
            with suppress(*FAILED):
                late = await login(servers, holder, "a")
                found.append(f"{holder.role}: a login")
                late.terminate()
        await asyncio.sleep(0.25)
    return found


async def slow(servers: Servers, holder: Hostile) -> bool:
    """A session that begins before the end and says whose it is only after it; whether it then runs a statement."""
    await asyncio.sleep(max(0.0, holder.ends - 1.0 - time.monotonic()))
    try:
        made = await login(servers, holder, "a", post_auth_delay="7")
    except FAILED:
        return False
    ran = await usable(made)
    made.terminate()
    return ran


async def test_nothing_is_usable_after_the_end_whoever_is_killed(
    site: tuple[Servers, RealEngine, PostgresAccess],
) -> None:
    servers, engine, target = site
    holders = [await begun(servers, target, n) for n in range(GRANTS)]
    assert sum(len(each.sessions) for each in holders) >= 2 * GRANTS
    assert await usable(holders[-1].sessions[0]), "what is usable is seen to be"
    last = max(each.ends for each in holders)
    slows = [asyncio.create_task(slow(servers, holders[n])) for n in (0, 7, 14)]
    prober = asyncio.create_task(probed(servers, holders, last + FORGIVEN + 3))
    engine.kill()
    await asyncio.sleep(2)
    await engine.start()
    await asyncio.sleep(2)
    servers.pair.control("b", "-m", "immediate", "stop")
    servers.again("b")
    engine.kill()
    await asyncio.sleep(1)
    await engine.start()
    assert await prober == []
    assert not any(await asyncio.gather(*slows))

    async def proven() -> bool:
        rows = (await engine.client.view("access")).grants.values()
        return len(rows) == GRANTS and all(each.state is GrantState.ENDED for each in rows)

    await until(proven, 90)
    rows = (await engine.client.view("access")).grants.values()
    assert sum(any("left_" in thing for thing in each.left) for each in rows) >= GRANTS - 2
    assert engine.kinds().count("grant.ended") == GRANTS
