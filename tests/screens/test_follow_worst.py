"""Overview: until a person moves the cursor it is on the worst row; from then on it is theirs. Sorting by severity."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.tui.widgets.table import LineTable
from state.api.views.overview import OverviewView
from state.health import Health
from tests.screens.fake_engine import Stage, stage

SIZES = [(80, 24), (120, 40)]


def recover(st: Stage) -> LineTable:
    return st.app.screen.query_one("#recover", LineTable)


async def worse(st: Stage, name: str) -> None:
    """This row fails now and is the first to recover."""
    view: OverviewView = st.front.view("overview")
    rows = {
        key: replace(row, order=0 if row.name == name else row.order + 1) if row.name != name
        else replace(row, order=0, depth=0, waits_for="", health=Health.FAIL)
        for key, row in view.recover.items()
    }  # fmt: skip
    st.front.show("overview", replace(view, recover=rows))
    await st.until(lambda: recover(st).shown_keys()[0].endswith(f"/{name}"), f"{name} first")


def calm_header(st: Stage) -> None:
    """Nothing is told by the sentence: the order decides."""
    st.front.show("header", replace(st.front.view("header"), causes=()))


@pytest.mark.parametrize("size", SIZES)
async def test_the_selection_follows_the_worst_row_until_a_person_moves_it(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        assert recover(st).cursor_key == "database/orders"  # what the sentence is about
        await st.sees("fence n3 by hand:")
        calm_header(st)
        await worse(st, "search")
        await st.until(lambda: recover(st).cursor_key == "service/search", "the cursor on the row that fails now")
        await st.sees("FAIL search")
        await st.press("down")
        mine = recover(st).cursor_key
        await worse(st, "checkout")
        await st.pilot.pause(0.3)
        assert recover(st).cursor_key == mine


async def test_the_selection_of_who_opened_a_row_stays() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("enter", "escape")
        mine = recover(st).cursor_key
        calm_header(st)
        await worse(st, "search")
        await st.pilot.pause(0.3)
        assert recover(st).cursor_key == mine


async def test_states_are_sorted_by_severity_and_not_by_their_text() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("o")
        rows = st.front.view("overview").recover
        healths = [rows[key].health for key in recover(st).shown_keys()]
        order = [Health.FAIL, Health.UNKNOWN, Health.WARN, Health.PASS]
        assert healths == sorted(healths, key=order.index)
        assert len({*healths}) > 2
        await st.press("O")
        assert [rows[key].health for key in recover(st).shown_keys()] == sorted(healths, key=order.index, reverse=True)


async def test_a_p99_that_is_at_least_its_last_bucket_is_shown_whole() -> None:
    async with stage(size=(120, 40)) as st:
        view: OverviewView = st.front.view("overview")
        services = {name: replace(row, p99=1.0, p99_beyond=True) for name, row in view.services.items()}
        st.front.show("overview", replace(view, services=services))
        await st.sees("≥1000 ms")
        assert "####" not in st.text


async def test_a_clock_that_runs_until_a_recovery_is_sure_runs_in_the_row_too() -> None:
    async with stage(size=(120, 40)) as st:
        view: OverviewView = st.front.view("overview")
        row = replace(view.recover["service/checkout"], health=Health.PASS, since_mono=None, waits_for="", depth=0)
        assert row.rto is not None
        st.front.show("overview", replace(view, recover={"service/checkout": row}))
        await st.until(lambda: recover(st).row_count == 1, "one row")
        shown = {recover(st)._shown[0].cells[3].plain}  # type: ignore[union-attr]
        await st.until(lambda: recover(st)._shown[0].cells[3].plain not in shown, "the clock goes on")  # type: ignore[union-attr]
