"""Drift: the engine knows its own changes again, and records each change from outside."""

from __future__ import annotations

import asyncio

from state.detection.events import DriftDetected
from tests.support.small_estate import Small, change, small


async def settled(lab: Small) -> None:
    """Several readings of the balancer later."""
    await asyncio.sleep(0.3)


def detected(lab: Small) -> list[str]:
    return [row.message for row in lab.engine.journal_rows(0, 10_000) if row.kind == DriftDetected.kind]


async def by_engine(lab: Small, weight: int) -> None:
    card = await lab.preview(change("server.weight", server="green", weight=weight))
    assert await lab.ended((await lab.submit(card)).run) == "done"


async def test_effects_on_the_same_server_one_after_another_are_no_drift() -> None:
    async with small() as lab:
        for weight in (10, 20, 30):
            await by_engine(lab, weight)
        drain = await lab.preview(change("server.drain", server="green"))
        assert await lab.ended((await lab.submit(drain)).run) == "done"
        await settled(lab)
        assert detected(lab) == []


async def test_each_change_from_outside_is_recorded_and_cleared_by_the_next_effect() -> None:
    async with small() as lab:
        await by_engine(lab, 10)
        for weight in (11, 12, 13):
            await lab.balancer.set_weight("shop", "green", weight, deadline=1)
            await settled(lab)
        assert detected(lab) == [f"edge: changed from outside, green weight 10 → {w}" for w in (11, 12, 13)]
        assert lab.engine.view("header").alarms == ("edge: changed from outside, green weight 10 → 13",)
        await by_engine(lab, 40)
        await settled(lab)
        assert lab.engine.view("header").alarms == ()
        await lab.balancer.set_state("shop", "green", "maint", deadline=1)
        await settled(lab)
        assert detected(lab)[3:] == ["edge: changed from outside, green ready → maint"]


async def test_what_an_effect_left_is_known_again_after_a_restart() -> None:
    async with small() as lab:
        await by_engine(lab, 10)
        store, balancer = lab.store, lab.balancer
    await balancer.set_weight("shop", "green", 99, deadline=1)
    async with small(balancer=balancer, store=store) as lab:
        await settled(lab)
        assert detected(lab) == ["edge: changed from outside, green weight 10 → 99"]
