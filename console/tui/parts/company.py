"""Who else is attached to the engine, and which screen is in front of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from console.tui.glyphs import MUTED
from console.tui.parts.facts import Row, fact
from console.tui.store import Store
from console.tui.text import cell, joined
from state.api.topics import Topic
from state.api.views.header import ConsoleRow, HeaderView
from state.units import utc

MOST_NAMED = 3


def others(store: Store, console: str) -> list[ConsoleRow]:
    """Every attached console but this one, in the order they came."""
    view = store.view(HeaderView)
    rows = view.consoles.values() if view is not None else ()
    return sorted((row for row in rows if not row.key.endswith(f"-{console}")), key=lambda row: (row.since, row.key))


def company_forms(found: Sequence[ConsoleRow], tabs: Iterable[Topic]) -> tuple[Text, ...]:
    """`also here: ben on Traffic, eve observes Journal`, from long to short; nothing when one is alone."""
    if not found:
        return ()
    titles = {tab.name: tab.title for tab in tabs}
    named = [f"{row.person} {_looks(row, titles)}" for row in found[:MOST_NAMED]]
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    people = ", ".join(dict.fromkeys(row.person for row in found[:MOST_NAMED]))
    return (
        joined(("also here: ", MUTED), ", ".join(named) + more),
        joined(("also here: ", MUTED), people + more),
        joined((f"+{len(found)} here", MUTED)),
    )


def company_rows(found: Sequence[ConsoleRow], tabs: Iterable[Topic]) -> list[Row]:
    """One row for each other console."""
    titles = {tab.name: tab.title for tab in tabs}
    if not found:
        return [cell("nobody else is attached", MUTED)]
    return [fact(row.person, f"{_looks(row, titles)}, attached since {utc(row.since)}", width=20) for row in found]


def _looks(row: ConsoleRow, titles: dict[str, str]) -> str:
    screen = titles.get(row.screen, "")
    if row.observes:
        return f"observes {screen}".rstrip()
    return f"on {screen}" if screen else "attached"
