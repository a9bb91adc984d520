"""Comparisons that an engine's process makes of a real pair, asked for through its socket."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import AsyncIterator

import asyncpg
import pytest

from state.api.views.comparisons import CompareOutcome, ComparisonRow
from state.errors import Refused
from tests.support.plain_pair import Servers, plain_pair
from tests.support.real_engine import RealEngine, engine_home, until

OPEN = """
select count(*) from pg_stat_activity
where usename = 'recovery' and state <> 'idle' and pid <> pg_backend_pid() and wait_event_type = 'Lock'
"""


@pytest.fixture
async def site() -> AsyncIterator[tuple[Servers, RealEngine]]:
    with plain_pair() as servers:
        servers.sql("a", "grant pg_read_all_data to recovery")
        servers.sql("a", "insert into ledger select generate_series(1, 5000)")
        tree = {
            "estate": "compared",
            "environment": "lab",
            "sites": {"east": {}},
            "people": {"you": {"accounts": [pwd.getpwuid(os.geteuid()).pw_name], "roles": ["responder"]}},
            "databases": {"ledger": servers.database("a", "b", fenced=False)},
            "runbooks": [],
        }
        with engine_home(tree) as engine:
            await engine.start()
            yield servers, engine


async def newest(engine: RealEngine) -> ComparisonRow:
    rows: dict[str, ComparisonRow] = (await engine.client.view("comparisons")).comparisons
    return list(rows.values())[-1]


async def ended(engine: RealEngine) -> ComparisonRow:
    async def over() -> bool:
        return (await newest(engine)).ended_at is not None

    await until(over, 60)
    return await newest(engine)


async def superuser(servers: Servers, node: str) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(
        host="127.0.0.1", port=servers.ports[node], user="postgres", database="postgres", ssl=False
    )


async def test_a_standby_is_equal_and_one_that_went_its_own_way_is_not(site: tuple[Servers, RealEngine]) -> None:
    servers, engine = site
    accepted = await engine.client.compare("ledger/a", "ledger/b")
    assert accepted.message == "C-1: compare ledger/a with ledger/b; only reads"
    found = await ended(engine)
    assert (found.outcome, found.rows, found.compared, found.reason) == (CompareOutcome.EQUAL, 0, 1, "")
    servers.sql("b", "select pg_promote()")
    servers.sql("b", "insert into ledger values (7001), (7002)")
    servers.sql("b", "delete from ledger where n = 17")
    await engine.client.compare("ledger/a", "ledger/b")
    found = await ended(engine)
    assert (found.outcome, found.rows, found.tables) == (CompareOutcome.DIFFERS, 3, 1), found
    assert [k for k in engine.kinds() if k.startswith("comparison.")] == [
        "comparison.started", "comparison.ended", "comparison.started", "comparison.ended",
    ]  # fmt: skip
    assert engine.chain() == ""


async def test_cancelled_it_leaves_no_query_behind_and_what_cannot_be_read_is_no_verdict(
    site: tuple[Servers, RealEngine],
) -> None:
    servers, engine = site
    locking = await superuser(servers, "a")
    lock = locking.transaction()
    await lock.start()
    await locking.execute("lock table ledger in access exclusive mode")
    watching = await superuser(servers, "a")
    await engine.client.compare("ledger/a", "ledger/b")

    async def waits() -> bool:
        return bool(await watching.fetchval(OPEN))

    await until(waits, 30)
    with pytest.raises(Refused, match="is under way"):
        await engine.client.compare("ledger/b", "ledger/a")
    await engine.client.cancel_comparison()
    found = await ended(engine)
    assert (found.outcome, found.reason.startswith("by ")) == (CompareOutcome.CANCELLED, True)

    async def gone() -> bool:
        return not await watching.fetchval(OPEN)

    await until(gone, 15)
    await lock.rollback()
    for each in (locking, watching):
        await each.close()
    servers.pair.control("b", "-m", "immediate", "stop")
    await engine.client.compare("ledger/a", "ledger/b")
    found = await ended(engine)
    assert found.outcome is CompareOutcome.FAILED
    assert found.reason


async def test_a_killed_engine_says_afterwards_that_it_was_interrupted(site: tuple[Servers, RealEngine]) -> None:
    servers, engine = site
    locking = await superuser(servers, "a")
    lock = locking.transaction()
    await lock.start()
    await locking.execute("lock table ledger in access exclusive mode")
    await engine.client.compare("ledger/a", "ledger/b")
    await asyncio.sleep(1)
    engine.kill()
    await engine.start()
    found = await newest(engine)
    assert found.outcome is CompareOutcome.INTERRUPTED
    await lock.rollback()
    await locking.close()
