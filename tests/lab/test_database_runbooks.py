"""The shipped runbooks of databases, each to its end on real servers: a frozen primary failed over, then rejoined."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from adapters.lab.client import LabClient
from state.api.requests import PlanRunbook
from state.errors import Refused
from state.runs.events import EffectAnswered, EffectIntended
from tests.crash.targets import Truth
from tests.support.real_engine import RealEngine, engine_home, lab_estate, until

pytestmark = pytest.mark.lab

HOLDS = 300.0
LONGEST = 400.0


@pytest.fixture
def truth(lab: LabClient) -> Truth:
    return Truth(lab)


async def begun(engine: RealEngine, request: PlanRunbook) -> str:
    """Confirm a run, as a person does: one more card after a refusal, since a node that is late is doubted."""
    for _ in range(5):
        with suppress(Refused):
            return await engine.submit(await engine.plan(request))
        await asyncio.sleep(1)
    return await engine.submit(await engine.plan(request))


async def ran(engine: RealEngine, book: str, **params: str) -> dict[str, str]:
    """Run a book to its end; the state of each step, by its id."""
    run = await begun(engine, PlanRunbook(book, {"database": "orders", **params}))
    row = await engine.settled(run, LONGEST)
    view = await engine.client.view("runbooks")
    steps = {step.step: f"{step.state}: {step.message}" for step in view.steps.values() if step.run == run}
    answers = [e.body.message for e in engine.entries() if e.event.run == run and isinstance(e.body, EffectAnswered)]
    assert row.state == "done", (book, row.message, steps, answers)
    sent = [e.body.effect for e in engine.entries() if e.event.run == run and isinstance(e.body, EffectIntended)]
    assert len(sent) == len(set(sent)), f"sent twice: {sent}"
    return {step: text.partition(":")[0] for step, text in steps.items()}


async def whole(lab: LabClient) -> None:
    """Wait until one node writes and all others follow it."""

    async def streams() -> bool:
        nodes = (await lab.status())["nodes"].values()
        following = [n for n in nodes if n["replica"] is True and n["age"] is not None and n["age"] < 3]
        return len(following) == len(nodes) - 1

    await until(streams, 120, "the cluster is not whole")


@pytest.mark.torture  # by keyboard in the short programme: tests/lab/test_keyboard.py
async def test_a_frozen_primary_is_failed_over_and_rejoined_by_the_shipped_runbooks(
    lab: LabClient, truth: Truth
) -> None:
    await whole(lab)
    old, timeline = await truth.writer()
    with engine_home(lab_estate(lab)) as engine:
        await engine.start()
        await lab.inject("freeze-primary", seconds=HOLDS)
        try:
            steps = await ran(engine, "fail-over", old=old)
            lacking = {steps.pop("record"), steps.pop("prove")}
            assert lacking == {"failed"}, "the old leader answers neither before nor afterwards, and blocks neither"
            assert set(steps.values()) == {"done"}, steps
            new, after = await truth.writer()
            assert new != old
            assert after > timeline
            assert old not in await truth.postgres(), "fenced: it stays stopped"
            steps = await ran(engine, "rejoin", node=old)
            assert set(steps.values()) == {"done"}, steps
        finally:
            await lab.undo("freeze-primary")
        assert (await truth.postgres())[old] is None, "it follows"
        engine.end()
        assert engine.chain() == ""


@pytest.mark.torture
async def test_a_planned_switchover_by_the_shipped_runbook(lab: LabClient, truth: Truth) -> None:
    await whole(lab)
    old, timeline = await truth.writer()
    with engine_home(lab_estate(lab)) as engine:
        await engine.start()
        to = next(name for name in sorted(await truth.postgres()) if name != old)
        steps = await ran(engine, "switch-database", to=to)
        assert set(steps.values()) == {"done"}, steps
        assert await truth.writer() == (to, timeline + 1)


async def test_a_standby_is_copied_anew_by_the_shipped_runbook(lab: LabClient, truth: Truth) -> None:
    await whole(lab)
    leader, timeline = await truth.writer()
    with engine_home(lab_estate(lab)) as engine:
        await engine.start()
        node = next(name for name in sorted(await truth.postgres()) if name != leader)
        began = await truth.started(node)
        steps = await ran(engine, "rebuild", node=node)
        assert set(steps.values()) == {"done"}, steps
        now = await truth.started(node)
        assert now is not None
        assert began is not None
        assert now > began, "it is still the old copy"
        assert await truth.writer() == (leader, timeline)
