"""Versions of schemas as migration tools leave them, at a real primary: a version that was not reached is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.schema_version import SchemaSource
from adapters.secrets import Secret
from state.errors import ReadFailure
from state.estate.releases import SchemaEntry
from tests.contract.components import PASSWORD, Pair

GOLANG = "create table schema_migrations (version bigint not null primary key, dirty boolean not null)"
FLYWAY = (
    "create table flyway_schema_history (installed_rank int primary key, version varchar(50), success boolean not null)"
)
FLYWAY_WHOLE = """create table flyway_schema_history (
    installed_rank int primary key, version varchar(50), type varchar(20) not null, success boolean not null)"""
RAILS = "create table schema_migrations (version varchar not null primary key)"
TABLES = ("schema_migrations", "flyway_schema_history", "django_migrations", "alembic_version", "goose_db_version")
NEWEST = "select version from flyway_schema_history order by installed_rank desc limit 1"


@pytest.fixture
def asked(pair: Pair) -> Callable[..., SchemaSource]:
    """A database whose tables are made by these statements, and the source that asks it."""

    def made(query: str, *statements: str) -> SchemaSource:
        gone = [f"drop table if exists {table}" for table in TABLES]
        given = [f"grant select on {table} to recovery" for table in TABLES if any(table in s for s in statements)]
        for sql in (*gone, *statements, *given):
            pair.psql(pair.primary, sql)
        access = Access("recovery", "postgres", Secret(PASSWORD))
        servers = [PostgresNode(f"n{port}", "127.0.0.1", port, access) for port in (pair.standby, pair.primary)]
        return SchemaSource("shop", SchemaEntry(database="orders", query=query), servers)

    return made


async def version(source: SchemaSource) -> str:
    return (await source.read(deadline=20)).version


@pytest.mark.parametrize(
    "query",
    [
        "select version from schema_migrations",
        "select max(version) from public.schema_migrations",
        'select version, dirty from "public"."schema_migrations"',
        "SELECT version FROM SCHEMA_MIGRATIONS",
    ],
)
async def test_a_way_down_that_failed_leaves_the_version_that_it_was_to_reach(
    asked: Callable[..., SchemaSource], query: str
) -> None:
    """golang-migrate/migrate#330: the second migration was to be undone and was not; the table says 1, and dirty."""
    assert await version(asked(query, GOLANG, "insert into schema_migrations values (2, false)")) == "2"
    with pytest.raises(ReadFailure, match=r"a migration has not ended well: .*dirty"):
        await version(asked(query, GOLANG, "insert into schema_migrations values (1, true)"))


async def test_a_mark_that_the_query_asks_for_itself_counts(asked: Callable[..., SchemaSource]) -> None:
    for row, said in (
        ("3 as version, true as dirty", "dirty is true"),
        ("3, null::boolean as success", "success is none"),
    ):
        with pytest.raises(ReadFailure, match=f"a migration has not ended well: {said}"):
            await version(asked(f"select {row}"))
    assert await version(asked("select 3, false as dirty, true as success, 'x' as by")) == "3"


async def test_a_migration_that_failed_in_flyway_is_no_version(asked: Callable[..., SchemaSource]) -> None:
    """flyway/flyway#2444, #2567: what failed stays in the history until it is repaired."""
    rows = "insert into flyway_schema_history values (1, '1.9', true), (2, '1.10', {})"
    assert await version(asked(NEWEST, FLYWAY, rows.format("true"))) == "1.10"
    with pytest.raises(ReadFailure, match="flyway_schema_history has 1 with success false"):
        await version(asked(NEWEST, FLYWAY, rows.format("false")))


async def test_the_largest_text_is_not_the_newest_version(asked: Callable[..., SchemaSource]) -> None:
    """kadai-io/kadai#954, mojolicious/mojo-pg#5: with 9 and 10, max() of a varchar is 9."""
    rows = "insert into schema_migrations values ('9'), ('10')"
    with pytest.raises(ReadFailure, match="max\\(\\) takes 9 for more than 10"):
        await version(asked("select max(version) from schema_migrations", RAILS, rows))
    assert await version(asked("select max(version::bigint) from schema_migrations", RAILS, rows)) == "10"
    dated = "insert into schema_migrations values ('20260101120000'), ('20261127093000')"
    assert await version(asked("select max(version) from schema_migrations", RAILS, dated)) == "20261127093000"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select version_num from (values ('1a2b'), ('3c4d')) as alembic_version(version_num)", "2 rows"),
        ("select version_num from (values ('1975ea83b712')) as alembic_version(version_num)", "no version of a schema"),
        ("select 1 where false", "0 rows"),
        ("select null::bigint", "1 row, not one"),
    ],
)
async def test_two_heads_hashes_and_nothing_are_no_version(
    asked: Callable[..., SchemaSource], query: str, said: str
) -> None:
    """sqlalchemy/alembic#765, #660: two heads are no version, and hashes have no order."""
    with pytest.raises(ReadFailure, match=said):
        await version(asked(query))


DOCS = Path(__file__).parents[2] / "docs/releases.md"
QUERIES = dict(
    re.findall(r"^\| (\w[\w-]*)[^|\n]{0,60} \| `(select [^`\n]{1,400})` \|$", DOCS.read_text(), re.MULTILINE)
)
TOOLS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "golang-migrate": {"12": (GOLANG, "insert into schema_migrations values (12, false)")},
    "Rails": {"10": (RAILS, "insert into schema_migrations values ('9'), ('10')")},
    "Django": {
        "12": (
            "create table django_migrations (id serial, app varchar, name varchar)",
            "insert into django_migrations (app, name) values ('shop', '0009_a'), ('shop', '0012_b'), ('x', '0099_c')",
        )
    },
    "Alembic": {
        "12": ("create table alembic_version (version_num varchar(32))", "insert into alembic_version values ('0012')")
    },
    # pressly/goose writes a row for each way, and a way back is a later row of the same version
    "goose": {
        "2": (
            "create table goose_db_version (id serial, version_id bigint, is_applied boolean)",
            "insert into goose_db_version (version_id, is_applied) values (1, true), (2, true), (3, true), (3, false)",
        )
    },
    # flyway/flyway#1457: applied out of order; #3480, #2288: what was undone stays in the history
    "Flyway": {
        "1.10": (
            FLYWAY_WHOLE,
            "insert into flyway_schema_history values (1, null, 'SCHEMA', true), (2, '1.9', 'SQL', true), "
            "(3, '1.10', 'SQL', true), (4, '1.8', 'SQL', true), (5, '1.11', 'SQL', true), "
            "(6, '1.11', 'UNDO_SQL', true)",
        ),
        "1.11": (
            FLYWAY_WHOLE,
            "insert into flyway_schema_history values (1, '1.9', 'SQL', true), (2, '1.11', 'SQL', true), "
            "(3, '1.11', 'UNDO_SQL', true), (4, '1.11', 'SQL', true), (5, '1.10', 'SQL', true)",
        ),
    },
}


def test_each_documented_query_is_run() -> None:
    assert set(QUERIES) == set(TOOLS)


@pytest.mark.parametrize(("tool", "wanted"), [(tool, wanted) for tool, found in TOOLS.items() for wanted in found])
async def test_what_the_documents_ask_of_each_tool(asked: Callable[..., SchemaSource], tool: str, wanted: str) -> None:
    assert await version(asked(QUERIES[tool], *TOOLS[tool][wanted])) == wanted
