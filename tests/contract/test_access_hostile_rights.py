"""What a grantee, or whoever owns a database, may try with rights that look small. PostgreSQL 15 and 18."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from adapters.access.prepared_sql import prepare_sql
from state.errors import EffectRefused
from state.granting.model import Bundle, EndObstacle, EndProof, NotEnded, ResidueKind
from tests.contract.access_pair import ACTING, MAJORS, OPENED, access_pair, as_admin, granted, target_of
from tests.contract.components import PASSWORD, Pair
from tests.contract.test_access_ending import closed


@pytest.fixture(scope="module", params=sorted(MAJORS))
def pair(request: pytest.FixtureRequest, folder: Path) -> Iterator[Pair]:
    with access_pair(folder, request.param) as running:
        yield running


@pytest.fixture(autouse=True)
async def no_session_stays() -> AsyncIterator[None]:
    yield
    for each in OPENED:
        each.terminate()
    OPENED.clear()


@pytest.mark.parametrize(
    "rights",
    [
        *("grant chief to app", "grant pg_signal_backend to app", "grant pg_execute_server_program to app"),
        *("alter role app createrole", "grant pg_maintain to app", "grant ops to app", "grant recovery_owner to app"),
        "alter role app replication",
    ],
)
async def test_an_owner_of_schemas_that_could_end_what_ends_it_is_given_to_nobody(pair: Pair, rights: str) -> None:
    admin = await as_admin(pair)
    major = await admin.fetchval("select current_setting('server_version_num')::int") // 10_000
    await admin.execute("do $$ begin create role chief superuser nologin; exception when others then null; end $$")
    if "pg_maintain" in rights and major < 17:
        rights = "grant pg_write_server_files to app"
    if "recovery_owner" in rights and major >= 16:  # there it is a member of app, to be able to end it
        rights = "alter role app superuser"
    undo = rights.replace("grant", "revoke").replace(" to ", " from ")
    for attribute in ("createrole", "replication", "superuser"):
        undo = undo.replace(f"app {attribute}", f"app no{attribute}")
    async with target_of(pair) as target:
        await admin.execute(rights)
        try:
            with pytest.raises(EffectRefused, match="schema-fix would give"):
                await granted(pair, target, "r1", Bundle.SCHEMA_FIX)
        finally:
            await admin.execute(undo)
        assert await admin.fetchval("select count(*) from pg_roles where rolname ~ '^bg_r1'") == 0
        assert isinstance(await (await granted(pair, target, "r2", Bundle.SCHEMA_FIX)).end(), EndProof)


async def test_what_it_prepared_as_another_role_is_found(pair: Pair) -> None:
    admin = await as_admin(pair)
    await admin.execute("begin; insert into accounts values (1); prepare transaction 'older'")
    async with target_of(pair) as target:
        grant = await granted(pair, target, "p1", Bundle.SCHEMA_FIX)
        session = await grant.login()
        await session.execute("set role app; begin; insert into accounts values (2); prepare transaction 'as app'")
        found = await grant.end(tries=3)
        assert isinstance(found, NotEnded), found
        assert found.obstacle is EndObstacle.RESIDUE
        assert "as app" in found.told
        assert "older" not in found.told
        assert await closed(session)
        admin = await as_admin(pair)
        await admin.execute("rollback prepared 'as app'")
        proof = await grant.end()
        assert isinstance(proof, EndProof), proof
    await (await as_admin(pair)).execute("rollback prepared 'older'")


async def test_a_change_of_its_own_role_that_is_prepared_as_another_one_is_named(pair: Pair) -> None:
    admin = await as_admin(pair)
    async with target_of(pair) as target:
        grant = await granted(pair, target, "p2", Bundle.SCHEMA_FIX, seconds=60)
        session = await grant.login()
        await session.execute(
            f"begin; alter role {grant.role} password 'mine'; set local role app; prepare transaction 'keep p2'"
        )
        found = await grant.end(tries=2)
        assert isinstance(found, NotEnded)
        assert "keep p2" in found.told, found
        assert "rollback prepared" in found.way_out
        await admin.execute("rollback prepared 'keep p2'")
        assert isinstance(await grant.end(), EndProof)


async def test_routines_it_left_as_the_owner_of_the_schema_are_in_the_proof(pair: Pair) -> None:
    admin = await as_admin(pair)
    body = "returns int security definer language sql as 'select 1'"
    await admin.execute(f"set role app; create function was_there() {body}; reset role")
    async with target_of(pair) as target:
        grant = await granted(pair, target, "d1", Bundle.SCHEMA_FIX)
        session = await grant.login()
        await session.execute(f"set role app; create function back_door() {body}")
        proof = await grant.end()
        assert isinstance(proof, EndProof), proof
        definers = [each.thing for each in proof.residue if each.kind is ResidueKind.DEFINER]
        assert [each for each in definers if "back_door" in each]
        assert not [each for each in definers if "was_there" in each]
    await (await as_admin(pair)).execute("drop function back_door(); drop function was_there()")


async def test_a_session_that_has_not_said_whose_it_is_is_not_ended_by_a_grantee(pair: Pair) -> None:
    admin = await as_admin(pair)
    async with target_of(pair) as target:
        grant = await granted(pair, target, "s1", Bundle.TERMINATE)
        session = await grant.login()
        slow = asyncio.create_task(
            asyncpg.connect(host="127.0.0.1", port=pair.primary, user="ops", password=PASSWORD, database="postgres",
                            server_settings={"post_auth_delay": "3", "application_name": "recovery"})
        )  # fmt: skip
        async with asyncio.timeout(5):
            while not (starting := await admin.fetch("select * from recovery_access.unaccounted()")):
                await asyncio.sleep(0.05)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.fetchval("select recovery_access.end_session($1)", starting[0][0])
        ours = await slow
        assert await ours.fetchval("select 1") == 1
        ours.terminate()
        assert isinstance(await grant.end(), EndProof)


async def test_times_are_right_whatever_style_the_account_has(pair: Pair) -> None:
    admin = await as_admin(pair)
    async with target_of(pair) as target:
        for style in ("SQL, DMY", "German", "Postgres, MDY"):
            await admin.execute(
                f"alter role ops set datestyle = '{style}'; alter role ops set timezone = 'Asia/Kolkata'"
            )
            grant = await granted(pair, target, f"z{style[0].lower()}", seconds=300)
            until = await admin.fetchval(
                "select extract(epoch from rolvaliduntil - clock_timestamp())::float8 from pg_roles where rolname = $1",
                grant.role,
            )
            assert 30 < until <= 61, style
            assert isinstance(await grant.end(), EndProof)
        await admin.execute("alter role ops reset datestyle; alter role ops reset timezone")


EVIL_SCHEMA = """
create schema recovery_access;
create function recovery_access.clear(o oid) returns void language plpgsql as
  $f$ begin execute format('alter role %I password ''taken''', current_user); end $f$;
create function recovery_access.residue(o oid, n text)
  returns table (kind text, database text, thing text, dangerous boolean) language sql as
  $f$ select 'owned', 'theirs', 'one thing', true $f$;
"""


async def test_functions_that_somebody_else_put_into_a_database_are_not_called(pair: Pair) -> None:
    admin = await as_admin(pair)
    await admin.execute("create database theirs owner app")
    inside = await as_admin(pair, "theirs")
    await inside.execute(f"set role app; {EVIL_SCHEMA} grant usage, create on schema recovery_access to public")
    before = await admin.fetchval("select rolpassword from pg_authid where rolname = 'ops'")
    async with target_of(pair) as target:
        grant = await granted(pair, target, "f1", Bundle.SCHEMA_FIX)
        session = await grant.login(database="theirs")
        await session.execute("create table recovery_access.mine (n int)")
        found = await grant.end(tries=3)
        assert await admin.fetchval("select rolpassword from pg_authid where rolname = 'ops'") == before
        assert isinstance(found, NotEnded)
        assert "theirs" in found.told, found
        assert await closed(session)
        for each in OPENED:
            each.terminate()
        await asyncio.sleep(0.3)
        admin = await as_admin(pair)
        await admin.execute("drop database theirs")
        assert isinstance(await grant.end(), EndProof)


HIDDEN_OPERATORS = """
set role app;
create schema evil;
create function evil.no(name, text) returns bool language plpgsql as
  $f$ begin execute format('alter role app superuser'); return true; exception when others then return true; end $f$;
create operator evil.!~ (leftarg = name, rightarg = text, function = evil.no);
create operator evil.~ (leftarg = name, rightarg = text, function = evil.no);
create function evil.eq(name, name) returns bool language plpgsql as
  $f$ begin execute format('alter role app superuser'); return true; exception when others then return true; end $f$;
create operator evil.= (leftarg = name, rightarg = name, function = evil.eq);
reset role;
"""


async def test_whoever_owns_a_database_gains_nothing_from_its_preparation(pair: Pair) -> None:
    major = int((pair.place / "a" / "PG_VERSION").read_text())
    admin = await as_admin(pair)
    await admin.execute("create database trap owner app")
    inside = await as_admin(pair, "trap")
    await inside.execute(HIDDEN_OPERATORS)
    await admin.execute("set role app; alter database trap set search_path = evil, pg_catalog; reset role")
    for word in ("superuser", "plain"):
        sql = prepare_sql(major, act="ops", read="recovery", longest=600, superuser=word == "superuser")
        inside = await as_admin(pair, "trap")
        await inside.execute(sql)
        assert not await admin.fetchval("select rolsuper from pg_roles where rolname = 'app'")
    for each in OPENED:
        each.terminate()
    await asyncio.sleep(0.3)
    admin = await as_admin(pair)
    await admin.execute("drop database trap")


async def test_a_schema_of_somebody_else_is_not_prepared(pair: Pair) -> None:
    major = int((pair.place / "a" / "PG_VERSION").read_text())
    admin = await as_admin(pair)
    await admin.execute("create database theirs2 owner app")
    await (await as_admin(pair, "theirs2")).execute("set role app; create schema recovery_access")
    inside = await as_admin(pair, "theirs2")
    with pytest.raises(asyncpg.PostgresError, match="recovery_access"):
        await inside.execute(prepare_sql(major, act="ops", read="recovery", longest=600))
    assert await (await as_admin(pair, "theirs2")).fetchval("select count(*) from pg_proc where proname = 'clear'") == 0
    for each in OPENED:
        each.terminate()
    await asyncio.sleep(0.3)
    await (await as_admin(pair)).execute("drop database theirs2")


async def test_jobs_of_somebody_elses_schema_run_nothing_as_a_superuser(pair: Pair) -> None:
    major = int((pair.place / "a" / "PG_VERSION").read_text())
    admin = await as_admin(pair)
    await admin.execute("create database jobs owner app")
    inside = await as_admin(pair, "jobs")
    await inside.execute(prepare_sql(major, act="ops", read="recovery", longest=600, superuser=True))
    await inside.execute(
        "set role app; create schema cron; create function cron.evil() returns int language plpgsql as "
        "$f$ begin alter role app superuser; return 1; exception when others then return 2; end $f$;"
        "create view cron.job as select 1 as jobid, cron.evil() as n; reset role"
    )
    ops = await asyncpg.connect(host="127.0.0.1", port=pair.primary, user="ops", password=PASSWORD, database="jobs")
    OPENED.append(ops)
    await ops.fetch("select * from recovery_access.private_database()")
    assert not await admin.fetchval("select rolsuper from pg_roles where rolname = 'app'")
    for each in OPENED:
        each.terminate()
    await asyncio.sleep(0.3)
    await (await as_admin(pair)).execute("drop database jobs")


async def test_settings_of_a_database_do_not_keep_an_end_away(pair: Pair) -> None:
    admin = await as_admin(pair)
    await admin.execute("create role keeper nologin; alter database postgres owner to keeper")
    await admin.execute("set role keeper")
    for setting in ("statement_timeout = '1ms'", "lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '1ms'",
                    "default_transaction_read_only = on", "datestyle = 'German'", "search_path = evil",
                    "quote_all_identifiers = on"):  # fmt: skip
        await admin.execute(f"alter database postgres set {setting}")
    await admin.execute("reset role")
    assert ACTING.user == "ops"
    try:
        async with target_of(pair) as target:
            grant = await granted(pair, target, "k1", seconds=300)
            assert await target.watch(grant.armed.oid, deadline=4) == {}
            seen = await target.seen([grant.armed.oid], deadline=4)
            assert grant.armed.oid in seen.reapers["a"]
            assert isinstance(await grant.end(), EndProof)
    finally:
        admin = await as_admin(pair)
        await admin.execute("set default_transaction_read_only = off")
        await admin.execute("alter database postgres reset all; alter database postgres owner to postgres")


async def test_who_began_to_prove_a_password_before_the_end_is_not_let_in_after_it(pair: Pair) -> None:
    """The last word of the exchange comes after the login was closed, and the role dropped."""
    go_on, held = asyncio.Event(), asyncio.Event()

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", pair.primary)

        async def answers() -> None:
            while data := await there.read(65_536):
                writer.write(data)
            writer.close()

        task, pieces = asyncio.create_task(answers()), 0
        while data := await reader.read(65_536):
            pieces += 1
            if pieces == 3:  # startup, the first and the last word of the client
                held.set()
                await go_on.wait()
            back.write(data)
        back.close()
        await task

    server = await asyncio.start_server(between, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with target_of(pair) as target:
            grant = await granted(pair, target, "w1")
            slow = asyncio.create_task(
                asyncpg.connect(host="127.0.0.1", port=port, user=grant.role, password=grant.secret,
                                database="postgres", ssl=False, timeout=20)
            )  # fmt: skip
            async with asyncio.timeout(5):
                await held.wait()
            await target.block(grant.armed.oid, deadline=4)
            go_on.set()
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await slow
            assert isinstance(await grant.end(), EndProof)
    finally:
        server.close()
