"""The SQL that is sent for one table. All of it only reads; names in `pg_catalog` alone are found without a schema.

A row is told by its place in an order that both servers have: `lead`, the key where it is a whole number, else
nothing, then `tie`, a hash of the key. Without a key a row is told by its own hash, and equal rows are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from state.comparing.hashing import Dialect, as_text, is_null, row_hash
from state.comparing.narrowing import Where
from state.comparing.shapes import Common, TableColumn, TableShape, quoted

BUCKETS = 4096
MOST_ARGUMENTS = 99
"""A function of the server takes a hundred."""
SUMS = "count(*) as n, sum(h)::text as s"
APART = "offset '0'"
"""Keeps a query in brackets from being merged with the one around it: the planner takes a bucket computed from a key
for as many groups as there are keys, and then neither divides the sums among processes nor keeps them in memory. An
offset in quotes, because one of type integer keeps it from parallel plans too."""
SHOWN = 200
"""Characters of a value of a key, or of a row without a key, that are fetched to name it."""


@dataclass(frozen=True, slots=True)
class KeySpan:
    """Keys from `low` to `high`, both included; None is no bound."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class KeyGrid:
    """How keys are put into buckets: from `low`, each so many `width`."""

    low: int
    width: int

    @classmethod
    def over(cls, low: int, high: int) -> KeyGrid:
        """At most BUCKETS of them."""
        return cls(low, (high - low) // BUCKETS + 1)

    def span(self, first: int, last: int) -> KeySpan:
        """The keys of the buckets from `first` to `last`. The division of servers goes towards zero."""
        low = self.low + first * self.width
        high = self.low + last * self.width
        low -= self.width - 1 if first <= 0 else 0
        high += self.width - 1 if last >= 0 else 0
        return KeySpan(low, high)


@dataclass(frozen=True, slots=True)
class TableSql:
    """Makes the statements about one pair of tables."""

    common: Common
    dialect: Dialect

    @property
    def keyed(self) -> bool:
        """Whether rows have a key."""
        return bool(self.common.key)

    def digest(self, table: TableShape, grid: KeyGrid | None = None, span: KeySpan | None = None) -> str:
        """`bucket`, `n` rows, `s` the sum of their hashes: over ranges of the key with a grid, else over its hash."""
        where, row = "", self._row()
        if grid is not None:
            key = quoted(self.common.number_key)
            bucket = f"({key}::int8 - ({grid.low})::int8) / {grid.width}"
            where = _where(key, span)
        elif self.keyed:
            bucket = f"({self._key()}) & {BUCKETS - 1}"
        else:
            inner = f"select {row} as h from {self._source(table)} {APART}"  # noqa: S608
            return f"select h & {BUCKETS - 1} as bucket, {SUMS} from ({inner}) as rows group by 1"  # noqa: S608
        inner = f"select {bucket} as bucket, {row} as h from {self._source(table)}{where} {APART}"  # noqa: S608
        return f"select bucket, {SUMS} from ({inner}) as rows group by bucket"  # noqa: S608

    def ends(self, table: TableShape) -> str:
        """`low` and `high` of the key."""
        key = quoted(self.common.number_key)
        return f"select min({key})::int8 as low, max({key})::int8 as high from {self._source(table)}"  # noqa: S608

    def ordered(
        self, table: TableShape, buckets: Sequence[int] = (), span: KeySpan | None = None, after: Where | None = None
    ) -> str:
        """`lead`, `tie`, `k` the key as texts, `h` the hash of each row of some buckets or of a span, in order, those
        behind a place. Without a key `h` is how often a row is there: equal rows have one hash."""
        source = self._source(table)
        if span is not None:
            key = quoted(self.common.number_key)
            span = span if after is None else KeySpan(after[0] + 1, span.high)
            columns = f"{key}::int8 as lead, 0::int8 as tie, {self._texts()} as k, {self._row()} as h"
            return f"select {columns} from {source}{_where(key, span)} order by t.{key}"  # noqa: S608
        wanted = f"any('{{{','.join(map(str, buckets))}}}'::int8[])"
        if self.keyed:
            columns = f"0::int8 as lead, {self._key()} as tie, {self._texts()} as k, {self._row()} as h"
            behind = "" if after is None else f" and ({self._key()}) > ({after[1]})::int8"
            where = f"({self._key()}) & {BUCKETS - 1} = {wanted}{behind}"
            return f"select {columns} from {source} where {where} order by 2"  # noqa: S608
        inner = f"select {self._row()} as tie from {source} {APART}"  # noqa: S608
        columns = "0::int8 as lead, tie, array[tie::text] as k, count(*) as h"
        where = f"tie & {BUCKETS - 1} = {wanted}" + ("" if after is None else f" and tie > ({after[1]})::int8")
        return f"select {columns} from ({inner}) as rows where {where} group by tie order by tie"  # noqa: S608

    def rows(self, table: TableShape) -> str:
        """Of keys, given as one array of texts for each column: `k`, `h`, `v` which version of the row it is, `c` the
        hash of each other column. Without a key of hashes of rows: `h` is how often, `k` begins the row."""
        source = self._source(table)
        version = "t.tableoid::text || t.ctid::text || t.xmin::text"
        if self.keyed:
            each = [row_hash((column,), self.common.alike, self.dialect) for column in self.common.other_columns]
            columns = f"{self._texts()} as k, {self._row()} as h, {version} as v, array[{', '.join(each)}]::int8[] as c"
            return f"select {columns} from {source} where {self._wanted()}"  # noqa: S608
        texts = ", ".join(as_text(column, self.dialect) for column in self.common.columns)
        begins = f"left(concat_ws(' ', {texts}), {SHOWN})" if 0 < len(self.common.columns) < MOST_ARGUMENTS else "''"
        found = f"{self._row()} as tie, {begins} as shown, {version} as v from {source} where {self._wanted()}"
        columns = "array[tie::text, min(shown)] as k, count(*) as h, md5(string_agg(v, ' ' order by v)) as v"
        return f"select {columns}, array[]::int8[] as c from (select {found}) as rows group by tie"  # noqa: S608

    def values(self, table: TableShape, largest: int) -> str:
        """Of the same keys: `k`, `size` in bytes, and `q`, each column as SQL, nothing where a row is larger. Of equal
        rows without a key one."""
        columns = self.common.columns
        texts = [as_text(column, Dialect()) for column in columns]
        size = " + ".join(["0::int8", *(f"coalesce(octet_length({text}), 0)" for text in texts)])
        literals = ", ".join(
            f"case when {is_null(column)} then 'NULL' else quote_literal({text}) end"
            for column, text in zip(columns, texts, strict=True)
        )
        told = f"{size} as size, case when {size} <= {largest} then array[{literals}]::text[] end as q"
        source = f"{self._source(table)} where {self._wanted()}"
        if self.keyed:
            return f"select {self._texts()} as k, {told} from {source}"  # noqa: S608
        return f"select distinct on (({self._row()})) array[({self._row()})::text] as k, {told} from {source}"  # noqa: S608

    def _source(self, table: TableShape) -> str:
        only = "only " if table.kind == "r" else ""
        return f"{only}{quoted(table.schema)}.{quoted(table.name)} as t"

    def _key(self) -> str:
        """A hash of the key, by its text: it stands for the key alone."""
        return row_hash(self.common.key_columns, self.common.alike, self.dialect)

    def _row(self) -> str:
        """The hash of the whole row."""
        return row_hash(self.common.columns, self.common.alike, self.dialect)

    def _texts(self) -> str:
        return f"array[{', '.join(as_text(column, Dialect()) for column in self.common.key_columns)}]"

    def _wanted(self) -> str:
        """Rows by their keys: the index of the key is used. Without a key by their hash."""
        columns = self.common.key_columns
        if not columns:
            return f"({self._row()}) = any($1::text[]::int8[])"
        if len(columns) == 1 and not _is_array(columns[0]):  # an array of arrays is one array
            return f"{_sought(columns[0])} = any($1::text[]::{_cast(columns[0])}[])"
        names = ", ".join(map(_sought, columns))
        given = ", ".join(f"k{at}::{_cast(column)}" for at, column in enumerate(columns))
        arrays = ", ".join(f"${at + 1}::text[]" for at in range(len(columns)))
        aliases = ", ".join(f"k{at}" for at in range(len(columns)))
        return f"({names}) in (select {given} from unnest({arrays}) as wanted({aliases}))"  # noqa: S608


def _is_array(column: TableColumn) -> bool:
    return column.base.startswith("_") or column.type_name.endswith("]")


def _cast(column: TableColumn) -> str:
    """The type of a key's column. A domain's checks are code of whoever made it, and would run with the rights of the
    account that compares: its base type stands for it. A built-in type in quotes has no length of its own."""
    if not column.domain:
        return column.type_name
    return f"pg_catalog.{quoted(column.base)}" if column.base else "text"


def _sought(column: TableColumn) -> str:
    """A key's column as it is compared with a value."""
    return as_text(column, Dialect()) if column.domain and not column.base else quoted(column.name)


def _where(key: str, span: KeySpan | None) -> str:
    if span is None:
        return ""
    parts = [f"{key} >= ({span.low})::int8"] if span.low is not None else []
    parts += [f"{key} <= ({span.high})::int8"] if span.high is not None else []
    return f" where {' and '.join(parts)}" if parts else ""
