"""Everything that has a name: actions of all screens, screens, themes, and every row of the views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

from console.tui.actions.base import Action
from console.tui.actions.registry import actions_of, shown_key
from console.tui.dialogs.finder import Found
from console.tui.parts.messages import row_says
from console.tui.session import ActionContext, Session
from console.tui.terminal.capabilities import THEMES
from state.api.topics import Topic

MOST_ROWS = 20_000
"""Rows of the views that are offered; the newest and first ones of each table."""


def everything(session: Session, ctx: ActionContext, *, places_first: bool) -> list[Found]:
    """All of it, for what is on the screen in front now."""
    done = [*actions(session, ctx), *screens_and_themes(session)]
    named = list(places(session))
    return [*named, *done] if places_first else [*done, *named]


def actions(session: Session, ctx: ActionContext) -> Iterator[Found]:
    """The actions of the screen in front, then those of all others; each with the reason when it does nothing now."""
    here = list(actions_of(ctx.screen))
    elsewhere = [each for tab in session.tabs for each in actions_of(tab.name) if each not in here]
    titles = {tab.name: tab.title for tab in session.tabs}
    for action in dict.fromkeys([*here, *elsewhere]):
        reason = action.barred(ctx) if action.on else action.why_not(ctx)
        if reason is not None:
            message = f"not now: {reason}"
        elif action in here:
            message = action.help
        else:
            message = f"{action.help} ({titles.get(action.screens[0], action.screens[0])})"
        run = partial(session.navigator.act, action.id)
        yield Found(action.name, "action", shown_key(action), message, run, reason is None)


def screens_and_themes(session: Session) -> Iterator[Found]:
    """The screens behind digits, and the colours."""
    for tab in session.tabs:
        yield Found(tab.title, "screen", tab.digit, "the screen", partial(session.navigator.open_screen, tab.name))
    for theme in THEMES:
        yield Found(f"theme {theme}", "theme", "", "the colours of this console", partial(session.use_theme, theme))


def places(session: Session) -> Iterator[Found]:
    """Every row of the views that can be opened, by name."""
    rows = (
        (topic, table, key, row, alone) for topic in session.tabs for table, key, row, alone in _rows(session, topic)
    )
    for topic, table, key, row, alone in islice(rows, MOST_ROWS):
        open_it = partial(session.navigator.open_place, topic.name, table, key)
        yield Found(called(key, row, alone=alone), topic.places[table], "", row_says(row), open_it)


def _rows(session: Session, topic: Topic) -> Iterator[tuple[str, str, Any, bool]]:
    """Table, key and row of a topic's places, and whether the row is alone in having its name."""
    view = session.store.view(topic.name)
    for table in topic.places if view is not None else ():
        rows = ordered(getattr(view, table))
        shared = Counter(getattr(row, "name", "") for row in rows.values())
        for key, row in rows.items():
            yield table, key, row, shared[getattr(row, "name", "")] == 1


def called(key: str, row: Any, *, alone: bool) -> str:
    """What a row is called: its name, where it is `alone` in having it or where its key does not tell it; else its key.

    Things without a name and a verdict of their own are called also by what they say.
    """
    name = getattr(row, "name", "")
    if name and (alone or name not in key):
        return str(name)
    said = getattr(row, "title", "") or ("" if hasattr(row, "health") else getattr(row, "message", ""))
    return key if name or not said else f"{key} {said}"


def ordered(rows: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rows of a table; numbered ones, like the entries of the journal, newest first."""
    if rows and all(map(str.isdecimal, rows)):
        return {key: rows[key] for key in sorted(rows, key=int, reverse=True)}
    return rows


def targets(action: Action, session: Session) -> list[Found]:
    """The rows that an action may act on, those on which it does nothing now below the others, with the reason."""
    found: list[Found] = []
    for topic in (tab for tab in session.tabs if tab.name in action.screens):
        view = session.store.view(topic.name)
        for table in action.on:
            rows = ordered(getattr(view, table, {}))
            for key, row in islice(rows.items(), MOST_ROWS):
                reason = action.missing(ActionContext(session.store, topic.name, row))
                message = row_says(row) if reason is None else f"not now: {reason}"
                run = partial(session.navigator.act_on, action.id, topic.name, table, key)
                kind = topic.places.get(table, table)
                found.append(Found(called(key, row, alone=False), kind, "", message, run, reason is None))
    return sorted(found, key=lambda each: not each.works)
