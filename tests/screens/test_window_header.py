"""The protected window in the header of every screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from state.api.views.header import ProtectedWindow
from tests.screens.fake_engine import stage
from tests.screens.fake_views import incident

NINE = 1_795_856_400.0
WINDOW = ProtectedWindow("payday", "pay day", NINE, NINE + 8 * 3600, "Sat 28 Nov 09:00 to 17:00 Europe/Berlin", True)


@pytest.mark.parametrize(
    ("size", "told"), [((80, 24), "PROTECTED"), ((120, 40), "PROTECTED pay day"), ((200, 50), "to 17:00")]
)
async def test_an_open_window_is_seen_on_every_screen_beside_a_running_rto(size: tuple[int, int], told: str) -> None:
    header = replace(incident()["header"], window=WINDOW)
    async with stage(size=size, topics={"header": header}) as st:
        for digit in ("1", "5", "9"):
            await st.press(digit)
            first = st.text.splitlines()[0]
            assert told in first, first
            assert "RTO" in first
            assert "risk" in first


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_next_window_is_always_visible(size: tuple[int, int]) -> None:
    header = replace(incident()["header"], window=replace(WINDOW, open=False))
    async with stage(size=size, topics={"header": header}) as st:
        assert "window" in st.text.splitlines()[0]
        assert "11-28" in st.text.splitlines()[0] or "28 Nov" in st.text.splitlines()[0]
