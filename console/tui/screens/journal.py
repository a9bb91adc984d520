"""Screen 9: the newest journal entries and the state of the chain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.widget import Widget

from console.tui.glyphs import FAIL, MUTED
from console.tui.screens.base import Detail, MainScreen, Touched
from console.tui.screens.facts import fact
from console.tui.screens.feed import Feed
from console.tui.text import cell, joined
from console.tui.widgets.lines import Lines
from console.tui.widgets.panel import Panel
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.api import JournalRow
from state.units import utc, utc_date

ENTRIES = (
    Column("seq", "seq", 6, align="right"),
    Column("at", "time", 9),
    Column("actor", "who", 6, flex=1),
    Column("kind", "what", 14, flex=1),
    Column("words", "in words", 20, flex=4),
    Column("run", "run", 6),
    Column("hash", "hash", 8),
)


class Journal(MainScreen):
    """Every decision and effect, who and when; the chain that proves nothing was changed."""

    name_, digit, title_, topic = "journal", "9", "Journal", "journal"
    narrow: ClassVar[Mapping[str, int]] = {"entries": 5}
    DEFAULT_CSS = """
    Journal #entries-panel { height: 1fr; }
    Journal #chain { padding: 0 1; }
    Journal.-tiny #chain { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        entries = LineTable(ENTRIES, empty="no entry read yet", glyphs=self.glyphs, id="entries")
        self.entries = Feed[JournalRow](entries, self.store, self._entry, lambda row: ())
        yield Panel(entries, title="Journal", note=cell("newest first"), glyphs=self.glyphs, id="entries-panel")
        yield Lines(["waiting for the engine"], id="chain")
        yield Detail()

    def paint(self, touched: Touched) -> None:
        view = self.store.journal
        assert view is not None
        keys = touched or {}
        if touched is None or "entries" in keys:
            newest = dict(sorted(view.entries.items(), key=lambda item: item[1].seq, reverse=True))
            self.entries.show(newest, None if touched is None else keys["entries"])
            self.entries.table.set_empty("the journal is empty: nothing was decided or changed yet")
        chain = joined(
            ("head ", MUTED),
            f"{view.head_seq} {view.head_hash[:8]}",
            ("  written ", MUTED),
            (view.durable, FAIL) if view.durable else ("durable", ""),
            f"  {view.verified or 'chain not verified yet: v verifies it'}",
        )
        self.query_one("#chain", Lines).show([chain])

    def _entry(self, key: str, row: JournalRow) -> TableRow:
        return TableRow(
            key,
            (
                cell(str(row.seq), MUTED),
                cell(utc(row.at)),
                cell(row.actor),
                cell(row.kind),
                cell(row.words),
                cell(row.run, MUTED),
                cell(row.hash[:8], MUTED),
            ),
        )

    def paint_detail(self) -> None:
        row = self.selected()
        if not isinstance(row, JournalRow):
            self.query_one(Detail).show([cell("select an entry to read all of it", MUTED)])
            return
        self.query_one(Detail).show(
            [
                joined((f"{row.seq} {row.kind}", "bold"), (f"  {utc_date(row.at)}", MUTED)),
                fact("words", row.words),
                fact("who", row.actor),
                fact("run", f"{row.run or 'none'}  step {row.step or 'none'}"),
                fact("hash", row.hash),
            ]
        )
