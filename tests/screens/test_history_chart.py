"""The chart of a service: an hour with times of day, gaps, the target, and the runs that touched the service."""

from __future__ import annotations

from dataclasses import replace

from console.tui.parts.history import hour_of
from console.tui.widgets.chart import Chart
from state.api.views.history import BLOCK, STEP, HistoryBlock, HistoryView
from state.units import percent, utc
from tests.screens.fake_engine import stage


def hour(now: float, *, until: float = 0.0) -> HistoryView:
    """An hour until some seconds before now; nothing was read in the fourth block of five minutes."""
    first = now - 3600 - until
    blocks = {}
    for number in range(12):
        if number != 3:
            errors = tuple(0.3 if number > 8 else 0.002 for _ in range(BLOCK))
            start = first + number * BLOCK * STEP
            blocks[f"checkout/{number}"] = HistoryBlock("checkout", start, errors, errors, errors)
    return HistoryView(blocks)


async def test_an_hour_has_times_a_gap_the_target_and_the_run_that_touched_the_service() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("3", "1")  # the runs are known
        now = st.app.store.wall
        st.front.show("history", hour(now))
        chart = st.app.screen.query_one(Chart)
        await st.until(lambda: utc(now)[:5] in chart.plain.splitlines()[-1], "the time of day")
        *blocks, events, axis = chart.plain.splitlines()
        assert 8 <= len(blocks) <= 12
        assert axis.count(":") >= 3
        assert "╳ r-41" in events
        bottom = blocks[-1].partition("% ")[2].replace("╌", " ")
        assert " " in bottom.strip()
        assert any(line.lstrip().startswith("1.0%") for line in blocks)


async def test_a_silent_source_leaves_its_gap_at_the_right() -> None:
    async with stage(size=(120, 40)) as st:
        now = st.app.store.wall
        st.front.show("history", hour(now, until=900))
        await st.until(lambda: st.app.store.view(HistoryView) and st.app.store.view(HistoryView).blocks, "the history")
        drawing = hour_of(st.app.store, "checkout", "errors", target=0.01, label=percent)
        assert drawing is not None
        assert drawing.started_at is not None
        assert all(value is None for value in drawing.values[-58:])
        assert drawing.values[-70] is not None
        assert abs(drawing.started_at + len(drawing.values) * drawing.step - now) < 2 * STEP


async def test_without_history_the_last_readings_are_drawn() -> None:
    async with stage(size=(120, 40)) as st:
        st.front.show("overview", replace(st.front.view("overview")))
        chart = st.app.screen.query_one(Chart)
        await st.until(lambda: "40 readings" in chart.plain, "the trend")
