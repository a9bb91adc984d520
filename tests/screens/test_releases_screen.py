"""Screen 5: the matrix, drift, the best way back, and the key that takes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from state.api.requests import PlanRollback
from state.api.views.releases import ReleasesView
from tests.screens.fake_engine import stage
from tests.screens.fake_releases import V41, releases

SIZES = [(80, 24), (120, 40)]


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_screenful_has_drift_the_way_back_and_why_not_the_other(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        await st.press("5")
        for text in ("v42 names 2 artifacts", "green-west", "1 safe by a flip", "2 blocked", "serves", "ready 100%"):
            await st.sees(text)


async def test_the_key_takes_the_best_way_back_from_every_row() -> None:
    async with stage() as st:
        await st.press("5", "r")
        await st.until(lambda: bool(st.front.previews), "the card")
        assert st.front.previews == [PlanRollback("checkout", V41)]


async def test_a_release_that_is_not_safe_is_not_sent_and_says_why() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("5", "tab", "tab", "down")
        await st.sees("no: schema 12 is not in its range 10 to 11")
        await st.press("r")
        await st.sees("not safe to go back to")
        assert st.front.previews == []


async def test_without_a_safe_release_the_way_forward_is_said() -> None:
    view: ReleasesView = releases(0.0, 0.0)
    forward = "Go forward: make a release that runs on schema 13, from v42 with the fault mended, and record it"
    row = replace(view.services["checkout"], offered="", forward=forward)
    async with stage(size=(120, 40), topics={"releases": replace(view, services={"checkout": row})}) as st:
        await st.press("5")
        await st.sees("Go forward: make a release that runs on schema 13")
        await st.press("r")
        await st.sees("no release is safe to go back to")
        assert st.front.previews == []


async def test_an_instance_is_found_by_its_name_and_shown_under_its_service() -> None:
    async with stage(size=(120, 40)) as st:
        st.app.navigator.open_place("releases", "instances", "checkout/blue-west")
        await st.until(lambda: st.app.current_mode == "releases", "Releases")
        await st.sees("unknown: a cache answered (Age: 30)")
