"""Kill the engine at every fault point, start another on the same journal, and compare with the target's truth."""

import asyncio

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import Decide, PlanRetry, PlanRunbook, Resume, Skip
from state.errors import Refused
from state.runs.fault_points import FAULT_POINTS
from tests.support.small_estate import COMMANDER, change, flip, small

pytestmark = pytest.mark.virtual_time

SHOP = {"balancer": "edge", "backend": "shop"}


class Killed(BaseException):
    """Stands for the process ending at once: nothing after it runs in that engine."""


class CountingBalancer(MemoryBalancer):
    """Counts what it was told, so that sending twice would show."""

    def __init__(self) -> None:
        super().__init__("edge", {"shop": {"blue": 100, "green": 0}})
        self.told: list[tuple[str, int]] = []

    async def set_weight(self, backend, server, weight, *, deadline):
        self.told.append((server, weight))
        return await super().set_weight(backend, server, weight, deadline=deadline)


@pytest.mark.parametrize("point", FAULT_POINTS)
async def test_a_restart_classifies_by_reading_and_never_sends_twice(point):
    balancer, store = CountingBalancer(), MemoryJournal()
    reached = asyncio.Event()

    def kill(name):
        if name == point:
            reached.set()
            raise Killed(point)

    async with small(balancer=balancer, store=store, reach=kill) as lab:
        card = await lab.preview(flip("green"))
        task = lab.engine.executor
        run = (await lab.submit(card)).run
        await asyncio.wait_for(reached.wait(), 5)
        with pytest.raises(Killed):
            await task._tasks[run]
        task._tasks.clear()

    async with small(balancer=balancer, store=store) as lab:
        state = await lab.ended(run, 12)
        told = [t for t in balancer.told if t == ("green", 100)]
        assert len(told) <= 1
        sent = point in FAULT_POINTS[2:]
        weights = await lab.weights()
        if point == "before_intent":
            assert (state, len(told)) == ("done", 1)
        elif point == "after_intent":
            assert (state, weights["green"]) == ("failed", 0)
            step = lab.engine.history.runs[run].latest("change")
            why = "the engine ended before an answer came, and the target shows no effect"
            assert (step.state, step.message) == ("not-done", f"not done: {why}")
            assert lab.engine.view("runbooks").runs[run].message.count("ended before") == 1
        else:
            assert sent
            assert (state, weights) == ("done", {"blue": 0, "green": 100})
        assert (await lab.engine.journal_verify()).problem == ""


async def test_a_step_that_was_not_done_is_retried_as_a_new_instance_by_a_person():
    balancer, store = CountingBalancer(), MemoryJournal()
    step = {"id": "change", "change": "backend.flip", "with": {**SHOP, "to": "green"}}
    over = {"runbook": "over", "title": "Over", "steps": [step]}

    def kill(name):
        if name == "after_intent":
            raise Killed(name)

    async with small(over, balancer=balancer, store=store, reach=kill) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("over")))).run
        await asyncio.sleep(0.3)
        await asyncio.gather(*lab.engine.executor._tasks.values(), return_exceptions=True)
        lab.engine.executor._tasks.clear()
    async with small(over, balancer=balancer, store=store) as lab:
        assert await lab.ended(run) == "paused"
        retry = await lab.preview(PlanRetry(run))
        await lab.submit(retry)
        assert await lab.ended(run) == "done"
        instances = lab.engine.history.runs[run].instances["change"]
        assert [s.state for s in instances] == ["not-done", "done"]
        assert balancer.told.count(("green", 100)) == 1


async def test_trap_14_a_waiting_decision_survives_the_engine():
    ask = {
        "runbook": "ask",
        "title": "Ask",
        "steps": [
            {"id": "q", "decide": {"question": "Go on?", "options": {"go": "continue", "no": "stop"}}},
            {
                "id": "w",
                "change": "server.weight",
                "with": {"balancer": "edge", "backend": "shop", "server": "green", "weight": 3},
            },
        ],
    }
    balancer, store = CountingBalancer(), MemoryJournal()
    async with small(ask, balancer=balancer, store=store) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("ask")))).run
        assert await lab.ended(run) == "waiting"
    async with small(ask, balancer=balancer, store=store) as lab:
        assert await lab.ended(run) == "waiting"
        assert lab.engine.view("runbooks").runs[run].question == "Go on?"
        await lab.engine.control(COMMANDER, run, Decide("go"))
        await asyncio.sleep(0.1)
        assert await lab.ended(run) == "done"
        assert (await lab.weights())["green"] == 3


async def test_skip_needs_a_reason_and_a_failed_check_pauses():
    book = {
        "runbook": "verify",
        "title": "Verify",
        "steps": [
            {"id": "c", "check": "server.serving", "for": "1s", "every": "100ms",
             "with": {"balancer": "edge", "backend": "shop", "server": "green"}},
            {"id": "w", "wait": "100ms"},
        ],
    }  # fmt: skip
    async with small(book) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("verify")))).run
        assert await lab.ended(run) == "paused"
        with pytest.raises(Refused, match="Retry or skip"):
            await lab.engine.control(COMMANDER, run, Resume())
        with pytest.raises(Refused, match="reason"):
            await lab.engine.control(COMMANDER, run, Skip())
        await lab.engine.control(COMMANDER, run, Skip(reason="green is not needed"))
        await asyncio.sleep(0.05)
        assert await lab.ended(run) == "done"


async def test_drain_after_drain_in_one_run_is_not_void_by_its_own_change():
    both = {
        "runbook": "both",
        "title": "Both",
        "steps": [
            {"id": "up", "change": "server.weight", "with": {**SHOP, "server": "green", "weight": 5}},
            {"id": "down", "change": "server.drain", "with": {**SHOP, "server": "blue"}},
        ],
    }  # fmt: skip
    async with small(both) as lab:
        card = await lab.preview(PlanRunbook("both"))
        assert card.warnings == (), "blue may go once green has its weight"
        run = (await lab.submit(card)).run
        assert await lab.ended(run) == "done"


async def test_trap_10_lost_runtime_state_is_recorded_as_drift():
    async with small() as lab:
        run = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=9)))).run
        assert await lab.ended(run) == "done"
        await asyncio.sleep(0.3)
        lab.balancer._started += 60
        await lab.balancer.set_weight("shop", "green", 0, deadline=1)
        await asyncio.sleep(0.6)
        rows = [r for r in lab.engine.journal_rows(0, 999) if r.kind == "drift.detected"]
        assert "runtime state lost" in rows[0].message
        assert "9 → 0" in rows[0].message
        assert any("runtime state lost" in a for a in lab.engine.view("header").alarms)
