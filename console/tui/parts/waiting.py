"""The runs that need a person, as lines of every screen until somebody has answered."""

from __future__ import annotations

from rich.text import Text

from console.tui.actions.everywhere import ANSWER
from console.tui.glyphs import KEY, WARN, Glyphs
from console.tui.parts.fields import Field, fit_fields
from console.tui.store import LinkState, Store
from console.tui.text import cell, joined
from state.api.run_states import RunState
from state.api.views.header import HeaderView, WaitingRun
from state.units import clock

MOST = 2


def waiting_lines(store: Store, glyphs: Glyphs, width: int, *, most: int = MOST) -> list[Text]:
    """`? R-17 asks ada, 00:42 of 05:00: "…"  D decide`; what does not fit is counted."""
    view = store.view(HeaderView)
    lost = store.link.state is LinkState.LOST
    runs = list(view.waiting.values()) if view is not None and not lost else []
    more = len(runs) - most
    lines = [_line(run, store, glyphs, width, f"+{more} more" if more > 0 and place == most - 1 else "")
             for place, run in enumerate(runs[:most])]  # fmt: skip
    return lines


def _line(run: WaitingRun, store: Store, glyphs: Glyphs, width: int, more: str) -> Text:
    asked = bool(run.question)
    if asked:
        who = f"{run.run} asks {run.asks}"
        said = f'"{run.question}"'
    else:
        who = f"{run.run} {run.state.value if run.state is not RunState.WAITING else 'waits'}"
        said = run.message or run.title
    time = _time(run, store)
    head = joined((" ? " if asked else " = ", WARN), (who, WARN), time, (": ", WARN))
    key = joined((more, WARN), ("  " if more else ""), (ANSWER, KEY), f" {_verb(run)}")
    whole = joined(head, said)
    short = whole.copy()
    short.truncate(max(8, width - key.cell_len - 2), overflow="ellipsis")
    return fit_fields([Field(0, (whole, short)), Field(0, (key,), right=True)], width)


def _verb(run: WaitingRun) -> str:
    return "decide" if run.question else "open"


def _time(run: WaitingRun, store: Store) -> Text:
    """`, 00:42 of 05:00`, in the warning style once the limit is near."""
    if run.started_mono is None:
        return cell("")
    spent = store.spent(run.started_mono)
    limit = f" of {clock(run.limit)}" if run.limit is not None else ""
    return cell(f", {clock(spent)}{limit}", WARN)
