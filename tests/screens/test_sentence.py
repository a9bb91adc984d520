"""What is wrong stands under the tabs of every screen, its keys lead out, and a lost engine leaves no verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.tui.app import tabs
from console.tui.dialogs.base import TextDialog
from console.tui.dialogs.detail import DetailDialog
from console.tui.dialogs.form import FormDialog
from state.api.views.causes import Forecast, ForecastKind, NextKind, NextStep
from state.health import Health
from tests.screens.fake_engine import stage

SIZES = [(80, 24), (120, 40)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scene", ["incident", "calm"])
async def test_a_lost_engine_leaves_no_verdict_on_any_screen(scene: str, size: tuple[int, int]) -> None:
    async with stage(scene, size) as st:
        for screen in tabs():
            await st.press(screen.digit)
        st.app.store.lost("refused")
        st.app._announce()
        for screen in tabs():
            await st.press(screen.digit)
            await st.sees("ENGINE LOST", "recovery engine start")
            for word in ("✓", "PASS", "✗", "FAIL ", "SPLIT BRAIN", "within"):
                assert word not in st.text, f"{word} on {screen.title}:\n{st.text}"


@pytest.mark.parametrize("size", SIZES)
async def test_the_sentence_stands_on_every_screen_and_counts_the_others(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        for screen in tabs():
            await st.press(screen.digit)
            await st.sees("orders: SPLIT BRAIN, n1 and n3 both accept writes 03:2", "! +1 more")
        await st.press("exclamation_mark")
        await st.until(lambda: isinstance(st.app.screen, DetailDialog), "the list")
        await st.sees(
            "checkout: waits for orders", "Stop Patroni and PostgreSQL on n3", "The engine asks again by itself"
        )


async def test_the_forecast_gives_way_before_the_cause_and_its_time() -> None:
    async with stage(size=(80, 24)) as st:
        header = st.front.view("header")
        mono = st.front.mono()
        promotion = Forecast(ForecastKind.PROMOTION, "Patroni promotes n2", mono + 18)
        short = replace(
            header.causes[0], what="primary n1 does not answer", forecast=promotion, since_mono=mono - 38, next=None
        )
        st.front.show("header", replace(header, causes=(short,)))
        await st.sees("✗ orders: primary n1 does not answer 00:3", "Patroni promotes n2 in ≤ 1")
        long = replace(short, what="primary n1 does not answer, nor its Patroni")
        st.front.show("header", replace(header, causes=(long,)))
        await st.sees("✗ orders: primary n1 does not answer, nor its Patroni 00:")
        assert "promotes" not in st.lines[2]


async def test_a_cause_that_is_long_takes_a_second_line_and_is_cut_nowhere() -> None:
    async with stage(size=(80, 24)) as st:
        header = st.front.view("header")
        step = NextStep(NextKind.HAND, "", {}, "b", "by hand", "Correct the record.")
        what = "no new requests arrive, DNS checkout.shop.example answers 127.0.9.9, none of its addresses"
        long = replace(header.causes[0], name="checkout", what=what, next=step, since_mono=st.front.mono() - 38)
        st.front.show("header", replace(header, causes=(long,)))
        await st.until(lambda: what in " ".join(st.text.split()), "both lines of the sentence")
        said = " ".join(line.strip() for line in st.lines[2:4])
        assert what in " ".join(said.split()), st.text
        assert st.lines[3].rstrip().endswith("b by hand"), st.text


async def test_a_key_leads_to_what_a_person_does_by_hand() -> None:
    async with stage() as st:
        await st.press("f")
        await st.until(lambda: isinstance(st.app.screen, TextDialog), "the way by hand")
        await st.sees("Fence n3 by hand", "Stop Patroni and PostgreSQL on n3.")
        await st.press("escape", "r")
        await st.sees("no service fails on a release that another one could")


async def test_a_key_opens_the_runbook_that_fits_with_its_parameters_filled_in() -> None:
    async with stage() as st:
        view = st.front.view("overview")
        step = NextStep(
            NextKind.RUNBOOK, "rollback-release", {"service": "checkout", "to": "blue"}, "r", "roll back", "Roll back."
        )
        row = replace(view.recover["service/checkout"], next=step, health=Health.FAIL)
        st.front.show("overview", replace(view, recover={**view.recover, "service/checkout": row}))
        await st.press("down")
        await st.until(lambda: st.lines[6].rstrip().endswith(" r"), "the key at the end of its row")
        await st.press("r")
        await st.until(lambda: isinstance(st.app.screen, FormDialog), "the form")
        await st.sees("checkout", "blue")
        assert not st.front.previews


async def test_an_observer_is_told_why_the_runbook_does_not_open() -> None:
    async with stage(may_act=False) as st:
        header = st.front.view("header")
        step = NextStep(NextKind.RUNBOOK, "rollback-release", {}, "r", "roll back", "Roll back.")
        st.front.show("header", replace(header, causes=(replace(header.causes[0], next=step),)))
        await st.until(lambda: "r roll back" in st.lines[2], "the key in the sentence")
        await st.press("r")
        await st.sees("u1 has the role observer; acting")
