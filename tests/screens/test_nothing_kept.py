"""A console that is looked at for days: what was closed is forgotten."""

from __future__ import annotations

import gc
from collections import Counter

from textual.dom import DOMNode
from textual.strip import Strip

from tests.screens.fake_engine import Stage, stage


async def opened_and_closed(st: Stage, times: int) -> Counter[str]:
    """What is there after a dialog was opened and closed so often, with another screen in front each time."""
    for turn in range(times):
        await st.press("1" if turn % 2 else "2")
        await st.press("question_mark")
        await st.until(lambda: st.app.screen.is_modal, "the help")
        await st.press("escape")
        await st.until(lambda: not st.app.screen.is_modal, "the screen again")
    await st.press("1")
    await st.pilot.pause()
    gc.collect()
    kept = Counter[str]()
    for each in gc.get_objects():
        if isinstance(each, Strip | DOMNode):
            kept[type(each).__name__] += 1
    return kept


async def test_what_closed_dialogs_drew_is_forgotten() -> None:
    async with stage() as st:
        before = await opened_and_closed(st, 4)
        after = await opened_and_closed(st, 8)
    grown = {name: (before[name], n) for name, n in after.items() if n > before[name] + 40}
    assert not grown
    assert after["TextDialog"] <= before["TextDialog"] + 2
