"""How a grantee might stay: locks on its own role, rights passed on, a split cluster. PostgreSQL 15 and 18."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from state.granting.model import Bundle, EndObstacle, EndProof, NotEnded, role_name
from tests.contract.access_pair import MAJORS, OPENED, Granted, access_pair, as_admin, granted, target_of
from tests.contract.components import Pair
from tests.contract.test_access_ending import closed, replayed


@pytest.fixture(scope="module", params=sorted(MAJORS))
def pair(request: pytest.FixtureRequest, folder: Path) -> Iterator[Pair]:
    with access_pair(folder, request.param) as running:
        yield running


async def test_an_open_change_of_its_own_role_does_not_stop_the_reaper(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "e1", seconds=3)
        assert await target.watch(grant.armed.oid, deadline=4) == {}
        session = await grant.login()
        await session.execute(f"begin; alter role {grant.role} password 'mine'")
        await target.close()
        async with asyncio.timeout(9):
            while not await closed(session):
                await asyncio.sleep(0.1)
        seen = await target.seen([], deadline=4)
        async with asyncio.timeout(5):
            while (role := seen.role(grant.armed.oid)) is not None and role.can_login:
                await asyncio.sleep(0.1)
                seen = await target.seen([], deadline=4)
        assert isinstance(await grant.end(), EndProof)


async def test_an_open_change_of_its_own_role_does_not_stop_an_early_end(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "e2")
        session = await grant.login()
        await session.execute(f"begin; alter role {grant.role} password 'mine'")
        assert isinstance(await grant.end(), EndProof)
        assert await closed(session)


async def test_a_prepared_change_of_its_own_role_is_named_and_lets_nobody_stay(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "e3", seconds=4)
        session = await grant.login()
        await session.execute(f"begin; alter role {grant.role} password 'mine'; prepare transaction 'keep e3'")
        await asyncio.sleep(4)
        found = await grant.end(tries=2)
        assert isinstance(found, NotEnded)
        assert found.obstacle is EndObstacle.RESIDUE
        assert "keep e3" in found.told
        assert "rollback prepared" in found.way_out
        assert await closed(session)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await grant.login()
        admin = await as_admin(pair)
        await admin.execute("rollback prepared 'keep e3'")
        assert isinstance(await grant.end(), EndProof)


async def test_access_trap_12_who_was_made_a_member_of_a_grantee_goes_with_it(pair: Pair) -> None:
    admin = await as_admin(pair)
    await admin.execute("create role friend12 login password 'x'; create role friend12b login password 'x'")
    async with target_of(pair) as target:
        grant = await granted(pair, target, "e4", Bundle.SCHEMA_FIX)
        session = await grant.login()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):  # nobody passes the own role on, from 15
            await session.execute(f"grant {grant.role} to friend12")
        await admin.execute(f"grant {grant.role} to friend12 with admin option")
        await replayed(pair)
        friends = []
        for n, port in enumerate((pair.primary, pair.standby)):
            friend = await asyncpg.connect(
                host="127.0.0.1", port=port, user="friend12", password="x", database="postgres", timeout=5
            )
            OPENED.append(friend)
            await friend.execute("set role app")
            if n == 0:
                await friend.execute(f"reset role; grant {grant.role} to friend12b; set role app")
            friends.append(friend)
        assert await friends[0].fetchval("select count(*) from accounts") is not None
        proof = await grant.end()
        assert isinstance(proof, EndProof), proof
        assert all([await closed(each) for each in friends])
        again = await asyncpg.connect(
            host="127.0.0.1", port=pair.primary, user="friend12", password="x", database="postgres", timeout=5
        )
        OPENED.append(again)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await again.execute("set role app")
        assert any("friend12" in each.thing for each in proof.residue), "what it passed on is in the proof"
        assert await admin.fetchval("select count(*) from pg_auth_members where member = 'friend12'::regrole") == 0


async def test_access_trap_19_20_a_rule_that_asks_for_no_password_is_found_by_a_real_login(pair: Pair) -> None:
    hba = pair.place / "a" / "pg_hba.conf"
    rules = hba.read_text()
    async with target_of(pair) as target:
        role, before = role_name("e19", "ada"), await as_admin(pair)
        armed = await target.arm("e19", role, Bundle.MONITOR, "ada", "T", effect="e19", seconds=600, deadline=4)
        assert await target.rehearse(armed.oid, role, deadline=4) == []
        assert not await before.fetchval("select rolcanlogin from pg_roles where rolname = $1", role)
        for rule, told in (("trust", "a lets this role in"), ("reject", "a lets this role in")):
            hba.write_text(f"host all {role} 127.0.0.1/32 {rule}\n" + rules)
            await before.execute("select pg_reload_conf()")
            async with asyncio.timeout(5):
                while not (found := await target.rehearse(armed.oid, role, deadline=4)):
                    await asyncio.sleep(0.05)
            assert [each for each in found if told in each], found
        hba.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n" + rules)
        await before.execute("select pg_reload_conf()")
        async with asyncio.timeout(5):
            while await target.rehearse(armed.oid, role, deadline=4):
                await asyncio.sleep(0.05)
        hba.write_text(rules)
        await before.execute("select pg_reload_conf()")
        ending = Granted(pair, target, armed, role, "")
        assert isinstance(await ending.end(), EndProof)


async def test_access_trap_22_the_proof_says_what_the_log_has_and_no_secret_is_in_it(pair: Pair) -> None:
    admin = await as_admin(pair)
    await admin.execute("alter system set log_statement = 'all'")
    await admin.execute("select pg_reload_conf()")
    async with target_of(pair) as target:
        async with asyncio.timeout(5):
            while (await target.seen([], deadline=4)).logged != "all":
                await asyncio.sleep(0.05)
        grant = await granted(pair, target, "e22")
        session = await grant.login()
        await session.execute("select 'told 22'; do $b$ begin execute 'select 1 as hidden' || '_22'; end $b$")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.execute("set log_statement = 'none'")
        proof = await grant.end()
        assert isinstance(proof, EndProof)
        assert proof.logged == "all"
        log = (pair.place / "a.log").read_text()
        assert "told 22" in log
        assert "hidden_22" not in log, "a statement inside a block is not there"
        assert grant.secret not in log
    pair.psql(pair.primary, "alter system reset log_statement")
    pair.psql(pair.primary, "select pg_reload_conf()")


async def test_accounts_are_told_that_become_powerful_by_others(pair: Pair) -> None:
    pair.psql(pair.primary, "create role \"Ünï \"\"x\" login; create role far2 superuser nologin; "
              "create role between nologin; "
              "grant far2 to between; grant between to \"Ünï \"\"x\"; create role plain login")  # fmt: skip
    async with target_of(pair) as target:
        roles = {each.role: each for each in (await target.seen([], deadline=4)).roles}
        assert roles['Ünï "x'].superuser
        assert roles['Ünï "x'].rights == "between, far2"
        assert "plain" not in roles
    pair.psql(pair.primary, 'drop role "Ünï ""x", between, far2, plain')
