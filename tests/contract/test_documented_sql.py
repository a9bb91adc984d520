"""The SQL of the documents, as it stands there, at a real server: nothing that it needs is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.statements import OwnStatement
from adapters.secrets import Secret
from tests.contract.components import PASSWORD, Pair
from tests.support.cookbook import COOKBOOK, ESTATE, write_all

DOCS = COOKBOOK.parent
SQL = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = "create table flags (name text primary key, enabled boolean not null); insert into flags values ('fast', true)"


def blocks_of(file: Path) -> list[str]:
    return [text.replace("'…'", f"'{PASSWORD}'") for text in SQL.findall(file.read_text(encoding="utf-8"))]


def others() -> Iterator[tuple[str, str]]:
    for file in sorted([*DOCS.glob("*.md"), *DOCS.glob("products/*.md")]):
        if file != COOKBOOK:
            yield from ((f"{file.stem}-{place}", text) for place, text in enumerate(blocks_of(file)))


OTHERS = dict(others())


@pytest.mark.parametrize("name", OTHERS)
def test_it_runs_on_a_fresh_server(pair: Pair, name: str) -> None:
    """With the tables and roles of the suite out of its way; everything is taken back."""
    away = "alter role recovery rename to recovery_before; create schema fresh; set local search_path = fresh"
    made = "" if "CREATE ROLE recovery " in OTHERS[name] else "create role recovery;"
    pair.psql(pair.primary, f"begin; {away}; {made} {OTHERS[name]}; rollback")


def test_there_is_such_sql() -> None:
    assert {"security-0", "postgresql-0", "postgresql-1", "estate-0"} <= set(OTHERS)


@pytest.fixture
def shop(pair: Pair) -> Iterator[Pair]:
    """A database where the cookbook's SQL was run beside a table of features."""
    pair.psql(pair.primary, "create database shop")
    (text,) = blocks_of(COOKBOOK)
    pair.psql(pair.primary, f"{FLAGS}; {text}", database="shop")
    yield pair
    pair.psql(pair.primary, "drop database shop with (force)")
    pair.psql(pair.primary, "drop role recovery_ops")


async def test_the_cookbooks_account_does_what_its_recipe_says(shop: Pair, tmp_path: Path) -> None:
    write_all(tmp_path)
    calls = YAML(typ="safe", pure=True).load(tmp_path / "shop" / ESTATE)["sql_calls"]
    access = Access("recovery_ops", "shop", Secret(PASSWORD))
    node = [PostgresNode("n1", "127.0.0.1", shop.primary, access)]
    for effect, (name, call) in enumerate(calls.items()):
        assert (call["dbname"], call["user"]) == ("shop", "recovery_ops")
        own = OwnStatement(f"sql_calls/{name}", node, access, call["record"])
        await own.prepare(call["statement"], ["fast"], deadline=60)
        await own.transact(call["statement"], ["fast"], call["rows"], effect=f"R-{effect}", deadline=60)
        assert await own.recorded(f"R-{effect}", deadline=60) is True
