"""The end of grants at real servers: a primary with its standby, PostgreSQL 15 and 18."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from state.granting.model import Bundle, EndObstacle, EndProof, NotEnded, ResidueKind
from state.grants.ending import GrantEnd
from tests.contract.access_pair import MAJORS, access_pair, as_admin, granted, target_of
from tests.contract.components import Pair


@pytest.fixture(scope="module", params=sorted(MAJORS))
def pair(request: pytest.FixtureRequest, folder: Path) -> Iterator[Pair]:
    with access_pair(folder, request.param) as running:
        yield running


async def replayed(pair: Pair) -> None:
    """Wait until the standby has what the primary has."""
    one, other = await as_admin(pair), await as_admin(pair, port=pair.standby)
    at = await one.fetchval("select pg_current_wal_lsn()::text")
    async with asyncio.timeout(10):
        while not await other.fetchval("select pg_last_wal_replay_lsn() >= $1::text::pg_lsn", at):
            await asyncio.sleep(0.02)
    one.terminate()
    other.terminate()


async def closed(session: asyncpg.Connection) -> bool:
    """Whether a session cannot be used any more."""
    try:
        await session.fetchval("select 1", timeout=3)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        return True
    return False


async def test_a_grant_is_used_and_ends_with_proof_on_every_node(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "g1")
        await replayed(pair)
        here, there = await grant.login(), await grant.login(pair.standby)
        seen = await target.seen([], deadline=4)
        assert {each.node for each in seen.sessions[grant.armed.oid]} == {"a", "b"}
        proof = await grant.end()
        assert isinstance(proof, EndProof), proof
        assert list(proof.nodes) == ["a", "b"]
        assert await closed(here)
        assert await closed(there)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await grant.login()


async def test_access_trap_01_a_session_that_is_still_starting_never_runs_a_statement(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "g2")
        slow = asyncio.create_task(grant.login(post_auth_delay="6"))
        admin = await as_admin(pair)
        async with asyncio.timeout(5):
            while not await admin.fetch("select * from recovery_access.unaccounted()"):
                await asyncio.sleep(0.05)
        admin.terminate()
        proof = await grant.end()
        assert isinstance(proof, EndProof), proof
        try:
            session = await slow
        except (asyncpg.PostgresError, OSError):
            return
        assert await closed(session), "the driver may take a greeting for a session; no statement runs in it"


async def test_access_trap_03_04_sessions_are_found_by_login_oid_after_a_role_change_and_a_drop(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "g3", Bundle.SCHEMA_FIX)
        session = await grant.login()
        await session.execute("set role app; insert into accounts values (1)")
        admin = await as_admin(pair)
        await admin.execute(f"drop owned by {grant.role}; drop role {grant.role}")
        await admin.execute(f"create role {grant.role} login")
        seen = await target.seen([grant.armed.oid], deadline=4)
        assert len(seen.sessions[grant.armed.oid]) == 1, "the OID counts although its role is gone"
        proof = await grant.end()
        assert isinstance(proof, EndProof), proof
        assert await closed(session)
        assert await admin.fetchval("select count(*) from pg_roles where rolname = $1", grant.role) == 1
        await admin.execute(f"drop role {grant.role}")


async def test_access_trap_05_a_process_that_stays_keeps_the_grant_from_being_ended(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "g4")
        session = await grant.login()
        pid = session.get_server_pid()
        import os
        import signal

        os.kill(pid, signal.SIGSTOP)
        try:
            found = await grant.end(tries=2)
            assert isinstance(found, NotEnded)
            assert found.obstacle is EndObstacle.SESSIONS
            assert str(pid) in found.told
            assert "kill -TERM" in found.way_out
        finally:
            os.kill(pid, signal.SIGCONT)
        assert isinstance(await grant.end(), EndProof)


async def test_access_trap_07_a_prepared_transaction_is_found_and_keeps_the_grant_open(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "g5")
        session = await grant.login()
        await session.execute("create table kept (n int); begin; insert into kept values (1); prepare transaction 'x5'")
        found = await grant.end(tries=3)
        assert isinstance(found, NotEnded)
        assert found.obstacle is EndObstacle.RESIDUE
        assert "x5" in found.told
        assert "rollback prepared" in found.way_out
        admin = await as_admin(pair)
        await admin.execute("rollback prepared 'x5'")
        proof = await grant.end()
        assert isinstance(proof, EndProof), proof


async def test_access_trap_09_10_what_was_made_is_kept_in_every_database_and_its_owner_has_no_rights(
    pair: Pair,
) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "g6")
        for database in ("postgres", "other"):
            session = await grant.login(database=database)
            await session.execute(
                "create table made6 (n int); insert into made6 values (7); grant select on made6 to nobody_much;"
                "create function raised6() returns int security definer language sql as 'select 1';"
                "alter default privileges grant select on tables to public"
            )
        ending = GrantEnd(target, grant.armed.oid, grant.role)
        for _ in range(10):
            proof = await ending.attempt()
            if isinstance(proof, EndProof):
                break
        assert isinstance(proof, EndProof), proof
        found = {(each.kind, each.database) for each in proof.residue}
        for database in ("postgres", "other"):
            assert (ResidueKind.DEFINER, database) in found
            assert (ResidueKind.DEFAULTS, database) in found
            admin = await as_admin(pair, database)
            assert (
                await admin.fetchval("select tableowner from pg_tables where tablename = 'made6'") == "recovery_orphans"
            )
            assert await admin.fetchval("select n from made6") == 7
            assert await admin.fetchval("select count(*) from pg_default_acl") == 0
            admin.terminate()


async def test_access_trap_14_names_are_quoted_bounded_and_their_own_part_is_first(pair: Pair) -> None:
    async with target_of(pair) as target:
        from state.granting.model import role_name

        names = {role_name(f"g7{n}", "Å" * 200 + '"; drop role x') for n in range(3)}
        assert len(names) == 3
        assert all(len(each.encode()) <= 63 for each in names)
        one = await granted(pair, target, "g71")
        other = await granted(pair, target, "g72")
        session = await other.login()
        assert isinstance(await one.end(), EndProof)
        assert not await closed(session), "ending one never ends another"
        assert isinstance(await other.end(), EndProof)


async def test_access_trap_15_what_was_removed_by_hand_is_ended(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "g8")
        admin = await as_admin(pair)
        await admin.execute(f"drop role {grant.role}")
        proof = await grant.end()
        assert isinstance(proof, EndProof)
        assert proof.was_gone


async def test_access_trap_18_the_end_works_while_the_grantee_holds_all_it_can(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "g9")
        sessions = [await grant.login() for _ in range(4)]
        with pytest.raises(asyncpg.TooManyConnectionsError):
            await grant.login()
        assert isinstance(await grant.end(), EndProof)
        assert all([await closed(each) for each in sessions])


async def test_access_trap_35_an_account_that_was_not_made_here_is_never_touched(pair: Pair) -> None:
    async with target_of(pair) as target:
        admin = await as_admin(pair)
        await admin.execute("create role bg_like login password 'x'")
        oid = await admin.fetchval("select oid::int8 from pg_roles where rolname = 'bg_like'")
        session = await asyncpg.connect(
            host="127.0.0.1", port=pair.primary, user="bg_like", password="x", database="postgres"
        )
        await target.block(oid, deadline=4)
        await target.terminate(oid, {}, sure=True, deadline=4)
        await target.clear(oid, [], deadline=4)
        await target.finish(oid, deadline=4)
        assert not await closed(session)
        assert await admin.fetchval("select rolcanlogin from pg_roles where oid = $1", oid)
        session.terminate()
        await asyncio.sleep(0.1)
        await admin.execute("drop role bg_like")


async def test_without_any_engine_the_reaper_blocks_the_login_and_ends_the_sessions(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "g10", seconds=3)
        await replayed(pair)
        assert await target.watch(grant.armed.oid, deadline=4) == {}
        assert await target.watch(grant.armed.oid, deadline=4) == {}, "one for each server is enough"
        here, there = await grant.login(), await grant.login(pair.standby)
        seen = await target.seen([], deadline=4)
        assert seen.reapers == {"a": [grant.armed.oid], "b": [grant.armed.oid]}
        await target.close()
        async with asyncio.timeout(10):
            while not (await closed(here) and await closed(there)):
                await asyncio.sleep(0.1)
        with pytest.raises(asyncpg.PostgresError):
            await grant.login()
        assert isinstance(await grant.end(), EndProof)
