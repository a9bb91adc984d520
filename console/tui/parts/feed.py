"""From rows of a view to rows of a table: only what was touched, or grew old, is built again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Generic, TypeVar

from rich.text import Text

from console.tui.store import Store
from console.tui.text import age_text, joined
from console.tui.widgets.rows import TableRow
from console.tui.widgets.table import LineTable

R = TypeVar("R")
MANY = 400
"""From so many rows on they are built when they come into sight."""
Build = Callable[[str, R], TableRow]
Sources = Callable[[R], tuple[str, ...]]


def age_mark(store: Store, sources: Collection[str]) -> Text:
    """What a value from these sources must say about its age: nothing while all are fresh."""
    age = store.oldest(sources)
    return age_text(age.seconds, age.limit, store.wall)


def aged_message(message: Text | str, old: Text) -> Text:
    """Words behind the mark of their age; far too old ones are withheld."""
    if not old.plain or old.plain.startswith("no data"):
        return old if old.plain else joined(message)
    return joined(old, message, separator="; ")


class Feed(Generic[R]):
    """Keeps one table true to one mapping of rows. Of many rows only those in sight are built."""

    def __init__(self, table: LineTable, store: Store, build: Build[R], sources: Sources[R]) -> None:
        self.table = table
        self._store = store
        self._build = build
        self._sources = sources
        self._rows: dict[str, R] = {}
        self._made: dict[str, TableRow] = {}
        self._marks: dict[str, str] = {}

    def show(self, rows: Mapping[str, R], touched: Collection[str] | None = None) -> None:
        """All rows in their order; with `touched`, only those differ from the last call."""
        whole = touched is None or list(rows) != list(self._rows)
        self._rows = dict(rows)
        if whole:
            self._made.clear()
            self._marks = self._marked()
        if len(rows) > MANY:
            self._show_many(() if touched is None else touched)
        elif whole:
            self.table.set_rows([self._build(key, row) for key, row in rows.items()])
        else:
            self.table.update_rows([self._build(key, rows[key]) for key in touched or () if key in rows])

    def grow_old(self) -> None:
        """Build the rows again whose shown age has changed; call it once a second."""
        marks = self._marked()
        old, self._marks = self._marks, marks
        aged = {source for source, mark in marks.items() if old.get(source) != mark}
        if aged:
            stale = [key for key, row in self._rows.items() if not aged.isdisjoint(self._sources(row))]
            self.show(self._rows, stale)

    def _show_many(self, touched: Collection[str]) -> None:
        for key in touched:
            self._made.pop(key, None)
        self.table.set_source(list(self._rows), self._row)

    def _row(self, key: str) -> TableRow:
        row = self._made.get(key)
        if row is None:
            row = self._made[key] = self._build(key, self._rows[key])
        return row

    def _marked(self) -> dict[str, str]:
        found = {source for row in self._rows.values() for source in self._sources(row)}
        return {source: age_mark(self._store, (source,)).plain for source in found}
