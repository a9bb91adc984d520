"""What the screens look like, pinned: few pictures, a standing clock. `make snapshots` renews them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.tui.app import ConsoleApp, tabs
from console.tui.dialogs.card import CardDialog
from state.api.card import Card, Confirm
from state.api.messages import Accepted
from tests.screens.fake_views import incident_at
from tests.screens.pinned import DRAWN_WITH, HERE
from tests.screens.still import MONO, WALL, still_app
from tests.support.cards import card

Compare = Callable[..., bool]
SIZES = [(80, 24), (120, 40)]


def name_of(value: object) -> str:
    return f"{value[0]}x{value[1]}" if isinstance(value, tuple) else str(value)


def console() -> ConsoleApp:
    return still_app(incident_at(MONO, WALL))


async def shown(pilot: Pilot[Any], digit: str) -> None:
    """The screen behind a digit, at rest."""
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    while app.store.view("journal") is None or not app._announced:
        await pilot.pause(0.02)
    await pilot.press(digit)
    await pilot.pause(0.3)


def test_the_pictures_belong_to_this_python_and_textual() -> None:
    assert HERE == DRAWN_WITH


@pytest.mark.parametrize("size", SIZES, ids=name_of)
@pytest.mark.parametrize("tab", tabs(), ids=lambda tab: tab.name)
def test_screen(snap_compare: Compare, tab: Any, size: tuple[int, int]) -> None:
    assert snap_compare(console(), terminal_size=size, run_before=lambda pilot: shown(pilot, tab.digit))


async def never(_card: Card, _typed: object) -> Accepted:
    raise AssertionError("a picture sends nothing")


@pytest.mark.parametrize("size", SIZES, ids=name_of)
def test_card(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def opened(pilot: Pilot[Any]) -> None:
        await shown(pilot, "4")
        drawn = card(Confirm.NONCE_AND_NAME, arm=0.0)
        pilot.app.push_screen(CardDialog(drawn, never, clock_=lambda: MONO))
        await pilot.pause(0.3)

    assert snap_compare(console(), terminal_size=size, run_before=opened)


def test_every_picture_has_its_test() -> None:
    pictures = list((Path(__file__).parent / "__snapshots__" / "test_snapshots").glob("*"))
    assert len(pictures) == len(SIZES) * (len(tabs()) + 1)
