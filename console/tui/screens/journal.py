"""Screen 9: the newest journal entries and the state of the chain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.widget import Widget

from console.tui.glyphs import FAIL, MUTED, OK, WARN
from console.tui.mirror import Touched
from console.tui.parts.facts import Row, fact
from console.tui.parts.feed import Feed
from console.tui.screens.base import Detail, MainScreen
from console.tui.store import Age
from console.tui.text import cell, joined
from console.tui.widgets.lines import Lines
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.api.views.journal import JournalRow, JournalView
from state.health import Health
from state.units import utc, utc_date

LONGEST_KIND = 20
"""`split-brain.detected`; kinds are shown whole."""
ENTRIES = (
    Column("seq", "seq", 6, align="right", grow=9),
    Column("at", "time", 9),
    Column("kind", "kind", LONGEST_KIND),
    Column("run", "run", 4, grow=8),
    Column("message", "in words", 20, flex=1, cut="end", wish=50),
    Column("actor", "who", 6, grow=20),
    Column("hash", "hash", 8),
)

KIND_STYLES = {
    "service.impaired": FAIL,
    "split-brain.detected": FAIL,
    "request.refused": WARN,
    "drift.detected": WARN,
}
VERIFIED_STYLES: dict[Health | None, str] = {Health.PASS: OK, Health.FAIL: FAIL}


class JournalScreen(MainScreen):
    """Every decision and effect, who and when, and the hash chain that shows any later change."""

    narrow: ClassVar[Mapping[str, int]] = {"entries": 5}
    DEFAULT_CSS = """
    JournalScreen #chain { padding: 0 1; }
    JournalScreen.-tiny #chain { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        entries = LineTable(ENTRIES, title="Journal", empty="no entry read yet", glyphs=self.glyphs, id="entries")
        entries.set_title("Journal", "newest first")
        self.entries = Feed[JournalRow](entries, self.store, self._entry)
        yield entries
        yield Lines(["waiting for the engine"], id="chain")
        yield Detail()

    def paint(self, touched: Touched) -> None:
        view = self.store.view(JournalView)
        assert view is not None
        keys = touched or {}
        if touched is None or "entries" in keys:
            newest = dict(sorted(view.entries.items(), key=lambda item: item[1].seq, reverse=True))
            self.entries.show(newest, None if touched is None else keys["entries"])
            self.entries.table.set_empty("the journal is empty: nothing was decided or changed yet")
        self._paint_chain()

    def tick(self) -> None:
        super().tick()
        self._paint_chain()

    def _paint_chain(self) -> None:
        """What is stored and what is verified."""
        view = self.store.view(JournalView)
        if view is None:
            return
        stored = (f"NOT stored: {view.durable}", FAIL) if view.durable else "all entries are on disk"
        asked = self.session.recent.chain_check
        if asked is not None:
            checked = cell(asked.message, VERIFIED_STYLES.get(asked.health, WARN))
        else:
            checked = cell(view.verified or "chain not verified yet: v verifies it")
        head = joined(f"{view.head_seq} entries, the last one {view.head_hash[:8]}", (", ", MUTED), stored)
        rows = [head, checked]
        if head.cell_len + checked.cell_len + 4 <= self.size.width:
            rows = [joined(head, (", ", MUTED), checked)]
        self.query_one("#chain", Lines).show(rows)

    def _entry(self, key: str, row: JournalRow, _age: Age) -> TableRow:
        return TableRow(
            key,
            (
                cell(str(row.seq), MUTED),
                cell(utc(row.at)),
                cell(row.kind, KIND_STYLES.get(row.kind, "")),
                cell(row.run, MUTED),
                cell(row.message),
                cell(row.actor),
                cell(row.hash[:8], MUTED),
            ),
        )

    def detail_rows(self) -> list[Row]:
        row = self.selected()
        if not isinstance(row, JournalRow):
            return [cell("select an entry to read all of it", MUTED)]
        return [
            joined((f"{row.seq} {row.kind}", "bold"), (f"  {utc_date(row.at)} by {row.actor}", MUTED)),
            fact("in words", row.message or "nothing beyond its kind"),
            fact("part of", f"{row.run or 'no run'}{f', step {row.step}' if row.step else ''}"),
            fact("hash", f"{row.hash}  (r: only this run, t: only this kind, esc: all)"),
        ]
