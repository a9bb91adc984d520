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


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_that_nobody_knows_whether_a_window_is_open_is_seen_beside_a_running_rto(size: tuple[int, int]) -> None:
    """Also where the next one of another window is known: that one says nothing about now."""
    header = replace(incident()["header"], window=replace(WINDOW, open=False), windows_unknown=("freeze",))
    async with stage(size=size, topics={"header": header}) as st:
        for digit in ("1", "5", "9"):
            await st.press(digit)
            first = st.text.splitlines()[0]
            assert "PROTECTED?" in first, first
            assert "RTO" in first


async def test_a_window_of_a_calendar_has_its_file_and_how_old_that_is_where_there_is_room() -> None:
    window = replace(WINDOW, title="freeze: pay day", file="business.ics", written=NINE - 86_400)
    async with stage(size=(300, 50), topics={"header": replace(incident()["header"], window=window)}) as st:
        assert "(business.ics of 2026-11-27 09:00:00Z)" in st.text.splitlines()[0]
    async with stage(size=(80, 24), topics={"header": replace(incident()["header"], window=window)}) as st:
        assert "PROTECTED" in st.text.splitlines()[0]
