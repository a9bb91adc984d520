"""What users of other tools met on servers whose settings are not the usual ones; PostgreSQL 15 and 18."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.access.prepared_sql import prepare_sql, printed
from state.granting.model import Bundle, EndObstacle, EndProof, NotEnded, role_name
from state.grants.ending import GrantEnd
from tests.contract.access_pair import MAJORS, Granted, access_pair, as_admin, granted, target_of
from tests.contract.components import Pair, as_user_argv
from tests.contract.test_access_ending import closed


@pytest.fixture(scope="module", params=sorted(MAJORS))
def pair(request: pytest.FixtureRequest, folder: Path) -> Iterator[Pair]:
    with access_pair(folder, request.param) as running:
        yield running


def set_at(pair: Pair, name: str, value: str | None) -> None:
    """A setting of the primary from now on; None: as it was."""
    pair.psql(pair.primary, f"alter system reset {name}" if value is None else f"alter system set {name} = {value}")
    pair.psql(pair.primary, "select pg_reload_conf()")


async def streaming(pair: Pair) -> None:
    """The standby has found its primary again."""
    admin = await as_admin(pair)
    async with asyncio.timeout(20):
        while not await admin.fetchval("select count(*) from pg_stat_replication where state = 'streaming'"):
            await asyncio.sleep(0.1)


async def test_where_the_server_tells_no_states_the_process_that_waits_for_the_end_is_seen_and_is_one(
    pair: Pair,
) -> None:
    set_at(pair, "track_activities", "off")
    async with target_of(pair) as target:
        grant = await granted(pair, target, "s1")
        assert await target.watch(grant.armed.oid, deadline=4) == {}
        async with asyncio.timeout(3):
            while grant.armed.oid not in (await target.seen([], deadline=4)).reapers["a"]:
                await asyncio.sleep(0.1)
        assert await target.watch(grant.armed.oid, deadline=4) == {}
        admin = await as_admin(pair)
        waiting = "select count(*) from pg_stat_activity where application_name ~ '^recovery reaper'"
        assert await admin.fetchval(waiting) == 1
        assert isinstance(await grant.end(), EndProof)
    set_at(pair, "track_activities", None)


async def test_what_is_logged_for_the_consoles_account_alone_is_not_said_of_the_grantee(pair: Pair) -> None:
    pair.psql(pair.primary, "alter role ops set log_statement = 'all'")
    async with target_of(pair) as target:
        grant = await granted(pair, target, "s2")
        session = await grant.login()
        assert await session.fetchval("show log_statement") == "none"
        proof = await grant.end()
        assert isinstance(proof, EndProof)
        assert proof.logged == "unknown"
        pair.psql(pair.primary, "alter role ops reset log_statement; alter database other set log_statement = 'ddl'")
        assert (await target.seen([], deadline=4)).logged == "unknown"
        pair.psql(pair.primary, "alter database other reset log_statement")
        assert (await target.seen([], deadline=4)).logged == "none"


async def test_a_server_that_slows_down_wrong_passwords_is_not_said_to_refuse_right_ones(pair: Pair) -> None:
    conf = pair.place / "a" / "postgresql.conf"
    usual = conf.read_text()
    conf.write_text(f"{usual}\nshared_preload_libraries = 'auth_delay'\nauth_delay.milliseconds = 4500\n")
    pair.control("a", "-m", "fast", "stop")
    pair.start("a", pair.primary)
    await streaming(pair)
    async with target_of(pair) as target:
        role = role_name("s3", "ada")
        armed = await target.arm("s3", role, Bundle.MONITOR, "ada", "T", effect="s3", seconds=600, deadline=4)
        assert await target.rehearse(armed.oid, role, deadline=4) == []
        assert isinstance(await Granted(pair, target, armed, role, "").end(), EndProof)
        set_at(pair, "auth_delay.milliseconds", "8000")
        await asyncio.sleep(0.5)
        armed = await target.arm("s4", role, Bundle.MONITOR, "ada", "T", effect="s4", seconds=600, deadline=4)
        (against,) = await target.rehearse(armed.oid, role, deadline=1)
        assert against.startswith("a did not say within 3 s whether it takes a password")
        assert isinstance(await Granted(pair, target, armed, role, "").end(tries=60), EndProof)
    set_at(pair, "auth_delay.milliseconds", None)
    conf.write_text(usual)
    pair.control("a", "-m", "fast", "stop")
    pair.start("a", pair.primary)


async def test_that_another_cluster_has_nothing_of_a_grant_proves_nothing(pair: Pair) -> None:
    async with target_of(pair) as target:
        here = (await target.seen([], deadline=4)).system
        grant = await granted(pair, target, "s5")
        session = await grant.login()
        found = await GrantEnd(target, 4_000_000_001, "bg_gone", 4.0, "system 7").attempt()
        assert isinstance(found, NotEnded)
        assert found.obstacle is EndObstacle.ELSEWHERE
        assert found.told == f"a is {here} now, and this was given at system 7"
        assert await session.fetchval("select 1") == 1, "nothing is done to the grants that it has"
        ending = GrantEnd(target, 4_000_000_001, "bg_gone", 4.0, here)
        for _ in range(40):
            if isinstance(there := await ending.attempt(), EndProof):
                break
            assert there.obstacle is EndObstacle.BEHIND, "the standby has replayed what the primary has written"
            await asyncio.sleep(0.2)
        assert isinstance(there, EndProof)
        assert isinstance(await grant.end(), EndProof)


def test_what_is_printed_is_done_as_a_whole_or_not_at_all(pair: Pair) -> None:
    pair.psql(pair.primary, "create database half")
    over = "create function recovery_access.over(role_oid oid) returns int as 'select 1' language sql"
    pair.psql(pair.primary, f"create schema recovery_access; {over}", "half")
    major = 15 if "15" in str(pair.bin) else 18
    sql = printed(prepare_sql(major, act="ops", read="recovery", longest=14_400, schema_owner="app"))
    command = [pair.bin / "psql", "-h", pair.place, "-p", str(pair.primary), "-U", "postgres", "-Xqd", "half"]
    done = subprocess.run(as_user_argv(*command), input=sql, capture_output=True, text=True, check=False, timeout=60)
    assert "ERROR" in done.stderr
    there = "select proname from pg_proc where pronamespace = 'recovery_access'::regnamespace"
    told = subprocess.run(as_user_argv(*command, "-Atc", there), capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.split() == ["over"]


async def test_the_server_ends_it_though_no_standby_confirms_anything(pair: Pair) -> None:
    async with target_of(pair) as target:
        grant = await granted(pair, target, "s6", seconds=3)
        assert await target.watch(grant.armed.oid, deadline=4) == {}
        session = await grant.login()
        set_at(pair, "synchronous_standby_names", "'nobody'")
        try:
            await target.close()
            async with asyncio.timeout(9):
                while not await closed(session):
                    await asyncio.sleep(0.1)
        finally:
            set_at(pair, "synchronous_standby_names", None)
        assert isinstance(await grant.end(), EndProof)


ACCOUNT = ("transaction_timeout = '1s'", "idle_session_timeout = '1s'", "default_transaction_read_only = on")


@pytest.mark.parametrize("setting", ACCOUNT)
async def test_settings_of_the_account_that_acts_keep_no_end_from_coming(pair: Pair, setting: str) -> None:
    if setting.startswith("transaction_timeout") and "pginstall" not in str(pair.bin):
        setting = "idle_in_transaction_session_timeout = '1s'"
    pair.psql(pair.primary, f"alter role ops set {setting}")
    try:
        async with target_of(pair) as target:
            grant = await granted(pair, target, f"t{ACCOUNT.index(setting) if setting in ACCOUNT else 'x'}", seconds=5)
            assert await target.watch(grant.armed.oid, deadline=4) == {}
            session = await grant.login()
            await asyncio.sleep(2.5)
            assert grant.armed.oid in (await target.seen([], deadline=4)).reapers["a"]
            await target.close()
            async with asyncio.timeout(9):
                while not await closed(session):
                    await asyncio.sleep(0.1)
            assert isinstance(await grant.end(), EndProof)
    finally:
        pair.psql(pair.primary, f"alter role ops reset {setting.split()[0]}")
