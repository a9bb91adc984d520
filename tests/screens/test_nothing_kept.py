"""A console that is looked at for days: what was closed is forgotten."""

from __future__ import annotations

import gc

from textual._styles_cache import StylesCache
from textual.widget import Widget

from tests.screens.fake_engine import stage

CLOSED = 10


async def test_what_closed_dialogs_drew_is_forgotten() -> None:
    async with stage() as st:
        for _ in range(CLOSED):
            await st.press("question_mark")
            await st.until(lambda: st.app.screen.is_modal, "the help")
            await st.press("escape")
            await st.until(lambda: not st.app.screen.is_modal, "the screen again")
        gc.collect()
        there = gc.get_objects()
        used = {id(each._styles_cache) for each in there if isinstance(each, Widget)}
        left = [each for each in there if isinstance(each, StylesCache) and id(each) not in used]
        assert len(left) < CLOSED, "each closed dialog leaves something"
