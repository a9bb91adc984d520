"""Screen 6: who has access that ends by itself, until when, what they do now, and what was proven when it was over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.widget import Widget

from console.access_text import OVER, doing_words, is_bad, left_words, login_words, others_words, session_words
from console.tui.glyphs import FAIL, MUTED, OK, UNKNOWN, WARN
from console.tui.mirror import Touched
from console.tui.parts.facts import Row, fact
from console.tui.parts.feed import Feed
from console.tui.screens.base import Detail, MainScreen
from console.tui.store import Age
from console.tui.text import cell, joined, state_text
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.api.views.access import AccessView, ElevatedRow, GrantCredential, GrantRow, GrantState
from state.health import Health
from state.units import utc_date

GRANTS = (
    Column("state", "state", 10),
    Column("grant", "grant", 8),
    Column("left", "left", 10),
    Column("person", "who", 8, grow=16),
    Column("now", "now", 16, flex=1, cut="end"),
    Column("bundle", "rights", 13),
    Column("database", "at", 10, grow=20),
    Column("ticket", "ticket", 8, grow=16),
)
OTHERS = (
    Column("role", "not ours", 16, grow=30),
    Column("database", "at", 10, grow=20),
    Column("rights", "rights", 20, flex=1, cut="end"),
)
STYLES: Mapping[GrantState, str] = {
    GrantState.ARMED: WARN,
    GrantState.OPEN: WARN,
    GrantState.EXPIRING: WARN,
    GrantState.ENDING: FAIL,
    GrantState.RESIDUE: FAIL,
    GrantState.ENDED: OK,
}


class AccessScreen(MainScreen):
    """Access to databases and hosts that ends by itself, as they tell of it, and other accounts with raised rights."""

    narrow: ClassVar[Mapping[str, int]] = {"grants": 5, "others": 3}
    DEFAULT_CSS = """
    AccessScreen #grants { height: 1fr; min-height: 4; }
    AccessScreen #others { height: 5; }
    AccessScreen.-tiny #others { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        grants = LineTable(
            GRANTS, title="Access, read from the targets", empty="no access is given", glyphs=self.glyphs, id="grants"
        )
        others = LineTable(
            OTHERS, title="Other accounts with raised rights", empty="none was read", glyphs=self.glyphs, id="others"
        )
        self.grants = Feed[GrantRow](grants, self.store, self._grant)
        self.others = Feed[ElevatedRow](others, self.store, self._other)
        self.feeds = [self.grants, self.others]
        yield grants
        yield others
        yield Detail()

    def paint(self, touched: Touched) -> None:
        view = self.store.view(AccessView)
        assert view is not None
        self.grants.show(view.grants, None if touched is None else touched.get("grants", ()))
        self.others.show(view.others, None if touched is None else touched.get("others", ()))
        unread = "; ".join(f"{each.database}: {each.error}" for each in view.targets.values() if each.error)
        none = (
            "nothing in the estate allows it: databases.NAME.access, hosts.NAME.access"
            if not view.targets
            else "no access is given"
        )
        self.grants.table.set_empty(unread or none)
        self.grants.table.set_title("Access, read from the targets", cell(unread, UNKNOWN) if unread else cell(""))
        self.set_height("#others", len(view.others) + 2, 3, 5 if self.app.size.height < 32 else 10)

    def tick(self) -> None:
        """A second has passed: every countdown is another one."""
        super().tick()
        view = self.store.view(AccessView)
        if self.ready and view is not None:
            live = [key for key, row in view.grants.items() if row.state not in OVER]
            self.grants.show(view.grants, live)

    def _grant(self, key: str, row: GrantRow, age: Age) -> TableRow:
        mono = self.store.beaten
        bad = is_bad(row, mono)
        style = FAIL if bad else STYLES[row.state]
        quiet = MUTED if row.state is GrantState.ENDED else ""
        return TableRow(
            key,
            (
                cell(row.state.value.upper() if bad else row.state.value, style),
                cell(row.id, quiet or "bold"),
                cell(left_words(row, mono), style),
                cell(row.person, quiet),
                cell(doing_words(row, mono), FAIL if bad else quiet),
                cell(row.bundle, quiet),
                cell(row.database, quiet),
                cell(row.ticket, quiet),
            ),
        )

    def _other(self, key: str, row: ElevatedRow, age: Age) -> TableRow:
        rights = joined(state_text(Health.WARN.value, self.glyphs, word=False), " superuser") if row.superuser else None
        return TableRow(key, (cell(row.role), cell(row.database), rights or cell(row.rights or "raised attributes")))

    def detail_rows(self) -> list[Row]:
        row = self.selected()
        if isinstance(row, ElevatedRow):
            return [cell(each) for each in others_words([row])]
        if not isinstance(row, GrantRow):
            return [cell("n asks for access; select a grant to read all of it", MUTED)]
        return list(self._told(row))

    def _told(self, row: GrantRow) -> Iterable[Row]:
        yield joined((row.id, "bold"), (f"  {row.bundle} at {row.database} as {row.role}", MUTED))
        yield fact("for", f"{row.person}, {row.ticket}")
        if row.obstacle:
            yield fact("not over", row.obstacle, FAIL)
            yield fact("then", row.way_out or "it is tried until it is proven")
        for each in row.sessions:
            yield fact("session", session_words(each))
        if row.state is GrantState.ARMED:
            key = row.takes is GrantCredential.PUBLIC_KEY
            told = f"t opens it for a key of {row.person}" if key else f"t takes it, once, for {row.person}"
            yield fact("login" if key else "secret", told)
        if row.state in (GrantState.OPEN, GrantState.EXPIRING):
            yield fact("login", login_words(row))
        if row.proof and row.ended_at is not None:
            yield fact("proof", row.proof, OK)
            late = f", {row.late:.1f} s after its time" if row.late else ""
            yield fact("at", f"{utc_date(row.ended_at)}{late}")
        for thing in row.residue:
            yield fact("not as before", thing, FAIL if row.state is GrantState.RESIDUE else "")
        for thing in row.left:
            yield fact("left", thing)
        if row.by:
            yield fact("ended", row.by)
