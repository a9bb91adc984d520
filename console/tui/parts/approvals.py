"""What a person must know of approvals on every screen: the badge, the countdown of who goes on alone, news."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from console.tui.actions.everywhere import QUEUE
from console.tui.glyphs import DANGER, KEY, MUTED, WARN
from console.tui.parts.fields import Field, fit_fields
from console.tui.store import LinkState, Store
from console.tui.text import cell, joined
from state.api.views.approvals import ACTIVE, ApprovalRow, ApprovalState, ApprovalsView
from state.api.views.header import HeaderView
from state.units import clock


def rows_of(store: Store) -> list[ApprovalRow]:
    """Every request; none while the engine is lost, as nothing is known then."""
    view = store.view(ApprovalsView)
    return [] if view is None or store.link.state is LinkState.LOST else list(view.requests.values())


def for_me(store: Store, row: ApprovalRow) -> bool:
    """Whether it waits for the person at this console."""
    return row.state is ApprovalState.OPEN and store.hello is not None and store.hello.person in row.may


def of_mine(store: Store, row: ApprovalRow) -> bool:
    """Whether the person at this console asked for it."""
    return store.hello is not None and row.requester == store.hello.person


def takes_over(store: Store, row: ApprovalRow) -> bool:
    """Whether this person approved it and can carry it out, as no console of who asked for it is attached."""
    header, hello = store.view(HeaderView), store.hello
    if header is None or hello is None or row.state is not ApprovalState.APPROVED:
        return False
    here = {console.person for console in header.consoles.values()}
    return hello.person in row.given and row.requester not in here and hello.may_act


def left(store: Store, row: ApprovalRow) -> str:
    """The time until its present state ends."""
    return "" if row.until_mono is None else clock(max(0.0, row.until_mono - store.beaten))


def badge_forms(store: Store) -> tuple[Text, ...]:
    """`A 2 to approve`, `A-3 approved`, `1 approval open`; nothing when nothing waits."""
    rows = rows_of(store)
    mine = [row for row in rows if for_me(store, row)]
    if mine:
        return (cell(f"{QUEUE} {len(mine)} to approve", f"{DANGER} reverse"), cell(f"{QUEUE} {len(mine)}", WARN))
    ready = [row for row in rows if of_mine(store, row) and row.state in (ApprovalState.APPROVED, ApprovalState.ALONE)]
    if ready:
        word = "approved" if ready[-1].state is ApprovalState.APPROVED else "yours alone"
        return (cell(f"{ready[-1].id} {word} {left(store, ready[-1])}", WARN), cell(f"{QUEUE} {ready[-1].id}", WARN))
    due = [row for row in rows if row.review_due_at is not None]
    waiting = [row for row in rows if row.state in ACTIVE]
    if due:
        return (cell(f"{QUEUE} {len(due)} to review", WARN), cell(f"{QUEUE} {len(due)}", WARN))
    return (joined((f"{QUEUE} {len(waiting)} asked", MUTED)),) if waiting else ()


def approval_lines(store: Store, width: int) -> list[Text]:
    """Who goes on alone, with the seconds left and the key that stops it: a line of every screen and dialog."""
    counting = [row for row in rows_of(store) if row.state is ApprovalState.COUNTING]
    return [_countdown(store, row, width) for row in counting[:2]]


def _countdown(store: Store, row: ApprovalRow, width: int) -> Text:
    said = f" ! {row.alone_by} goes on alone with {row.id} in {left(store, row)}: {row.title}"
    key = joined((QUEUE, KEY), " then ", ("x", KEY), " stops it")
    whole = cell(said, DANGER)
    short = whole.copy()
    short.truncate(max(8, width - key.cell_len - 2), overflow="ellipsis")
    return fit_fields([Field(0, (whole, short)), Field(0, (key,), right=True)], width)


class ApprovalNews:
    """Tells once what has become of each request."""

    def __init__(self) -> None:
        self._known: dict[str, ApprovalState] | None = None

    def of(self, store: Store) -> str:
        """What is new for the person at this console, empty when nothing is. Before the first view nothing is news."""
        view = store.view(ApprovalsView)
        if view is None:
            return ""
        known, self._known = self._known, {row.id: row.state for row in view.requests.values()}
        if known is None:
            return next(_asks(store, view.requests.values()), "")
        changed = [row for row in view.requests.values() if known.get(row.id) is not row.state]
        return next(filter(None, (_said(store, row) for row in reversed(changed))), "")


def _asks(store: Store, rows: Iterable[ApprovalRow]) -> Iterator[str]:
    return (_said(store, row) for row in rows if for_me(store, row))


def _said(store: Store, row: ApprovalRow) -> str:
    if for_me(store, row):
        return f"{row.id}: {row.requester} asks you to approve: {row.title}  ({QUEUE})"
    if row.state is ApprovalState.COUNTING:
        return f"{row.id}: {row.alone_by} goes on alone in {left(store, row)}  ({QUEUE}, then x, stops it)"
    if not of_mine(store, row):
        return ""
    if row.state is ApprovalState.OPEN:  # asked just now, or a countdown that somebody stopped
        return row.message if row.alone_by else ""
    if row.state is ApprovalState.APPROVED:
        return f"{row.id} is approved by {', '.join(row.given)}: {QUEUE}, then Enter, shows its card"
    return f"{row.id} is {row.state.value}{': ' if row.message else ''}{row.message}"
