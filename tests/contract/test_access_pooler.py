"""Grants behind a real PgBouncer: sessions end at the server, its console tells of clients, nothing gets through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from adapters.access.pgbouncer import PgBouncer
from adapters.access.postgres_access import PostgresAccess
from adapters.databases.postgres import PostgresNode
from adapters.databases.postgres_cluster import PostgresCluster
from adapters.secrets import Secret
from state.errors import ReadFailure
from state.estate.access import AccessEntry
from state.granting.model import Bundle, EndObstacle, EndProof, NotEnded
from tests.contract.access_pair import ACTING, MAJORS, OPENED, READING, Granted, access_pair, granted
from tests.contract.components import Pair
from tests.contract.test_access_ending import closed
from tests.support.pgbouncer import LOOKUP, RunningPooler, running_pooler
from tests.support.ports import free_port


@pytest.fixture(scope="module", params=sorted(MAJORS))
def pair(request: pytest.FixtureRequest, folder: Path) -> Iterator[Pair]:
    with access_pair(folder, request.param) as running:
        running.psql(running.primary, LOOKUP)
        yield running


@asynccontextmanager
async def behind(pair: Pair, pooler: PgBouncer) -> AsyncIterator[PostgresAccess]:
    servers = [
        PostgresNode(name, "127.0.0.1", port, READING) for name, port in (("a", pair.primary), ("b", pair.standby))
    ]
    entry = AccessEntry(schema_owner="app", bundles=tuple(Bundle))
    target = PostgresAccess(PostgresCluster("orders", servers, ACTING), ACTING, entry, [pooler])
    try:
        yield target
    finally:
        for session in OPENED:
            session.terminate()
        OPENED.clear()
        await target.close()
        for each in servers:
            await each.close()


async def through(pooler: RunningPooler, grant: Granted) -> asyncpg.Connection:
    made = await asyncpg.connect(
        host="127.0.0.1", port=pooler.port, user=grant.role, password=grant.secret, database="postgres", timeout=9,
        ssl=False, statement_cache_size=0,
    )  # fmt: skip
    OPENED.append(made)
    return made


async def asked_through(pooler: RunningPooler, grant: Granted) -> None:
    """A login through the pooler, and a statement."""
    await (await through(pooler, grant)).fetchval("select 1")


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_access_trap_25_after_the_end_nothing_gets_through_a_pooler(pair: Pair, mode: str) -> None:
    with running_pooler(pair, mode) as pooler:
        async with behind(pair, pooler.adapter) as target:
            grant = await granted(pair, target, f"p25{mode[0]}")
            used, idle = await through(pooler, grant), await through(pooler, grant)
            assert await used.fetchval("select current_user") == grant.role
            await idle.fetchval("select 1")
            seen = await target.seen([], deadline=4)
            assert seen.poolers["front"].clients[grant.role] == 2
            assert seen.poolers["front"].servers[grant.role] >= 1
            proof = await grant.end()
            assert isinstance(proof, EndProof), proof
            assert list(proof.nodes) == ["a", "b", "pooler front"]
            assert await closed(used)
            assert await closed(idle)
            with pytest.raises((asyncpg.PostgresError, OSError, TimeoutError)):
                await asked_through(pooler, grant)
            assert grant.role not in (await target.seen([], deadline=4)).poolers["front"].servers


async def test_access_trap_27_others_at_the_pooler_are_not_paused_and_go_on(pair: Pair) -> None:
    with running_pooler(pair, "transaction") as pooler:
        async with behind(pair, pooler.adapter) as target:
            grant = await granted(pair, target, "p27")
            await (await through(pooler, grant)).fetchval("select 1")
            other = await asyncpg.connect(
                host="127.0.0.1", port=pooler.port, user="nobody_much", password="x", database="postgres", ssl=False,
                statement_cache_size=0,
            )  # fmt: skip
            OPENED.append(other)
            asked = 0
            ending = asyncio.create_task(grant.end())
            while not ending.done():
                assert await other.fetchval("select 1", timeout=2) == 1
                asked += 1
                await asyncio.sleep(0.02)
            assert isinstance(await ending, EndProof)
            assert asked > 3
            assert (await target.seen([], deadline=4)).poolers["front"].paused == ()


async def test_access_trap_26_an_entry_that_forces_another_user_is_told(pair: Pair) -> None:
    with running_pooler(pair, entry="user=nobody_much password=x") as pooler:
        async with behind(pair, pooler.adapter) as target:
            seen = await target.seen([], deadline=4)
            assert seen.poolers["front"].forced == {"postgres": "nobody_much"}


async def test_access_trap_28_a_cached_login_error_is_no_proof_and_an_unread_pooler_neither(pair: Pair) -> None:
    with running_pooler(pair) as pooler:
        async with behind(pair, pooler.adapter) as target:
            grant = await granted(pair, target, "p28")
            session = await grant.login()
            wrong = Granted(grant.pair, target, grant.armed, grant.role, "not the secret")
            for _ in range(3):
                with suppress(asyncpg.PostgresError, OSError):
                    await through(pooler, wrong)
            assert not await closed(session), "what the pooler refuses may be open at the server"
            pooler.process.kill()
            pooler.process.wait()
            found = await grant.end(tries=2)
            assert isinstance(found, NotEnded)
            assert found.obstacle is EndObstacle.UNREAD
            assert "pooler front" in found.told
            assert await closed(session), "that it is not read keeps nothing else from being done"
    with running_pooler(pair) as pooler:
        async with behind(pair, pooler.adapter) as target:
            again = Granted(pair, target, grant.armed, grant.role, grant.secret)
            assert isinstance(await again.end(), EndProof)


async def test_of_processes_that_share_a_port_one_answers_and_the_proof_does_not_name_them(pair: Pair) -> None:
    port = free_port()
    with running_pooler(pair, shared=port) as pooler, running_pooler(pair, shared=port):
        async with behind(pair, pooler.adapter) as target:
            grant = await granted(pair, target, "p29")
            sessions = [await through(pooler, grant) for _ in range(4)]
            seen = (await target.seen([], deadline=4)).poolers["front"]
            assert seen.shares
            proof = await grant.end()
            assert isinstance(proof, EndProof)
            assert "pooler front" not in proof.nodes
            for session in sessions:
                with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                    await session.fetchval("select 1", timeout=5)
    with running_pooler(pair) as pooler:
        async with behind(pair, pooler.adapter) as target:
            assert not (await target.seen([], deadline=4)).poolers["front"].shares


@pytest.mark.parametrize("auth", ["scram-sha-256", "md5"])
async def test_the_console_is_asked_with_each_kind_of_password_and_a_wrong_one_is_refused(
    pair: Pair, auth: str
) -> None:
    with running_pooler(pair, auth=auth) as pooler:
        seen = await pooler.adapter.seen(deadline=4)
        assert seen.forced == {}
        assert seen.clients["boss"] == 1
        wrong = PgBouncer("front", "127.0.0.1", pooler.port, "boss", Secret("another"))
        with pytest.raises(ReadFailure, match="pooler front"):
            await wrong.seen(deadline=4)


async def test_a_client_that_goes_on_as_another_user_through_a_wildcard_holds_the_proof_up(pair: Pair) -> None:
    """PgBouncer does not tell of `*` before somebody uses it, so it was not seen when the access was given."""
    file = pair.place / "a" / "pg_hba.conf"
    had = file.read_text()
    file.write_text(f"host other recovery 127.0.0.1/32 trust\n{had}")
    pair.psql(pair.primary, "select pg_reload_conf()")
    pair.psql(pair.primary, LOOKUP.partition(";")[2], "other")
    with running_pooler(pair, "transaction", f"\n* = host=127.0.0.1 port={pair.primary} user=recovery") as pooler:
        async with behind(pair, pooler.adapter) as target:
            assert (await target.seen([], deadline=4)).poolers["front"].forced == {}
            grant = await granted(pair, target, "w1")
            client = await asyncpg.connect(
                host="127.0.0.1", port=pooler.port, user=grant.role, password=grant.secret, database="other", timeout=9,
                ssl=False, statement_cache_size=0,
            )  # fmt: skip
            assert await client.fetchval("select current_user") == "recovery"
            found = await grant.end(tries=2)
            assert isinstance(found, NotEnded)
            assert (found.obstacle, "kill other; resume other" in found.way_out) == (EndObstacle.POOLED, True)
            assert await client.fetchval("select 1") == 1, "it goes on, which is why it is no end"
            await client.close()
            assert isinstance(await grant.end(), EndProof)
    file.write_text(had)
    pair.psql(pair.primary, "select pg_reload_conf()")
