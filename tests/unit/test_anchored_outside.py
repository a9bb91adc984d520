"""Where nothing outside of this host takes what is recorded, wide changes wait; stopping and ending never do."""

from __future__ import annotations

import asyncio

import pytest

from state.api.requests import PlanRunbook
from state.errors import Refused
from tests.support.run_books import ask, weight
from tests.support.small_estate import COMMANDER, Small, change, flip, small
from tests.unit.test_anchoring import Memory, estate

pytestmark = pytest.mark.virtual_time

RULE = "anchored-outside"
BOOK = {"runbook": "asking", "title": "Ask", "steps": [ask("q", {"go": "continue"}), weight("w", "green", 9)]}


async def carried_out(lab: Small, to: str) -> str:
    card = await lab.preview(flip(to))
    return (await lab.submit(card)).run


async def silent(lab: Small, seconds: float) -> None:
    """So long after everything has failed."""
    await asyncio.sleep(60)
    assert "anchor.lost" in lab.kinds()
    await asyncio.sleep(seconds)


async def test_a_wide_change_is_refused_once_every_place_was_silent_for_too_long() -> None:
    places = {"one": Memory(), "two": Memory()}
    async with small(estate=estate("one", "two", every=5.0, refuse_after=600.0), anchors=places) as lab:
        assert await lab.ended(await carried_out(lab, "green")) == "done"
        for place in places.values():
            place.fails = True
        await silent(lab, 300)
        assert await lab.ended(await carried_out(lab, "blue")) == "done", "not yet for so long"
        await silent(lab, 600)
        card = await lab.preview(flip("green"))
        (refusal,) = [each for each in card.refusals if each.rule == RULE]
        assert "one, two have taken no anchor for 1" in refusal.fact
        assert "recovery check --connect" in refusal.way_out
        assert refusal.who
        with pytest.raises(Refused, match=RULE):
            await lab.submit(card)
        narrow = change("server.weight", server="green", weight=7)
        assert await lab.ended((await lab.submit(await lab.preview(narrow))).run) == "done", "B1 goes on"
        places["two"].fails = False
        await asyncio.sleep(60)
        assert await lab.ended(await carried_out(lab, "green")) == "done", "one place is enough"


async def test_it_is_judged_again_when_the_card_is_confirmed_and_after_a_restart() -> None:
    place = Memory()
    place.fails = True
    what = estate("one", every=5.0, refuse_after=120.0)
    async with small(estate=what, anchors={"one": place}) as lab:
        await asyncio.sleep(100)
        card = await lab.preview(flip("green"))
        assert card.refusals == ()
        await asyncio.sleep(28)
        with pytest.raises(Refused, match=RULE):
            await lab.submit(card)
    async with small(estate=what, anchors={"one": place}, store=lab.store, balancer=lab.balancer) as again:
        with pytest.raises(Refused, match=RULE):
            await carried_out(again, "green")


async def test_stopping_is_never_refused() -> None:
    place = Memory()
    async with small(BOOK, estate=estate("one", every=5.0, refuse_after=60.0), anchors={"one": place}) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("asking")))).run
        place.fails = True
        await silent(lab, 600)
        await lab.engine.stop_all(COMMANDER)
        assert await lab.ended(run) == "stopped"


async def test_without_the_policy_or_without_places_nothing_is_refused() -> None:
    place = Memory()
    place.fails = True
    async with small(estate=estate("one", every=5.0), anchors={"one": place}) as lab:
        await silent(lab, 5000)
        assert await lab.ended(await carried_out(lab, "green")) == "done"
    async with small(estate=estate(refuse_after=60.0)) as lab:
        await asyncio.sleep(5000)
        assert await lab.ended(await carried_out(lab, "green")) == "done"
