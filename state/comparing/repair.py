"""A script that makes the rows of B those of A. It is written to be read, and run by a person or never."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from state.comparing.hashing import Dialect, as_text, is_null
from state.comparing.narrowing import Key
from state.comparing.results import Apart, Comparison, RowApart, SideFacts
from state.comparing.shapes import Common, TableColumn, quoted, quoted_all
from state.text import clean

LARGEST = 1 << 20
"""Bytes of a row that are written; a larger one is named, for it would need as much memory here."""
Literals = Mapping[Key, Sequence[str] | None]
"""By key: each column of a row as SQL; None for a row that is too large."""


def head(a: SideFacts, b: SideFacts) -> list[str]:
    """The beginning: what it is, and settings with which the values mean the same."""
    standby = ["-- B is a standby, which takes no writes: this is for the day on which it is promoted."]
    return [
        f"-- Makes the rows of B those of A. A: {_comment(a.name)}, database {_comment(a.database)}.",
        f"-- B: {_comment(b.name)}, database {_comment(b.database)}.",
        "-- Nobody has run this. Read it, decide which side is right, and write COMMIT in its last line.",
        "-- Triggers, foreign keys and other unique keys of B may refuse single statements.",
        *(standby if b.in_recovery else []),
        "BEGIN;",
        "SET LOCAL client_encoding = 'UTF8';",
        "SET LOCAL standard_conforming_strings = on;",
        "SET LOCAL search_path = pg_catalog;",
        "SET LOCAL timezone = 'UTC';",
        "SET LOCAL datestyle = 'ISO, YMD';",
        "SET LOCAL intervalstyle = 'postgres';",
        "SET LOCAL lc_monetary = 'C';",
        "SET LOCAL extra_float_digits = 1;",
        "SET LOCAL bytea_output = 'hex';",
    ]


NAMED = 20
"""So many tables are named in a comment."""


def tail(whole: Comparison | None, begun: bool) -> list[str]:
    """The end: what is not in the script, and what it ends with. `whole` is None for a comparison that broke off, of
    which nothing is known but what was written."""
    lines: list[str] = []
    if whole is None:
        lines.append(
            "-- The comparison broke off: rows that differ may be missing here, also of tables that are in it."
        )
    else:
        lines += _lacks("Not or not wholly compared", [t.name for t in whole.tables if t.uncompared or t.open_rows])
        lines += _lacks("Definitions differ, which is not mended here", [t.name for t in whole.tables if t.definitions])
        lines += [] if begun or lines or not whole.tables else ["-- no row differs"]
        lines += [] if whole.tables else ["-- no table was compared"]
    return [*lines, "ROLLBACK;  -- write COMMIT here when you have read it"] if begun else lines


def _lacks(why: str, names: Sequence[str]) -> list[str]:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return [f"-- {why}: {', '.join(map(_comment, names[:NAMED]))}{more}."] if names else []


IN_ORDER = (Apart.ONLY_B, Apart.CHANGED, Apart.ONLY_A)
"""First what is too much goes, then come changes, then what is missing: else a row would meet the one it replaces."""


def statements(common: Common, rows: Sequence[RowApart], of_a: Literals, of_b: Literals) -> list[str]:
    """What to do for some rows. `of_a` has the values of A; without a key `of_b` has those of B, by which rows are
    found that are too many."""
    lines: list[str] = []
    for row in rows:
        source = of_b if row.how is Apart.ONLY_B and not common.key else of_a
        key = row.key if common.key else row.key[:1]
        values = source.get(key)
        if row.how is Apart.ONLY_B and common.key:
            lines.append(f"DELETE FROM {_table(common)} WHERE {_by_key(common, row.key)};")  # noqa: S608
        elif values is None:
            lines.append(f"-- not written, too large or gone: {_comment(row.how)} {_comment(' '.join(row.key))}")
        elif row.how is Apart.ONLY_B:
            lines.append(_delete_equal(common, values, row.count_b - row.count_a))
        elif row.how is Apart.CHANGED:
            lines.append(_update(common, row, values))
        else:
            lines += [_insert(common, values)] * (1 if common.key else row.count_a - row.count_b)
    return lines


def _update(common: Common, row: RowApart, values: Sequence[str]) -> str:
    by_name = {column.name: value for column, value in zip(common.columns, values, strict=True)}
    written = [each for each in common.columns if each.name in row.columns and not each.generated]
    if not written:
        return f"-- only generated columns differ: {_comment(' '.join(row.key))}"
    sets = ", ".join(f"{quoted(each.name)} = {by_name[each.name]}" for each in written)
    return f"UPDATE {_table(common)} SET {sets} WHERE {_by_key(common, row.key)};"  # noqa: S608


def _insert(common: Common, values: Sequence[str]) -> str:
    written = [(each.name, value) for each, value in zip(common.columns, values, strict=True) if not each.generated]
    names, literals = quoted_all([name for name, _ in written]), ", ".join(value for _, value in written)
    return f"INSERT INTO {_table(common)} ({names}) OVERRIDING SYSTEM VALUE VALUES ({literals});"  # noqa: S608


def _delete_equal(common: Common, values: Sequence[str], number: int) -> str:
    same = " AND ".join(_same(column, value) for column, value in zip(common.columns, values, strict=True)) or "true"
    found = f"SELECT tableoid, ctid FROM {_table(common)} WHERE {same} LIMIT {number}"  # noqa: S608
    return f"DELETE FROM {_table(common)} WHERE (tableoid, ctid) IN ({found});"  # noqa: S608


def _same(column: TableColumn, value: str) -> str:
    return is_null(column) if value == "NULL" else f"{as_text(column, Dialect())} = {value}"


def _by_key(common: Common, key: Key) -> str:
    return " AND ".join(
        f"{quoted(column.name)} = {literal(text)}::{column.type_name}"
        for column, text in zip(common.key_columns, key, strict=True)
    )


def _table(common: Common) -> str:
    return f"{quoted(common.b.schema)}.{quoted(common.b.name)}"


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _comment(text: str) -> str:
    """Text in a comment: on one line."""
    return clean(text, 400)
