"""Drift: the engine knows its own changes again, and records each change from outside."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from adapters.balancers.memory import MemoryBalancer
from state.detection.events import DriftDetected
from state.ports.target import Receipt
from tests.support.small_estate import LoopClock, Small, change, small

pytestmark = pytest.mark.virtual_time


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
        assert lab.engine.view("header").causes[0].next.key == "t"
        assert not lab.engine.view("overview").summary.startswith("all ")
        await by_engine(lab, 40)
        await settled(lab)
        assert lab.engine.view("header").alarms == ()
        await lab.balancer.set_state("shop", "green", "maint", deadline=1)
        await settled(lab)
        assert detected(lab)[3:] == ["edge: changed from outside, green ready → maint"]


async def test_who_confirms_what_is_there_already_accepts_it() -> None:
    async with small() as lab:
        await by_engine(lab, 10)
        await lab.balancer.set_weight("shop", "green", 13, deadline=1)
        await settled(lab)
        assert lab.engine.view("header").alarms != ()
        await by_engine(lab, 13)
        await settled(lab)
        assert lab.engine.view("header").alarms == ()
        store, balancer = lab.store, lab.balancer
    async with small(balancer=balancer, store=store) as lab:  # and after a restart too
        await settled(lab)
        assert lab.engine.view("header").alarms == ()


class Restartable(MemoryBalancer):
    """Forgets what was set when it restarts, as a balancer without a state file does."""

    def __init__(self) -> None:
        super().__init__("edge", {"shop": {"blue": 100, "green": 0}})
        self._started = LoopClock().wall() - 3600.0

    def restart(self) -> None:
        self._started = LoopClock().wall()
        self._servers = {k: replace(s, weight=s.configured_weight) for k, s in self._servers.items()}


async def test_what_an_effect_left_is_known_again_after_a_restart() -> None:
    async with small(balancer=Restartable()) as lab:
        await by_engine(lab, 10)
        store, balancer = lab.store, lab.balancer
    await balancer.set_weight("shop", "green", 99, deadline=1)
    async with small(balancer=balancer, store=store) as lab:
        await settled(lab)
        assert detected(lab) == ["edge: changed from outside, green weight 10 → 99"]


async def test_a_restart_stays_the_cause_and_is_recorded_once_when_one_server_is_set_again() -> None:
    edge = Restartable()
    async with small(balancer=edge) as lab:
        for server, weight in (("green", 10), ("blue", 80)):
            card = await lab.preview(change("server.weight", server=server, weight=weight))
            assert await lab.ended((await lab.submit(card)).run) == "done"
        await settled(lab)
        edge.restart()
        await settled(lab)
        assert len(detected(lab)) == 1
        assert "process restarted" in detected(lab)[0]
        await by_engine(lab, 20)
        await settled(lab)
        assert len(detected(lab)) == 1, "setting green again is not somebody's change of blue"
        (alarm,) = lab.engine.view("header").alarms
        assert "process restarted" in alarm
        assert alarm.endswith("blue weight 80 → 100")


async def test_a_restart_while_no_engine_ran_is_not_called_a_change_from_outside() -> None:
    edge = Restartable()
    async with small(balancer=edge) as lab:
        await by_engine(lab, 10)
        store = lab.store
    edge.restart()
    async with small(balancer=edge, store=store) as lab:
        await settled(lab)
        (message,) = detected(lab)
        assert "process restarted" in message


async def test_drift_that_an_engine_recorded_is_not_recorded_again_by_the_next() -> None:
    async with small() as lab:
        await by_engine(lab, 10)
        await lab.balancer.set_weight("shop", "green", 11, deadline=1)
        await settled(lab)
        store, edge = lab.store, lab.balancer
    async with small(balancer=edge, store=store) as lab:
        await settled(lab)
        assert detected(lab) == ["edge: changed from outside, green weight 10 → 11"]
        assert lab.engine.view("header").alarms == ("edge: changed from outside, green weight 10 → 11",)
        await edge.set_weight("shop", "green", 12, deadline=1)
        await settled(lab)
        assert detected(lab)[1:] == ["edge: changed from outside, green weight 10 → 12"]


async def test_an_effect_that_did_not_happen_leaves_nothing_to_be_held_against_anybody() -> None:
    class Stubborn(MemoryBalancer):
        async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Receipt:
            return (
                Receipt("silent", "")
                if weight == 30
                else await super().set_weight(backend, server, weight, deadline=deadline)
            )

    edge = Stubborn("edge", {"shop": {"blue": 100, "green": 0}})
    async with small(balancer=edge) as lab:
        card = await lab.preview(change("server.weight", server="green", weight=30))
        assert await lab.ended((await lab.submit(card)).run) == "failed"
        await edge.set_weight("shop", "green", 5, deadline=1)
        await settled(lab)
        assert detected(lab) == []
