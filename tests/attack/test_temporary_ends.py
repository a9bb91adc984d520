"""Something temporary ends: though its target is away, though the engine is killed at any instant of its end, and not
over what somebody else has set meanwhile. What does not end is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import Pause, PlanSet, PlanShare, Resume, Stop
from state.errors import EffectUnknown, ReadFailure, Refused, Trouble
from state.ports.target import Identity, Receipt
from state.runs.model import Run
from state.world.balancer_parts import BalancerReading, Server
from tests.support.small_estate import COMMANDER, Small, small

pytestmark = pytest.mark.virtual_time
BEFORE, SHARED = {"blue": 100, "green": 0}, {"blue": 50, "green": 50}
SHARE = PlanShare(service="shop", to="green", percent=50, lasts=600.0, comment="try v42")


class Away(MemoryBalancer):
    """A balancer that can stop answering, and lose what it is told."""

    def __init__(self) -> None:
        super().__init__("edge", {"shop": dict(BEFORE)})
        self.away, self.loses, self.told = False, 0, 0

    async def read(self, *, deadline: float) -> BalancerReading:
        self._require()
        return await super().read(deadline=deadline)

    async def read_backend(self, backend: str, *, deadline: float) -> tuple[Server, ...]:
        self._require()
        return await super().read_backend(backend, deadline=deadline)

    async def identify(self, *, deadline: float) -> Identity:
        self._require()
        return await super().identify(deadline=deadline)

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Receipt:
        self._require()
        self.told += 1
        if self.loses:
            self.loses -= 1
            raise EffectUnknown("no answer", "no-answer", over=True)
        return await super().set_weight(backend, server, weight, deadline=deadline)

    def by_hand(self, server: str, weight: int) -> None:
        """Somebody else sets a weight."""
        key = f"shop/{server}"
        self._servers[key] = replace(self._servers[key], weight=weight)

    def _require(self) -> None:
        if self.away:
            raise ReadFailure(Trouble.TIMEOUT, "no answer")


async def begun(lab: Small) -> Run:
    """A temporary share that is in force."""
    accepted = await lab.submit(await lab.preview(SHARE))
    await asyncio.sleep(60)
    assert await lab.weights() == SHARED
    return lab.engine.history.runs[accepted.run]


def alarms(lab: Small) -> tuple[str, ...]:
    found: tuple[str, ...] = lab.engine.view("header").alarms
    return tuple(each for each in found if "temporary" in each)


async def test_it_ends_when_its_target_answers_again_and_its_overrun_is_an_alarm() -> None:
    balancer = Away()
    async with small(every=5.0, balancer=balancer) as lab:
        run = await begun(lab)
        balancer.away = True
        await asyncio.sleep(500)
        assert not alarms(lab)
        await asyncio.sleep(300)
        (alarm,) = alarms(lab)
        assert alarm.startswith(f"{run.id} is temporary, it was to end "), alarm
        assert alarm.endswith("waits until its target can be read: no answer"), alarm
        balancer.away = False
        await asyncio.sleep(30)
        assert (run.ended, await lab.weights(), alarms(lab)) == (True, BEFORE, ())


async def test_a_person_who_holds_it_past_its_end_is_told_and_nothing_is_sent() -> None:
    balancer = Away()
    async with small(every=5.0, balancer=balancer) as lab:
        run = await begun(lab)
        balancer.away = True
        await asyncio.sleep(600)
        await lab.engine.control(COMMANDER, run.id, Pause())
        balancer.away = False
        await asyncio.sleep(600)
        assert await lab.weights() == SHARED, "it is held"
        assert "paused by ada" in alarms(lab)[0]
        await lab.engine.control(COMMANDER, run.id, Resume())
        await asyncio.sleep(30)
        assert (run.ended, await lab.weights()) == (True, BEFORE)


async def test_a_stop_says_that_it_stays() -> None:
    async with small(every=5.0) as lab:
        run = await begun(lab)
        await lab.engine.control(COMMANDER, run.id, Stop())
        assert await lab.ended(run.id) == "stopped"
        assert run.message.startswith("stopped before its end: what was to be temporary stays")
        assert run.undos()


@pytest.mark.parametrize(("server", "weight"), [("blue", 0), ("green", 256), ("blue", 7)])
async def test_what_others_set_meanwhile_is_not_overwritten(server: str, weight: int) -> None:
    balancer = Away()
    async with small(every=5.0, balancer=balancer) as lab:
        run = await begun(lab)
        balancer.by_hand(server, weight)
        await asyncio.sleep(700)
        assert await lab.weights() == {**SHARED, server: weight}
        assert f"somebody else changed it since: edge/shop/{server} weight was left 50, it is {weight}" in run.message
        assert alarms(lab)


@pytest.mark.parametrize("by_hand", [{"green": 0}, BEFORE])
async def test_what_others_took_back_in_part_or_whole_does_not_hold_it_up(by_hand: dict[str, int]) -> None:
    balancer = Away()
    async with small(every=5.0, balancer=balancer) as lab:
        run = await begun(lab)
        for server, weight in by_hand.items():
            balancer.by_hand(server, weight)
        await asyncio.sleep(700)
        assert (run.ended, await lab.weights()) == (True, BEFORE), run.message


async def test_one_that_gets_lost_is_sent_as_a_new_instance_and_not_for_ever() -> None:
    balancer = Away()
    async with small(every=5.0, balancer=balancer) as lab:
        run = await begun(lab)
        balancer.loses = 2
        await asyncio.sleep(700)
        assert (run.ended, await lab.weights()) == (True, BEFORE), run.message
        assert len(run.instances["back-change-1"]) == 3
    balancer = Away()
    async with small(every=5.0, balancer=balancer) as lab:
        run = await begun(lab)
        before, balancer.loses = balancer.told, 1000
        await asyncio.sleep(900)
        assert len(run.instances["back-change-1"]) == 5
        assert (balancer.told - before, bool(alarms(lab))) == (5, True)


class Killed(BaseException):
    """The process ends here."""


POINTS = ("before_intent", "after_intent", "after_effect", "after_receipt", "during_read_back", "before_outcome",
          "after_outcome")  # fmt: skip


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("point", POINTS)
async def test_it_ends_though_the_engine_dies_at_any_instant_of_it(point: str, number: int) -> None:
    """`number`: at the effect that begins it, or at the one that ends it."""
    balancer, store, reached = Away(), MemoryJournal(), asyncio.Event()
    passed = 0

    def reach(at: str) -> None:
        nonlocal passed
        passed += at == "before_intent"
        if at == point and passed == number:
            balancer.away = True
            reached.set()

    async with small(every=5.0, balancer=balancer, store=store, reach=reach) as lab:
        accepted = await lab.submit(await lab.preview(SHARE))
        await asyncio.wait_for(reached.wait(), 1000)
    balancer.away = False
    async with small(every=5.0, balancer=balancer, store=store) as lab:
        await asyncio.sleep(900)
        run = lab.engine.history.runs[accepted.run]
        weights = await lab.weights()
        if number == 1 and not run.ended:  # nothing had been sent, or it ended as not done: a person decides
            assert (run.shown_state().value, weights) == ("paused", BEFORE), run
        assert weights == BEFORE, run


async def test_a_set_that_would_keep_a_part_for_good_is_no_temporary_one() -> None:
    weight = {"balancer": "edge", "backend": "shop", "server": "green", "weight": 50}
    request = PlanSet(title="t", changes=({"kind": "server.weight", "args": weight},), lasts=60.0, comment="try it")
    async with small() as lab:
        with pytest.raises(Refused, match="without an end"):
            await lab.preview(replace(request, keep=True))
        assert not (await lab.preview(request)).refusals
