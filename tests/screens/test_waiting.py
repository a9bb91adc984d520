"""A run that needs a person stands on every screen, and a key from everywhere opens its question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.tui.app import tabs
from state.api.run_states import RunState
from state.api.views.header import ConsoleRow, WaitingRun
from tests.screens.fake_engine import Stage, stage

QUESTION = "Did the error ratio fall?"
SIZES = [(80, 24), (120, 40)]


def waiting(st: Stage, run: str, **other: object) -> WaitingRun:
    row = WaitingRun(
        run, "Roll back a bad release", RunState.WAITING, "judge", 1, "ada", QUESTION, "", st.front.mono() - 42, 300.0
    )
    return replace(row, **other)  # type: ignore[arg-type]


def tell(st: Stage, *rows: WaitingRun) -> None:
    st.front.show("header", replace(st.front.view("header"), waiting={row.run: row for row in rows}))


@pytest.mark.parametrize("size", SIZES)
async def test_a_question_stands_on_every_screen_and_over_every_dialog(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        tell(st, waiting(st, "r-41"))
        for tab in tabs():
            await st.press(tab.digit)
            await st.sees("? r-41 asks ada, 00:4", f'of 05:00: "{QUESTION}"', "D decide")
            await st.press("question_mark")
            await st.sees("? r-41 asks ada")
            await st.press("escape")
        tell(st)
        await st.until(lambda: "asks ada" not in st.text, "the answered question gone")


async def test_a_paused_run_stands_too_and_what_does_not_fit_is_counted() -> None:
    async with stage() as st:
        paused = waiting(
            st, "r-39", state=RunState.PAUSED, question="", message="a person paused it", started_mono=None
        )
        tell(st, waiting(st, "r-41"), paused, replace(paused, run="r-38"))
        await st.sees("? r-41 asks ada", "= r-39 paused: a person paused it", "+1 more", "D open")


@pytest.mark.parametrize("start", ["1", "4", "9"])
async def test_one_key_from_everywhere_opens_the_question(start: str) -> None:
    async with stage() as st:
        tell(st, waiting(st, "r-41"))
        await st.press(start)
        await st.sees("r-41 asks ada")
        await st.press("D")
        await st.until(lambda: st.app.current_mode == "runbooks", "the runbooks screen")
        await st.sees(QUESTION, "choice", "yes", "no")
        assert st.front.acts == []


async def test_without_a_question_the_key_says_so() -> None:
    async with stage() as st:
        await st.press("D")
        await st.sees("answer: no run waits for a person")


async def test_who_else_is_here_and_what_they_look_at() -> None:
    async with stage(size=(120, 40)) as st:
        assert "also here" not in st.text
        mine = st.front.view("header").consoles
        assert [row.screen for row in mine.values()] == ["overview"]
        st.front.attached.rows = {
            **mine,
            "1-aa": ConsoleRow("1-aa", "ben", False, "traffic", 1.0),
            "2-bb": ConsoleRow("2-bb", "eve", True, "journal", 2.0),
        }
        await st.press("4")
        await st.sees("also here: ben on Traffic, eve observes Journal")
        assert next(iter(st.front.view("header").consoles.values())).screen == "traffic"
        await st.press("W")
        await st.sees("Who is here", "ben", "on Traffic, attached since 00:00:01Z")
