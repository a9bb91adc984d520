"""Text from outside neither acts on the terminal, nor is read as markup, nor breaks a screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.tui.dialogs.card import CardDialog
from console.tui.screens import SCREENS
from state.text import cells, is_clean
from tests.screens.fake_engine import stage
from tests.screens.fake_views import HOSTILE, card

SHOWN = "\\x1b[31mred"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_every_screen_survives_a_hostile_world(size: tuple[int, int]) -> None:
    async with stage("hostile", size) as st:
        for screen in SCREENS:
            await st.press(screen.digit)
            for keys in ((), ("tab",), ("tab",), ("j",), ("question_mark", "escape"), ("colon", "escape")):
                await st.press(*keys)
                assert all(is_clean(line) for line in st.lines)
                assert max(map(cells, st.lines)) <= size[0]
                assert st.lines[0].startswith(" LAB ")


async def test_hostile_text_is_shown_faithfully() -> None:
    async with stage("hostile", (160, 50)) as st:
        await st.press("9")
        await st.sees(SHOWN, "[/foo] [b]y[/b]", "\\u202etxt.exe", "[@click=app.quit]z[/]")


async def test_a_hostile_card_and_palette() -> None:
    async with stage("hostile") as st:
        st.front.show("header", replace(st.front.view("header"), effects=""))
        await st.until(lambda: "EFFECTS" not in st.text, "effects allowed")
        st.front.card = card(title=f"t {HOSTILE}", changes=(HOSTILE,), warnings=(HOSTILE,))
        await st.press("4", "tab", "d")
        await st.until(lambda: isinstance(st.app.screen, CardDialog), "the card")
        await st.sees(SHOWN)
        assert all(is_clean(line) for line in st.lines)
        await st.press("escape", "ctrl+p", "x")
        assert all(is_clean(line) for line in st.lines)
