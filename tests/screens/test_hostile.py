"""Text from outside neither acts on the terminal, nor is read as markup, nor breaks a screen; and what is shown
tells what was received."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from console.tui.app import tabs
from console.tui.dialogs.card import CardDialog
from console.tui.dialogs.finder import FinderDialog
from console.tui.parts.facts import Facts, LabelledText
from console.tui.screens.base import MainScreen
from console.tui.widgets.table import LineTable
from state.api.card import Card, CardWarning, Confirm, Diff, FactKind, WarningKind
from state.api.views.header import HeaderView
from state.api.wire import plain, revive
from state.text import cells, clean, decode, is_clean
from tests.screens.corpus import hostile_strings, poisoned, poisoned_views
from tests.screens.fake_engine import Stage, stage
from tests.screens.fake_views import HOSTILE, SCENES
from tests.screens.still import lines
from tests.support.cards import card

SHOWN = "\\x1b[31mred"
ENOUGH = 2_000
MANY = 40_000


def harmless(st: Stage, width: int) -> None:
    """Nothing on the screen can act, and nothing is wider than it."""
    for line in st.lines:
        assert is_clean(line), repr(line)
        assert cells(line) <= width
    assert st.lines[0].lstrip().startswith(clean(st.app.store.view(HeaderView).environment).upper()[:8])  # type: ignore[union-attr]


def received(st: Stage, views: dict[str, Any]) -> None:
    """The console is told these views, as a stream would."""
    for line in lines(views):
        st.app.store.apply(json.loads(json.dumps(line)))
    st.app.store.take_changes()
    front = st.app.screen
    if isinstance(front, MainScreen):
        front.paint_all()


def facts_of(front: MainScreen) -> dict[str, str]:
    """The words of the detail pane by label."""
    rows = front.detail_rows()
    return {row.label.plain.strip(): row.message.plain for row in rows if isinstance(row, LabelledText)}


async def journal_tells_everything(st: Stage, views: dict[str, Any]) -> int:
    """Each entry's words and kind, decoded from its detail, are what was sent."""
    front = st.app.screen
    assert isinstance(front, MainScreen)
    table = front.query_one("#entries", LineTable)
    for key, row in views["journal"].entries.items():
        assert table.move_to(key)
        told = facts_of(front)
        assert decode(told["in words"]) == row.message
        assert decode(told["hash"].split("  (r:")[0]) == row.hash
    return len(views["journal"].entries)


async def every_screen(st: Stage, views: dict[str, Any], width: int) -> None:
    """All screens, all tables, all rows with their details."""
    for tab in tabs():
        st.app.switch_mode(tab.name)
        await st.until(lambda tab=tab: st.app.current_mode == tab.name and st.app.screen.ready, tab.name)  # type: ignore[attr-defined,misc]
        received(st, views)
        front = st.app.screen
        assert isinstance(front, MainScreen)
        for table in front.query(LineTable):
            if not table.region.area:
                continue
            table.focus()
            for key in table.shown_keys()[:8]:
                table.move_to(key)
                assert all(is_clean(text) for text in facts_of(front).values())
            await st.settle()
            harmless(st, width)
        if tab.name == "journal":
            await journal_tells_everything(st, views)


def card_texts(sent: Card) -> Iterator[str]:
    """What a card must show as it was sent."""
    for diff in sent.diffs:
        yield from (diff.subject, diff.before, diff.after)
    for fact in sent.facts:
        if fact.kind in (FactKind.DOES, FactKind.IDENTITY):
            yield fact.value
    yield from (rule.fact for rule in sent.rules if rule.passed)
    yield from (text for each in sent.refusals for text in (each.rule, each.fact, each.way_out))
    yield from (warning.message for warning in sent.warnings)
    yield from (sent.loss.note, *(each.note for each in sent.downtime), *(each.verb for each in sent.undo))


async def dialogs(st: Stage, strings: Iterator[str], width: int) -> int:
    """Detail, go-to, palette and a card made of hostile text."""
    for key in ("enter", "colon", "ctrl+p", "question_mark", "P"):
        st.send(key)
        await st.settle()
        harmless(st, width)
        if isinstance(st.app.screen, FinderDialog):
            for char in "x[1":
                st.send(char)
            await st.settle()
            harmless(st, width)
        st.send("escape")
        await st.settle()
    used: list[str] = []
    sent = poisoned(card(Confirm.NONCE_AND_NAME), strings, used)
    made: Card = revive(Card, json.loads(json.dumps(plain(sent))))
    st.app.push_screen(CardDialog(made, None))  # type: ignore[arg-type]
    await st.settle()
    harmless(st, width)
    message = st.app.screen.query_one(Facts).plain
    for text in card_texts(sent):
        assert clean(text) in message
        assert decode(clean(text)) == text
    st.send("escape")
    await st.until(lambda: isinstance(st.app.screen, MainScreen), "the way out")
    return len(used)


async def corpus(count: int, seed: int) -> None:
    strings = hostile_strings(seed)
    done = 0
    async with stage("incident") as st:
        # From here on only the corpus is told.
        st.app.workers.cancel_group(st.app, "engine")
        width = 80
        while done < count:
            views, used = poisoned_views(SCENES["incident"](), strings)
            await every_screen(st, views, width)
            done += len(used) + await dialogs(st, strings, width)
        assert st.app.is_running
        assert st.front.acts == []
        assert st.front.previews == []


async def test_thousands_of_hostile_strings_are_shown_and_do_nothing() -> None:
    await corpus(ENOUGH, seed=1)


@pytest.mark.torture
@pytest.mark.parametrize("seed", [2, 3, 4])
async def test_ten_thousands_of_hostile_strings_are_shown_and_do_nothing(seed: int) -> None:
    await corpus(MANY, seed)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_every_screen_survives_a_hostile_world(size: tuple[int, int]) -> None:
    async with stage("hostile", size) as st:
        for screen in tabs():
            await st.press(screen.digit)
            for keys in ((), ("tab",), ("tab",), ("j",), ("question_mark", "escape"), ("colon", "escape")):
                await st.press(*keys)
                assert all(is_clean(line) for line in st.lines)
                assert max(map(cells, st.lines)) <= size[0]
                assert st.lines[0].startswith(" LAB ")


async def test_hostile_text_is_shown_faithfully() -> None:
    async with stage("hostile", (160, 50)) as st:
        await st.press("9", "enter")
        await st.sees(SHOWN, "[/foo] [b]y[/b]", "\\u202etxt.exe", "[@click=app.quit]z[/]")


async def test_a_hostile_card_and_palette() -> None:
    async with stage("hostile") as st:
        st.front.show("header", replace(st.front.view("header"), effects=""))
        await st.until(lambda: "EFFECTS" not in st.text, "effects allowed")
        warning = CardWarning(WarningKind.EFFECT, HOSTILE, HOSTILE)
        diffs = (Diff(HOSTILE, HOSTILE, HOSTILE),)
        st.front.card = card(title=f"t {HOSTILE}", diffs=diffs, warnings=(warning,))
        await st.press("4", "tab", "d")
        await st.until(lambda: isinstance(st.app.screen, CardDialog), "the card")
        await st.sees(SHOWN)
        assert all(is_clean(line) for line in st.lines)
        await st.press("escape", "ctrl+p", "x")
        assert all(is_clean(line) for line in st.lines)
