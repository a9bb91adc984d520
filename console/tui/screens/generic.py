"""The screen of a topic that has none of its own: each table of its view, and everything about the selected row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from typing import Any, get_args

from rich.text import Text
from textual.widget import Widget

from console.tui.glyphs import MUTED
from console.tui.mirror import Touched
from console.tui.parts.ages import NOTHING, health_mark, unless_withheld
from console.tui.parts.facts import Row, fact
from console.tui.parts.feed import Feed
from console.tui.parts.messages import sources_fact
from console.tui.screens.base import Detail, MainScreen
from console.tui.store import Age
from console.tui.text import cell, state_text
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.api.wire import columns, is_table
from state.health import Health

WIDEST = 40
LABEL_WIDTH = 16


class GenericScreen(MainScreen):
    """The data of this topic as the engine sends it; it has no screen of its own yet."""

    def body(self) -> Iterable[Widget]:
        self._tables: dict[str, Feed[Any]] = {}
        for name, kind in columns(self.topic.view_type).items():
            row = get_args(kind)[1] if is_table(kind) else None
            if is_dataclass(row):
                title = name.replace("_", " ").capitalize()
                table = LineTable(_columns(row), title=title, empty="no data yet", glyphs=self.glyphs, id=name)
                build = partial(self._build, [field.name for field in fields(row)])
                self._tables[name] = Feed[Any](table, self.store, build, sources_of)
                yield table
        self.feeds = list(self._tables.values())
        yield Detail()

    def paint(self, touched: Touched) -> None:
        view = self.store.view(self.topic.name)
        for name, feed in self._tables.items():
            if touched is None or name in touched:
                feed.show(getattr(view, name), None if touched is None else touched[name])
                feed.table.set_empty("the engine has none")

    def _build(self, names: list[str], key: str, row: Any, age: Age) -> TableRow:
        return TableRow(key, (cell(key, "bold"), *(self._cell(getattr(row, name), age) for name in names)))

    def _cell(self, value: object, age: Age) -> Text:
        if isinstance(value, Health):
            return health_mark(value, self.glyphs, age)
        if isinstance(value, Enum):
            return unless_withheld(age, state_text(str(value.value), self.glyphs))
        return NOTHING if value is None else unless_withheld(age, cell(said(value)))

    def detail_rows(self) -> list[Row]:
        """The fields of the selected row; without one, those of the view that are no tables."""
        row = self.selected()
        shown = self.store.view(self.topic.name) if row is None else row
        if shown is None:
            return [cell("no data from the engine about this yet", MUTED)]
        values = {field.name: getattr(shown, field.name) for field in fields(shown) if field.name not in self._tables}
        told: list[Row] = [fact(name, said(value), width=LABEL_WIDTH) for name, value in values.items()]
        return told if row is None else [*told, sources_fact(self.store, sources_of(row))]


def _columns(row: Any) -> list[Column]:
    """The key, then a column for each field."""
    names = [field.name for field in fields(row)]
    return [
        Column("key", "key", 10, grow=WIDEST),
        *(Column(name, name.replace("_", " "), 8, grow=WIDEST, cut="end") for name in names),
    ]


def sources_of(row: Any) -> tuple[str, ...]:
    """The sources of a row."""
    many = getattr(row, "sources", None)
    return tuple(many) if isinstance(many, tuple) else (row.source,) if getattr(row, "source", "") else ()


def said(value: object) -> str:
    """A value as short text."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={said(each)}" for key, each in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(said, value))
    if is_dataclass(value):
        return ", ".join(f"{field.name} {said(getattr(value, field.name))}" for field in fields(value))
    return "?" if value is None else str(value)
