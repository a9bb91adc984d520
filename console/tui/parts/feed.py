"""From rows of a view to rows of a table: only what was touched, or grew old, is built again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Generic, TypeVar

from console.tui.glyphs import MUTED
from console.tui.parts.ages import age_words, lost_words
from console.tui.store import Age, Store
from console.tui.text import state_text
from console.tui.widgets.rows import TableRow, plain
from console.tui.widgets.table import LineTable
from state.health import Health

R = TypeVar("R")
LINK = ""
"""The connection to the engine, as what every row comes from."""
MANY = 400
"""From this number of rows on, rows are built when they become visible."""
Build = Callable[[str, R, Age], TableRow]
"""A table's row of a key, a view's row, and the age of the oldest source it comes from."""
Sources = Callable[[R], tuple[str, ...]]


class Feed(Generic[R]):
    """Keeps one table equal to one mapping of rows. Of many rows only the visible ones are built."""

    def __init__(self, table: LineTable, store: Store, build: Build[R], sources: Sources[R] = lambda _row: ()) -> None:
        """`sources` names what a row was read from."""
        self.table = table
        self._store = store
        self._build = build
        self._sources = sources
        self._rows: dict[str, R] = {}
        self._made: dict[str, TableRow] = {}
        self._ages: dict[str, str] = {}

    def show(self, rows: Mapping[str, R], touched: Collection[str] | None = None) -> None:
        """All rows in their order; with `touched`, only those differ from the last call."""
        self._withhold()
        whole = touched is None or list(rows) != list(self._rows)
        self._rows = dict(rows)
        if whole:
            self._made.clear()
            self._ages = self._age_words()
        if len(rows) > MANY:
            self._show_many(() if touched is None else touched)
        elif whole:
            self.table.set_rows([self._make(key) for key in rows])
        else:
            self.table.update_rows([self._make(key) for key in touched or () if key in rows])

    def grow_old(self) -> None:
        """Build the rows again whose shown age has changed; call it once a second."""
        self._withhold()
        before, self._ages = self._ages, self._age_words()
        older = {source for source, shown in self._ages.items() if before.get(source) != shown}
        if LINK in older:
            self._made.clear()
            self.show(self._rows, list(self._rows))
        elif older:
            self.show(self._rows, [key for key, row in self._rows.items() if not older.isdisjoint(self._sources(row))])

    def _withhold(self) -> None:
        """Of an engine that is lost it is not known that there is nothing either."""
        age = self._store.oldest(())
        reason = f"not known: {lost_words(age.seconds or 0.0)}" if age.lost else ""
        if reason != self.table.withheld:
            self.table.withheld = reason
            if not self._rows:
                self.table.refresh()

    def _show_many(self, touched: Collection[str]) -> None:
        for key in touched:
            self._made.pop(key, None)
        self.table.set_source(list(self._rows), self._row)

    def _row(self, key: str) -> TableRow:
        row = self._made.get(key)
        if row is None:
            row = self._made[key] = self._make(key)
        return row

    def _make(self, key: str) -> TableRow:
        row = self._rows[key]
        age = self._store.oldest(self._sources(row))
        made = self._build(key, row, age)
        return self._blank(made) if age.lost else made

    def _blank(self, row: TableRow) -> TableRow:
        """The row without its verdict and colours: the engine that told it is lost."""
        first = self.table.columns[0].key == "state"
        unknown = state_text(Health.UNKNOWN.value, self.table.glyphs)
        cells = [unknown if first and not place else (plain(each), MUTED) for place, each in enumerate(row.cells)]
        return TableRow(row.key, tuple(cells))

    def _age_words(self) -> dict[str, str]:
        """The age text of each source now."""
        found = {source for row in self._rows.values() for source in self._sources(row)}
        told = {source: age_words(self._store.age(source), self._store.wall) for source in found}
        return told | {LINK: age_words(self._store.oldest(()), self._store.wall)}
