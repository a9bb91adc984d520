"""What others met when access had to end: at real servers of PostgreSQL 15 and 18 that were prepared for grants."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from state.errors import EffectRefused
from state.granting.model import Bundle, EndObstacle, EndProof, NotEnded, ResidueKind
from state.granting.scram import new_secret, verifier
from state.grants.ending import GrantEnd
from tests.contract.access_pair import MAJORS, access_pair, as_admin, granted, target_of
from tests.contract.components import Pair
from tests.contract.test_access_ending import closed, replayed


@pytest.fixture(scope="module", params=sorted(MAJORS))
def pair(request: pytest.FixtureRequest, folder: Path) -> Iterator[Pair]:
    with access_pair(folder, request.param) as running:
        yield running


async def test_access_trap_02_a_closed_login_is_no_end_while_a_session_lives(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "t02")
        session = await grant.login()
        await target.block(grant.armed.oid, deadline=4)
        seen = await target.seen([], deadline=4)
        role = seen.role(grant.armed.oid)
        assert role is not None
        assert not role.can_login
        assert len(seen.sessions[grant.armed.oid]) == 1
        assert not await closed(session)
        assert isinstance(await grant.end(), EndProof)


async def test_access_trap_06_no_bundle_makes_slots_or_replication_connections(pair: Pair) -> None:
    async with target_of(pair) as target:
        for n, bundle in enumerate(each for each in Bundle if each is not Bundle.SUPERUSER):
            grant = await granted(pair, target, f"t06{n}", bundle)
            session = await grant.login()
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.execute("select pg_create_physical_replication_slot('kept')")
            with pytest.raises((asyncpg.PostgresError, OSError)):
                await grant.login(replication="true")
            assert isinstance(await grant.end(), EndProof)


async def test_access_trap_08_a_clean_up_that_waits_for_a_lock_delays_neither_block_nor_terminate(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "t08")
        session = await grant.login()
        await session.execute("create table held08 (n int)")
        admin = await as_admin(pair)
        async with admin.transaction():
            await admin.execute("lock table held08 in access exclusive mode")
            found = await grant.end(tries=1)
            assert isinstance(found, NotEnded)
            assert found.obstacle is EndObstacle.RESIDUE
            assert f"locked by process {admin.get_server_pid()}" in found.told
            assert await closed(session)
            with pytest.raises(asyncpg.PostgresError):
                await grant.login()
        assert isinstance(await grant.end(), EndProof)


async def test_access_trap_08_a_grantee_cannot_hold_the_lock_of_the_ends(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "t08b")
        session = await grant.login()
        await session.execute("begin")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.execute("lock table recovery_access.turn in row share mode")
        await session.execute("rollback; begin; select count(*) from recovery_access.turn")
        assert isinstance(await grant.end(), EndProof)


async def test_access_trap_13_inherited_rights_do_not_confuse_the_clean_up(pair: Pair) -> None:
    async with target_of(pair) as target:
        admin = await as_admin(pair)
        await admin.execute("create role inner13 nologin; create role outer13 nologin; grant inner13 to outer13")
        grant = await granted(pair, target, "t13")
        await admin.execute(f"grant outer13 to {grant.role}")
        assert isinstance(await grant.end(), EndProof)
        assert await admin.fetchval("select pg_has_role('outer13', 'inner13', 'member')")
        await admin.execute("drop role outer13; drop role inner13")


async def test_access_trap_11_16_what_another_role_granted_is_found_and_named_and_stops_nothing_else(
    pair: Pair,
) -> None:
    async with target_of(pair) as target:
        admin = await as_admin(pair)
        await admin.execute("create role giver16; grant all on accounts to giver16 with grant option")
        grant = await granted(pair, target, "t16")
        await admin.execute(f"set role giver16; grant select on accounts to {grant.role}; reset role")
        session = await grant.login()
        found = await grant.end(tries=2)
        assert isinstance(found, NotEnded)
        assert "table public.accounts granted by giver16" in found.told
        assert "set role GRANTOR; revoke" in found.way_out
        assert await closed(session)
        await admin.execute(f"set role giver16; revoke all on accounts from {grant.role}; reset role")
        assert isinstance(await grant.end(), EndProof)
        left = "select count(*) from pg_class, aclexplode(relacl) as a where a.grantee = $1::int8::oid"
        assert await admin.fetchval(left, grant.armed.oid) == 0
        await admin.execute("drop owned by giver16; drop role giver16")


async def test_access_trap_17_what_the_accounts_lack_to_end_it_is_told_before(pair: Pair) -> None:
    async with target_of(pair) as target:
        admin = await as_admin(pair)
        assert (await target.seen([], deadline=4)).unable == ""
        grant = await granted(pair, target, "t17")
        await admin.execute("revoke pg_signal_backend from recovery_owner; alter role recovery_owner nocreaterole")
        assert "pg_signal_backend" in (await target.seen([], deadline=4)).unable
        assert "CREATEROLE" in (await target.seen([], deadline=4)).unable
        session = await grant.login()
        found = await grant.end(tries=2)
        assert isinstance(found, NotEnded)
        assert not await closed(session), "it is not told as ended"
        await admin.execute("grant pg_signal_backend to recovery_owner; alter role recovery_owner createrole")
        assert isinstance(await grant.end(), EndProof)


async def test_access_trap_21_29_times_are_the_targets_and_bounded_there(pair: Pair) -> None:
    async with target_of(pair) as target:
        admin = await as_admin(pair)
        for zone in ("Asia/Kathmandu", "America/St_Johns"):
            await admin.execute(f"alter role ops set timezone = '{zone}'")
            grant = await granted(pair, target, f"t21{zone[0].lower()}", seconds=300)
            now = await admin.fetchval("select extract(epoch from clock_timestamp())::float8")
            assert 295 < grant.armed.ends - now <= 300
            role = (await target.seen([], deadline=4)).role(grant.armed.oid)
            assert role is not None
            assert role.valid_until is not None
            assert 50 < role.valid_until - now <= 61, "open for a minute at a time"
            assert role.ends == pytest.approx(grant.armed.ends)
            assert isinstance(await grant.end(), EndProof)
        await admin.execute("alter role ops reset timezone")
        with pytest.raises(EffectRefused, match="14400"):
            await granted(pair, target, "t29", seconds=14_401)


async def test_access_trap_23_an_own_password_and_own_settings_keep_nobody_in(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "t23")
        session = await grant.login()
        await session.execute(f"alter role {grant.role} password 'mine'; alter role {grant.role} set role = none")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.execute(f"alter role {grant.role} valid until 'infinity'")
        grant.secret = "mine"
        other = await grant.login()
        assert isinstance(await grant.end(), EndProof)
        assert await closed(session)
        assert await closed(other)


async def test_access_trap_30_a_late_extension_revives_nothing(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "t30", seconds=60)
        first = await target.extend(grant.armed.oid, 60, effect="R-2/s", deadline=4)
        assert await target.extend(grant.armed.oid, 60, effect="R-2/s", deadline=4) == first, "one effect, once"
        await target.block(grant.armed.oid, deadline=4)
        with pytest.raises(EffectRefused, match="over"):
            await target.extend(grant.armed.oid, 60, effect="R-3/s", deadline=4)
        with pytest.raises(EffectRefused, match="not armed"):
            await target.open_login(grant.armed.oid, verifier(new_secret()), window=60, deadline=4)
        assert await target.keep_open(grant.armed.oid, window=60, deadline=4) is None
        assert isinstance(await grant.end(), EndProof)


async def test_access_trap_10_a_user_mapping_and_a_foreign_server_are_found(pair: Pair) -> None:
    async with target_of(pair) as target:
        admin = await as_admin(pair)
        await admin.execute("create foreign data wrapper far10; create server far10 foreign data wrapper far10")
        grant = await granted(pair, target, "t10")
        await admin.execute(f"grant usage on foreign server far10 to {grant.role}")
        session = await grant.login()
        await session.execute("create user mapping for current_user server far10")
        proof = await grant.end()
        assert isinstance(proof, EndProof), proof
        assert ResidueKind.MAPPING in {each.kind for each in proof.residue}
        assert await admin.fetchval("select count(*) from pg_user_mappings") == 0
        await admin.execute("drop server far10; drop foreign data wrapper far10")


async def test_access_trap_09_a_database_that_refuses_connections_is_told(pair: Pair) -> None:
    async with target_of(pair) as target:
        admin = await as_admin(pair)
        grant = await granted(pair, target, "t09")
        session = await grant.login(database="other")
        await session.execute("create table made09 (n int)")
        await admin.execute("alter database other allow_connections false")
        found = await grant.end(tries=2)
        assert isinstance(found, NotEnded)
        assert "closed-database in other" in found.told
        await admin.execute("alter database other allow_connections true")
        assert isinstance(await grant.end(), EndProof)


async def test_access_trap_24_a_standby_that_was_promoted_in_between_is_ended_too(folder: Path) -> None:
    with access_pair(folder, "15") as doomed:
        async with target_of(doomed) as target:
            grant = await granted(doomed, target, "t24", seconds=6)
            await replayed(doomed)
            assert await target.watch(grant.armed.oid, deadline=4) == {}
            there = await grant.login(doomed.standby)
            doomed.control("a", "-m", "immediate", "stop")
            doomed.psql(doomed.standby, "select pg_promote()")
            async with asyncio.timeout(12):
                while not await closed(there):
                    await asyncio.sleep(0.1)
            ending = GrantEnd(target, grant.armed.oid, grant.role)
            found = await ending.attempt()
            assert isinstance(found, NotEnded)
            assert found.obstacle is EndObstacle.UNREAD, "of the old primary nobody knows"
            assert "a" in found.told
