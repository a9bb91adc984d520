"""A statement of one's own is one statement in the engine's transaction, whatever comments and literals hide."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from state.estate.own_statements import SqlCallEntry


def accept(statement: str, *values: Any) -> None:
    call = {"database": "shop", "user": "jobs", "statement": statement, "values": values, "record": "effects"}
    SqlCallEntry.model_validate(call)


@pytest.mark.parametrize(
    "statement",
    [
        "commit",
        "/* x */ commit",
        "/* a /* b */ c */COMMIT",
        "-- c\nend",
        "/**/\n--\n  /* x */ rollback",
        "; ;commit",
        "savepoint a",
        "/* set */ reset role",
        "start transaction",
        "abort",
    ],
)
def test_what_begins_or_ends_a_transaction_is_refused(statement: str) -> None:
    with pytest.raises(ValidationError, match="the engine begins and ends it"):
        accept(statement)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("update a set b = 1; delete from c", "PostgreSQL takes no second one"),
        ("select ';'; /* ; */ commit", "PostgreSQL takes no second one"),
        ("vacuum a", "within a transaction"),
        ("create index concurrently i on t (a)", "within a transaction"),
        ("select 'a", "a literal does not"),
        ('select "a', "a literal does not"),
        ("select $x$ a $y$", "a literal does not"),
        ("select 1 /* a /* b */", "a comment does not"),
    ],
)
def test_what_is_no_single_statement_is_refused(statement: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        accept(statement)


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("update t set a = 'price $1; /* commit' where b = $1;", ["x"]),
        ("/* $7 */ update t set a = $1 -- $8\n where b = $2;  -- end", ["x", "y"]),
        (r"update t set a = E'it\'s $3; ' where b = $1", ["x"]),
        ("update t set a = $$ $4; $$, b = $t$ $5 $$ ; $t$ where c = $1", ["x"]),
        ('update "$2;" set a$3 = $1', ["x"]),
        ("update t set a = 'it''s $2'", []),
        ("create function f() returns int language sql begin atomic select 1; select 2; end", []),
        ("do $$ begin perform 1; end $$", []),
    ],
)
def test_comments_and_literals_are_no_part_of_it(statement: str, values: list[str]) -> None:
    accept(statement, *values)


def test_places_without_values_are_named() -> None:
    with pytest.raises(ValidationError, match=r"one value for each place in the statement \(\$1, \$3\)"):
        accept("update t set a = $3 where b = $1", "x")
