"""Comparing without a server: pairing, statements, narrowing, settling, results."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence

import pytest

from state.comparing.hashing import Dialect, row_hash
from state.comparing.narrowing import Placed, differing, rows_in, runs, unequal
from state.comparing.repair import literal, statements
from state.comparing.request import Burden, CompareProgress, DatabasePlace
from state.comparing.results import Apart, Comparison, Linked, RowApart, SideFacts, TableResult
from state.comparing.settling import RowVerdict, SettlingRound, Sighting, settle
from state.comparing.shapes import TableColumn, TableSelection, TableShape, in_common, pairs
from state.comparing.statements import BUCKETS, KeyGrid
from state.errors import ExitCode

ID = TableColumn("id", "bigint", "int8", filled=True)
V = TableColumn("v", "text", "text")
KEY = ("1",)


def table(
    name: str = "t", columns: Sequence[TableColumn] = (ID, V), keys: Sequence[Sequence[str]] = (("id",),)
) -> TableShape:
    return TableShape("public", name, tuple(columns), tuple(map(tuple, keys)), size=len(name))


def test_the_key_is_one_that_both_sides_prove_with_the_same_types() -> None:
    assert in_common(table(), table()).key == ("id",)
    assert in_common(table(), table()).number_key == "id"
    assert in_common(table(), table(keys=())).key == ()
    narrower = TableColumn("id", "integer", "int4", filled=True)
    common = in_common(table(), table(columns=(narrower, V)))
    assert (common.key, common.number_key) == ((), "")
    assert common.apart == ("column id is bigint on A and integer on B",)
    assert in_common(table(keys=[("id", "v"), ("id",)]), table()).key == ("id",)


def test_a_column_may_hold_a_null_unless_both_sides_prove_that_it_does_not() -> None:
    loose = TableColumn("id", "bigint", "int8")
    assert in_common(table(), table(columns=(loose, V), keys=())).columns[0].filled is False


def test_tables_are_chosen_by_pattern_and_a_pattern_that_fits_none_is_told() -> None:
    known = {each.full_name: each for each in (table("orders"), table("orders_log"), table("users"))}
    both, only_a, only_b = pairs(known, {}, TableSelection(("orders*",), ("*_log",)))
    assert ([each.name for each in only_a], both, only_b) == (["orders"], [], [])
    assert TableSelection(("public.ord*", "user")).unmatched(known.values()) == ["user"]


@pytest.mark.parametrize("columns", [1, 29, 30, 31, 61, 400])
def test_every_column_that_may_be_null_has_a_bit_of_its_own(columns: int) -> None:
    many = [TableColumn(f"c{at}", "integer", "int4") for at in range(columns)]
    sql = row_hash(many, {each.name for each in many}, Dialect())
    bits = [sql.count(f"then {1 << bit} else") for bit in range(30)]
    assert sum(bits) == columns
    assert sql.count(" is null") == columns
    asked = [name for part in sql.split("num_nulls(")[1:] for name in part.partition(")")[0].split(", ")]
    assert sorted(asked) == sorted(f'"c{at}"' for at in range(columns))


def test_buckets_cover_every_key_once_as_the_servers_divide() -> None:
    chance = random.Random(7)
    for _ in range(200):
        low, high = sorted(chance.randint(-(1 << 40), 1 << 40) for _ in range(2))
        grid = KeyGrid.over(low, high)
        for key in (low, high, chance.randint(low, high), low - chance.randint(0, grid.width * 3), high + 1):
            bucket = int((key - low) / grid.width) if abs(key - low) < 1 << 52 else (key - low) // grid.width
            span = grid.span(bucket, bucket)
            assert span.low is not None
            assert span.high is not None
            assert span.low <= key <= span.high
        assert (high - low) // grid.width < BUCKETS


def test_runs_of_buckets_that_differ() -> None:
    a, b = {1: (3, "9"), 2: (1, "4"), 9: (2, "1")}, {1: (3, "9"), 2: (1, "5"), 3: (7, "0")}
    assert differing(a, b) == [2, 3, 9]
    assert runs([2, 3, 9]) == [(2, 3), (9, 9)]
    assert runs([2, 3, 9, 20], 5) == [(2, 9), (20, 20)]
    assert rows_in(b, 2, 3) == 8


async def stream(rows: Sequence[Placed]) -> AsyncIterator[Placed]:
    for row in rows:
        yield row


async def test_streams_are_merged_and_each_difference_is_told_once() -> None:
    chance = random.Random(3)
    for _ in range(300):
        a = {key: chance.randint(0, 2) for key in chance.sample(range(30), chance.randint(0, 20))}
        b = {key: chance.randint(0, 2) for key in chance.sample(range(30), chance.randint(0, 20))}
        # Several keys in one place, as keys whose hashes collide would be.
        placed = [
            [Placed(0, key // 3, (str(key),), value) for key, value in sorted(side.items(), key=lambda kv: kv[0] // 3)]
            for side in (a, b)
        ]
        found = [key for _, keys in [each async for each in unequal(*map(stream, placed))] for (key,) in keys]
        assert sorted(map(int, found)) == sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))


async def test_a_key_that_is_there_twice_is_not_hidden_by_its_other_row() -> None:
    a = [Placed(1, 0, KEY, 5), Placed(1, 0, KEY, 6)]
    assert [keys async for _, keys in unequal(stream(a), stream([Placed(1, 0, KEY, 5)]))] == [[KEY]]


def saw(version: str, content: int) -> dict[tuple[str, ...], Sighting]:
    return {KEY: Sighting((content,), (version,))}


def test_a_row_is_different_only_when_neither_side_moved_between_two_rounds() -> None:
    one = SettlingRound(saw("v1", 1), saw("w1", 2), True)
    assert settle(KEY, [one], Linked.LOGICAL) is RowVerdict.OPEN
    assert settle(KEY, [one, one], Linked.LOGICAL) is RowVerdict.DIFFERENT
    assert settle(KEY, [one, SettlingRound(saw("v2", 1), saw("w1", 2), True)], Linked.LOGICAL) is RowVerdict.OPEN
    assert settle(KEY, [one, SettlingRound(saw("v1", 1), saw("w2", 2), True)], Linked.LOGICAL) is RowVerdict.OPEN
    assert settle(KEY, [one, SettlingRound(saw("v1", 1), saw("w1", 2), False)], Linked.LOGICAL) is RowVerdict.OPEN
    assert settle(KEY, [one, SettlingRound(saw("v1", 1), saw("w2", 1), False)], Linked.LOGICAL) is RowVerdict.EQUAL
    gone = SettlingRound({}, saw("w1", 2), True)
    assert settle(KEY, [gone, gone], Linked.NONE) is RowVerdict.DIFFERENT
    assert settle(KEY, [one, SettlingRound({}, {}, True)], Linked.NONE) is RowVerdict.EQUAL


def test_one_version_with_two_contents_needs_no_second_round_between_primary_and_standby() -> None:
    same = SettlingRound(saw("v1", 1), saw("v1", 2), False)
    assert settle(KEY, [same], Linked.PHYSICAL) is RowVerdict.DIFFERENT
    assert settle(KEY, [same], Linked.LOGICAL) is RowVerdict.OPEN


def test_a_row_that_changes_all_the_time_is_equal_when_the_other_side_came_to_a_state_it_had() -> None:
    followed = SettlingRound(saw("v1", 1), saw("w", 3), True, meanwhile_a=[saw("v2", 2), saw("v3", 3)])
    assert settle(KEY, [followed], Linked.PHYSICAL) is RowVerdict.EQUAL
    assert settle(KEY, [followed], Linked.NONE) is RowVerdict.OPEN
    before = SettlingRound(saw("v1", 1), saw("w", 7), True, meanwhile_b=[saw("w2", 8)])
    after = SettlingRound(saw("v8", 8), saw("w9", 9), True)
    assert settle(KEY, [before, after], Linked.PHYSICAL) is RowVerdict.EQUAL


def facts(name: str) -> SideFacts:
    return SideFacts(name, "shop", "18.0", False, "7", 1, 0.0, "UTF8")


def whole(*tables: TableResult) -> Comparison:
    return Comparison(facts("a"), facts("b"), Linked.NONE, False, 0.0, list(tables))


def test_nothing_compared_and_anything_unknown_is_no_pass() -> None:
    fine = TableResult("t", rows_a=5, rows_b=5)
    assert whole().code is ExitCode.UNKNOWN
    assert whole(fine).code is ExitCode.DONE
    assert whole(fine, TableResult("u", uncompared="locked")).code is ExitCode.UNKNOWN
    assert whole(fine, TableResult("u", open_rows=1)).code is ExitCode.UNKNOWN
    assert whole(TableResult("u", open_rows=1), TableResult("t", apart={Apart.CHANGED: 1})).code is ExitCode.FAILED
    assert whole(fine, TableResult("u", definitions=("a column",))).code is ExitCode.FAILED


def test_the_script_quotes_what_it_writes() -> None:
    common = in_common(table("o'\"x"), table("o'\"x"))
    rows = [RowApart(("7",), Apart.ONLY_B), RowApart(("8",), Apart.ONLY_A), RowApart(("9",), Apart.CHANGED, ("v",))]
    lines = statements(common, rows, {("8",): ("'8'", "'it''s'"), ("9",): ("'9'", "NULL")}, {})
    assert lines == [
        'DELETE FROM "public"."o\'""x" WHERE "id" = \'7\'::bigint;',
        'INSERT INTO "public"."o\'""x" ("id", "v") OVERRIDING SYSTEM VALUE VALUES (\'8\', \'it\'\'s\');',
        'UPDATE "public"."o\'""x" SET "v" = NULL WHERE "id" = \'9\'::bigint;',
    ]
    assert literal("a'b\n") == "'a''b\n'"
    (gone,) = statements(common, [RowApart(("8\n; drop",), Apart.ONLY_A)], {("8\n; drop",): None}, {})
    assert gone.startswith("-- ")
    assert "\n" not in gone


def test_places_are_database_node_and_perhaps_the_name_of_a_database() -> None:
    assert DatabasePlace.parse("orders/n1") == DatabasePlace("orders", "n1")
    assert DatabasePlace.parse("orders/n1/a/b") == DatabasePlace("orders", "n1", "a/b")
    for wrong in ("orders", "orders/", "/n1", "orders/n1/", ""):
        with pytest.raises(ValueError, match="is not DATABASE/NODE"):
            DatabasePlace.parse(wrong)


def test_time_left_is_told_only_when_there_is_something_to_go_by() -> None:
    assert CompareProgress("t", 0, 3, 0.0, 5.0, 0).left is None
    assert CompareProgress("t", 0, 3, 0.25, 10.0, 0).left == 30.0
    assert Burden(share=0.5).rows_at_once < Burden().rows_at_once
