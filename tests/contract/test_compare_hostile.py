"""Databases whose owners wish ill: names, values, settings and code of theirs, at PostgreSQL 15 and 18."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.databases.comparing.repairing import RepairFile
from adapters.databases.comparing.side import ComparedSide
from adapters.databases.comparing.work import CompareWatch
from adapters.databases.postgres import Access, PostgresNode
from adapters.secrets import Secret
from state.comparing.results import Comparison
from state.errors import ExitCode, ReadFailure
from tests.contract.compared import asked, compared, psql, side, sides
from tests.contract.components import PASSWORD, Pair

NAMES = ("hostile_one", "hostile_two")
TRAP = """
create function trap(value text) returns bool language plpgsql as $$
begin if current_user = 'reader' then raise exception 'code of the owner was run'; end if; return true; end $$;
create type mood as enum (E'b\\\\', 'c''d');
create domain d_text as text check (public.trap(value)); create domain d_list as int[] check (public.trap(value::text));
create domain d_bits as bit(3) check (public.trap(value::text)); create domain d_mood as mood check (public.trap('x'))
"""
KEYS = {"d_text": "'a'", "d_list": "'{1,2}'", "d_bits": "'101'", "d_mood": "'c''d'", "int[]": "'[0:1]={1,2}'"}
PIECES = (
    "'", '"', "\\", "\\.", "\n\\.\n", "; drop table victim; --", "$$", "$1", ":'x'", ":x", "\n\\! touch /tmp/pwned\n",
    "\r", "\t", "--", "/*", "E'", "\u202e", "\u2028", "\x1b[2J", "\x7f", "\x85", "%s", "NULL", "\\000", "\\gexec",
)  # fmt: skip
TABLE = '"ev\'il""; drop table victim; --"."t"" (select 1); $$ --\n; drop table victim;\n\\! touch /tmp/p"'
COLUMN = '"k\'""; drop table victim; -- "'


@pytest.fixture(params=["15", "18"])
def server(majors: dict[str, Pair], request: pytest.FixtureRequest) -> Iterator[Pair]:
    found = majors[request.param]
    for name in NAMES:
        psql(found, found.primary, "postgres", f"create database {name}")
    yield found
    for name in NAMES:
        psql(found, found.primary, "postgres", f"drop database {name} with (force)")


def on_both(server: Pair, sql: str, *, stdin: str = "") -> None:
    for name in NAMES:
        psql(server, server.primary, name, sql, stdin=stdin)


def both_sides(server: Pair) -> tuple[ComparedSide, ComparedSide]:
    return side(server, server.primary, NAMES[0], "a"), side(server, server.primary, NAMES[1], "b")


async def whole_of(server: Pair, watch: CompareWatch | None = None) -> Comparison:
    return await compared(*both_sides(server), asked(), watch)


async def test_settings_of_one_database_make_no_difference_and_no_failure(server: Pair) -> None:
    on_both(
        server, "create table t (id int primary key, \"user\" text, l int[]); insert into t values (1, E'\\\\', '{1}')"
    )
    for setting in (
        "standard_conforming_strings = off", "quote_all_identifiers = on", "array_nulls = off",
        "default_transaction_isolation = serializable", "transform_null_equals = on", "idle_session_timeout = '20ms'",
    ):  # fmt: skip
        psql(server, server.primary, "postgres", f"alter database {NAMES[1]} set {setting}")
    assert (await whole_of(server)).code is ExitCode.DONE


async def test_no_code_of_an_owner_is_run_and_arrays_are_keys_as_others(server: Pair) -> None:
    on_both(server, TRAP)
    for at, (kind, value) in enumerate(KEYS.items()):
        made = f"create table t{at} (k {kind} primary key, v text); insert into t{at} values ({value}, 'x');"
        made += (
            f"create table u{at} (k {kind}, n int, v text, primary key (n, k)); insert into u{at} values ({value}, 1)"
        )
        on_both(server, made)
        psql(server, server.primary, NAMES[1], f"update t{at} set v = 'y'; update u{at} set v = 'y'")
    whole = await whole_of(server)
    assert [(each.uncompared, each.differences) for each in whole.tables] == [("", 1)] * len(KEYS) * 2


async def test_a_view_in_the_place_of_a_table_runs_nothing(server: Pair) -> None:
    on_both(server, TRAP)
    on_both(server, "create table t (id int primary key, v text); create table z as select from generate_series(1, 9)")
    on_both(server, "insert into t values (1, 'x')")
    a, b = both_sides(server)
    async with sides(a, b):
        await a.fetch("select 1")
        psql(server, server.primary, NAMES[0], "drop table t; create view t as select 1 as id, trap('x')::text as v")
        with pytest.raises(Exception, match="non-system view") as refused:
            await a.fetch("select id, v from public.t")
    assert "code of the owner" not in str(refused.value)


async def test_a_script_of_hostile_names_and_values_makes_the_rows_equal_and_nothing_else(
    server: Pair, tmp_path: Path
) -> None:
    columns = f'{COLUMN} text primary key, "v:\'x\n\\! touch /tmp/p" text, b bytea, l text[]'
    schema = TABLE.partition('"."')[0] + '"'
    on_both(server, f"create table victim (id int); create schema {schema}; create table {TABLE} ({columns})")
    on_both(server, "create table loose (a text, b text); insert into victim values (1)")
    for at, database in enumerate(NAMES):
        rows, loose = [], []
        for number, piece in enumerate(PIECES):
            value = (piece * (1 + at)).encode().hex()
            text = f"convert_from('\\x{value}', 'UTF8')"
            key = f"{text} || {number}" if number % 3 else f"{number}::text"
            rows.append(f"({key}, {text}, '\\x{value}', array[{text}, null])")
            loose.append(f"({text}, null), ({text}, null)")
        sql = f"insert into {TABLE} values {', '.join(rows)}; insert into loose values {', '.join(loose)}"
        psql(server, server.primary, database, sql)
    psql(server, server.primary, "postgres", f"alter database {NAMES[1]} set standard_conforming_strings = off")
    script = tmp_path / "repair.sql"
    repair = RepairFile(script)
    whole = await whole_of(server, CompareWatch(found=repair.found))
    repair.close(whole)
    assert whole.code is ExitCode.FAILED
    written = script.read_bytes().decode().replace("\nROLLBACK;", "\nCOMMIT;")
    psql(server, server.primary, NAMES[1], "", stdin=written)
    assert (await whole_of(server)).code is ExitCode.DONE
    assert psql(server, server.primary, NAMES[1], "select count(*) from victim").strip() == "1"


async def test_a_script_does_not_say_that_nothing_differs_where_that_is_not_known(server: Pair, tmp_path: Path) -> None:
    on_both(server, "create table t (id int primary key); create table gone (id int primary key)")
    psql(server, server.primary, NAMES[1], "revoke all on gone from public; alter table gone enable row level security")
    repair = RepairFile(tmp_path / "one.sql")
    repair.close(await whole_of(server, CompareWatch(found=repair.found)))
    assert "-- no row differs" not in (tmp_path / "one.sql").read_text()
    assert "wholly compared: public.gone" in (tmp_path / "one.sql").read_text()
    broken = RepairFile(tmp_path / "two.sql")
    broken.close(None)
    assert (tmp_path / "two.sql").read_text().startswith("-- The comparison broke off")
    psql(server, server.primary, NAMES[1], "drop table gone")
    lacking = RepairFile(tmp_path / "three.sql")
    lacking.close(await whole_of(server, CompareWatch(found=lacking.found)))
    assert "Definitions differ, which is not mended here: public.gone" in (tmp_path / "three.sql").read_text()


async def test_a_schema_before_pg_catalog_does_not_answer_in_place_of_the_server(server: Pair) -> None:
    database = NAMES[0]
    psql(server, server.primary, database, f"create schema evil; {TRAP}")
    lie = "create function evil.pg_is_in_recovery() returns bool language sql as $$ select trap('x') $$"
    psql(server, server.primary, database, f"set search_path = public; {lie}; grant usage on schema evil to reader")
    psql(server, server.primary, "postgres", f"alter database {database} set search_path = evil, pg_catalog, public")
    psql(server, server.primary, "postgres", f"alter database {database} set standard_conforming_strings = off")
    node = PostgresNode("a", "127.0.0.1", server.primary, Access("reader", database, Secret(PASSWORD)))
    try:
        assert (await node.read(deadline=5)).in_recovery is False
    finally:
        await node.close()


async def test_a_standby_is_read_and_compared_though_its_account_is_serializable(server: Pair) -> None:
    psql(server, server.primary, "postgres", "alter role reader set default_transaction_isolation = serializable")
    node = PostgresNode("b", "127.0.0.1", server.standby, Access("reader", "postgres", Secret(PASSWORD)))
    other = side(server, server.standby, "postgres", "b")
    try:
        psql(server, server.primary, "postgres", "select pg_switch_wal()")
        assert (await node.read(deadline=5)).in_recovery is True
        async with sides(other):
            assert (await other.begin()).in_recovery is True
            assert [row async for row in other.stream("select 1 as one")]
    except ReadFailure as failure:
        pytest.fail(str(failure))
    finally:
        await node.close()
        psql(server, server.primary, "postgres", "alter role reader reset default_transaction_isolation")
