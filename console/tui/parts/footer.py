"""The footer of every screen: keys that work here, the journal's head, the connection to the engine."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from console.tui.actions.base import Action
from console.tui.actions.registry import keys_of, shown_key
from console.tui.glyphs import FAIL, KEY, MUTED, OK, WARN
from console.tui.parts.fields import Field, fit_fields
from console.tui.session import ActionContext
from console.tui.store import LinkState, Store
from console.tui.text import cell, joined
from state.api.views.header import HeaderView
from state.units import ago

ALWAYS = {"help": 0, "stop-everything": 0}
"""Named on the narrowest terminal too."""
USELESS = 100
"""Keys that do nothing now are left out before those that work."""


def _key(action: Action, works: bool) -> Text:
    return joined((shown_key(action), KEY if works else MUTED), (f" {action.title}", "" if works else MUTED))


def keys_line(ctx: ActionContext, width: int) -> Text:
    """The keys of this screen; what does nothing now is dimmed, `?` says why."""
    fields = []
    for place, action in enumerate(action for action in keys_of(ctx.screen) if action.shown):
        works = action.why_not(ctx) is None
        rank = ALWAYS.get(action.id, place + 1 if works else place + USELESS)
        fields.append(Field(rank, (_key(action, works),)))
    return joined(" ", fit_fields(fields, width - 1))


def status_line(store: Store, notice: str, width: int, company: Sequence[Text] = (), unkept: str = "") -> Text:
    """The last line; a notice takes the journal's place until it has been read. `company` tells who else is here,
    `unkept` why the session log is not kept."""
    fields = [Field(0, link_forms(store), right=True)]
    if notice:
        message = cell(f" {notice}", WARN)
        short = message.copy()
        short.truncate(max(8, width - fields[0].forms[-1].cell_len - 2), overflow="ellipsis")
        fields.append(Field(0, (message, short)))
    elif unkept and store.live:
        forms = (f" session log not kept: {unkept}", f" session log not kept: {unkept[:24]}", " no session log")
        fields.append(Field(0, tuple(cell(each, WARN) for each in forms)))
    elif store.view(HeaderView) is not None:
        fields.append(Field(2, journal_forms(store)))
        fields.append(Field(1, tuple(company)))
    return fit_fields(fields, width)


def journal_forms(store: Store) -> tuple[Text, ...]:
    """Sequence number and the first 8 digits of the journal's head."""
    view = store.view(HeaderView)
    if view is None:
        return ()
    head = joined((" journal ", MUTED), f"{view.journal_seq} {view.journal_head[:8]}")
    checked = view.journal_verified
    return (joined(head, (f"  {checked}", MUTED)), head) if checked else (head,)


def link_forms(store: Store) -> tuple[Text, ...]:
    """How the engine is reached."""
    link, hello = store.link, store.hello
    if link.state is LinkState.LIVE and hello is not None:
        pid = cell(f"engine pid {hello.engine_pid} ", MUTED)
        return (joined(pid, ("live", OK)), joined(("engine ", MUTED), ("live", OK)))
    if link.state is LinkState.LOST:
        return (cell(f"engine lost {ago(store.link_age)}, retrying", FAIL), cell("engine lost", FAIL))
    return (cell("connecting to the engine", WARN),)
