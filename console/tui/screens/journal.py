"""Screen 9: the newest journal entries and the state of the chain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from rich.text import Text
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
    Column("seq", "seq", 6, align="right", grow=11),
    Column("at", "time", 9),
    Column("kind", "kind", LONGEST_KIND),
    Column("run", "run", 4, grow=8),
    Column("message", "in words", 20, flex=1, cut="end", wish=50),
    Column("actor", "who", 6, grow=20),
    Column("hash", "hash", 8),
    Column("origin", "class", 8),
)

KIND_STYLES = {
    "service.impaired": FAIL,
    "split-brain.detected": FAIL,
    "node.lost": FAIL,
    "writer.lost": FAIL,
    "replication.broken": FAIL,
    "cause.began": FAIL,
    "request.refused": WARN,
    "drift.detected": WARN,
    "leader.changed": WARN,
    "source.silent": WARN,
    "service.unknown": WARN,
    "alert.fired": WARN,
    "balancer.restarted": WARN,
    "engine.suspended": WARN,
    "clock.jumped": WARN,
}
VERIFIED_STYLES: dict[Health | None, str] = {Health.PASS: OK, Health.FAIL: FAIL}


class JournalScreen(MainScreen):
    """Every decision and effect, what was observed, who and when, and the hash chain that shows any later change."""

    narrow: ClassVar[Mapping[str, int]] = {"entries": 5}
    DEFAULT_CSS = """
    JournalScreen #chain { padding: 0 1; }
    JournalScreen.-huge Detail { dock: right; width: 46; height: 100%; border-left: solid ansi_bright_black; }
    JournalScreen.-tiny #chain { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        entries = LineTable(ENTRIES, title="Journal", empty="no entry read yet", glyphs=self.glyphs, id="entries")
        self._seen = 0
        """The newest entry when the screen was looked at last; later ones are marked."""
        self._seen_at = 0.0
        self._left = self._to_newest = False
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
        if self._to_newest:
            self._to_newest = False
            self.entries.table.action_edge(-1)
        self._paint_title(view)
        self._paint_chain()

    def on_screen_resume(self) -> None:
        """Back from another screen it opens at the newest entry."""
        self._to_newest, self._left = self._left, False

    def reveal(self, table: str, key: str) -> None:
        """Who asks for one entry does not get the newest one."""
        self._to_newest = False
        super().reveal(table, key)

    def on_screen_suspend(self) -> None:
        """What comes from now on is new at the next look."""
        view = self.store.view(JournalView)
        other = self.app.screen is not self and isinstance(self.app.screen, MainScreen)  # no dialog over this one
        if view is not None and other:
            self._seen, self._seen_at, self._left = view.head_seq, self.store.wall, True

    def _paint_title(self, view: JournalView) -> None:
        new = sum(1 for row in view.entries.values() if self._seen and row.seq > self._seen)
        note = "newest first"
        if self._seen:
            note += f", {new or 'none'} newer than your last look at {utc(self._seen_at)}"
        self.entries.table.set_title("Journal", cell(note, WARN if new else ""))

    def _seq(self, seq: int) -> Text:
        """The number of an entry, with a mark when it came since the last look."""
        if self._seen and seq > self._seen:
            return joined((self.glyphs.new, WARN), f" {seq}")
        return cell(str(seq), MUTED)

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
            checked = cell(view.verified)
        head = joined(f"{view.head_seq} entries, the last one {view.head_hash[:8]}", (", ", MUTED), stored)
        rows = [head, checked]
        if head.cell_len + checked.cell_len + 4 <= self.size.width:
            rows = [joined(head, (", ", MUTED), checked)]
        self.query_one("#chain", Lines).show(rows)

    def _entry(self, key: str, row: JournalRow, _age: Age) -> TableRow:
        return TableRow(
            key,
            (
                self._seq(row.seq),
                cell(utc(row.at)),
                cell(row.kind, KIND_STYLES.get(row.kind, "")),
                cell(row.run, MUTED),
                cell(row.message),
                cell(row.actor),
                cell(row.hash[:8], MUTED),
                cell(row.origin, MUTED),
            ),
            {"seq": row.seq, "at": row.at},
        )

    def detail_rows(self) -> list[Row]:
        row = self.selected()
        if not isinstance(row, JournalRow):
            return [cell("select an entry to read all of it", MUTED)]
        return [
            joined(
                (f"{row.seq} {row.kind}", "bold"), (f"  {row.origin} {utc_date(row.at)} by {row.actor}".rstrip(), MUTED)
            ),
            fact("in words", row.message or "nothing beyond its kind"),
            fact("part of", f"{row.run or 'no run'}{f', step {row.step}' if row.step else ''}"),
            fact(
                "hash",
                f"{row.hash}  (r: only this run, t: only this kind, o: only {row.origin or 'its class'}, esc: all)",
            ),
        ]
