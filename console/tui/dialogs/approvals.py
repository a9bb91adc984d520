"""The queue of approvals: what waits for whom, what became of it, and the keys of each request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from textual import events, on
from textual.widget import Widget

from console.tui.dialogs.base import Dialog, keys_line
from console.tui.glyphs import DANGER, FAIL, MUTED, OK, WARN
from console.tui.parts.approvals import for_me, left, of_mine, rows_of, takes_over
from console.tui.parts.facts import Facts, Row, fact
from console.tui.text import cell
from console.tui.widgets.lines import Lines
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.api.views.approvals import ACTIVE, ApprovalRow, ApprovalState
from state.units import utc_since

COLUMNS = (
    Column("id", "request", 8),
    Column("state", "state", 10),
    Column("left", "left", 6),
    Column("risk", "risk", 4),
    Column("by", "by", 8, grow=14),
    Column("title", "does", 14, flex=1, cut="end"),
    Column("waits", "waits for", 14, grow=26, cut="end"),
)
STYLES = {
    ApprovalState.OPEN: WARN, ApprovalState.COUNTING: DANGER, ApprovalState.APPROVED: OK, ApprovalState.ALONE: WARN,
    ApprovalState.DENIED: FAIL, ApprovalState.VOID: FAIL, ApprovalState.LAPSED: FAIL,
}  # fmt: skip
KEYS = {"n": "deny", "w": "withdraw", "a": "alone", "x": "halt", "v": "review"}
"""The keys of a request besides Enter, and what each does."""


class Chosen(NamedTuple):
    """What a person wants of a request: `open`, or one of KEYS."""

    row: ApprovalRow
    what: str


class ApprovalsDialog(Dialog[Chosen]):
    """The queue. Result: the request under the cursor, and what is wanted of it."""

    title_ = "Approvals"
    keys_: ClassVar[tuple[tuple[str, str], ...]] = (("esc", "back"),)
    AUTO_FOCUS = "LineTable"
    DEFAULT_CSS = "ApprovalsDialog Facts { height: 9; }"

    def content_(self) -> Iterable[Widget]:
        empty = "nothing waits for an approval; a card that needs one says so, and ctrl+a asks for it"
        yield LineTable(COLUMNS, empty=empty, glyphs=self.session.glyphs)
        yield Facts([])

    def tick(self) -> None:
        super().tick()
        table = self.query_one(LineTable)
        rows = rows_of(self.session.store)[::-1]
        table.set_rows(self._row(row) for row in sorted(rows, key=self._order))
        self._paint()

    def _order(self, row: ApprovalRow) -> int:
        """What waits for this person first, then what else is open, then the rest, the newest first."""
        if for_me(self.session.store, row) or row.state is ApprovalState.COUNTING:
            return 0
        return 1 if row.state in ACTIVE or row.review_due_at is not None else 2

    def _row(self, row: ApprovalRow) -> TableRow:
        waits = ", ".join(who if who in row.told else f"{who} (away)" for who in row.may)
        waits = waits or ("a review" if row.review_due_at is not None else ", ".join(row.given))
        state = "to you" if for_me(self.session.store, row) else row.state.value
        texts = (row.id, row.risk, row.requester, row.title, waits)
        name, risk, by, title, waiting = (cell(each) for each in texts)
        shown = cell(state, STYLES.get(row.state, MUTED))
        return TableRow(row.id, (name, shown, cell(left(self.session.store, row)), risk, by, title, waiting))

    @property
    def chosen(self) -> ApprovalRow | None:
        """The request under the cursor."""
        key = self.query_one(LineTable).cursor_key
        return next((row for row in rows_of(self.session.store) if row.id == key), None)

    def possible(self, row: ApprovalRow) -> dict[str, str]:
        """The keys that do something for a request now, and what."""
        store = self.session.store
        mine, active = of_mine(store, row), row.state in ACTIVE
        roles = set(store.hello.roles) if store.hello is not None else set()
        found: dict[str, str] = {}
        if for_me(store, row):
            found |= {"enter": "read it and approve", "n": "deny"}
        elif takes_over(store, row):
            found |= {"enter": f"carry it out: {row.requester} has left"}
        elif mine and active:
            found |= {"enter": "its card now", "w": "withdraw"}
        if mine and row.state is ApprovalState.OPEN and roles & set(row.alone):
            found["a"] = "go on alone"
        if row.state in (ApprovalState.COUNTING, ApprovalState.ALONE):
            found["x"] = f"stop {row.alone_by}"
        if row.review_due_at is not None and not mine:
            found["v"] = "review it"
        return found

    @on(LineTable.RowHighlighted)
    def _paint(self) -> None:
        row = self.chosen
        self.query_one(Facts).show(self._facts(row) if row is not None else [])
        keys = self.possible(row).items() if row is not None else ()
        self.query_one(".keys", Lines).show([keys_line((*keys, *self.keys_))])

    def _facts(self, row: ApprovalRow) -> list[Row]:
        wall = self.session.store.wall
        has = f"{', '.join(row.given) or 'nobody'}, {row.needed} needed"
        told = [("asked by", f"{row.requester} at {utc_since(row.asked_at, wall)}: {row.reason}"),
                ("rule", f"{row.rule} ({row.risk}){'; an approver must stay attached' if row.present else ''}"),
                ("approved by", has), ("change", row.change), ("alone", row.alone_by and f"{row.alone_by}"),
                ("said", row.message), ("run", row.run), ("review", row.review), ("look at", row.flagged),
                ("plan", row.plan[:32])]  # fmt: skip
        return [fact(label, text, width=12) for label, text in told if text]

    @on(LineTable.RowSelected)
    def _open(self, message: LineTable.RowSelected) -> None:
        message.stop()
        self._choose("enter", "open")

    def on_key(self, event: events.Key) -> None:
        """The keys of the request under the cursor."""
        if event.key in KEYS:
            event.stop()
            event.prevent_default()
            self._choose(event.key, KEYS[event.key])

    def _choose(self, key: str, what: str) -> None:
        row = self.chosen
        if row is not None and key in self.possible(row):
            self.dismiss(Chosen(row, what))
