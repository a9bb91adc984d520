"""A switch on a real pair is looked at before and after by the engine itself, and the suite is a step of a runbook."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from adapters.journals.memory import MemoryJournal
from adapters.registry import kinds
from adapters.wiring import wire
from console.cluster_text import integrity_lines
from state.api.requests import PlanChange, PlanRunbook
from state.api.views.runbooks import StepRow
from state.config_files.located import Located
from state.engine.engine import Engine
from state.engine.suites import LOOKS
from state.estate.parse import parse_estate
from state.health import Health
from state.journal.store import JournalStore
from state.planning.library import Library
from tests.support.plain_pair import Servers, plain_pair
from tests.support.small_estate import ESTATE, LoopClock, Small, runbook

CHECK = {
    "runbook": "sound",
    "title": "Is it sound",
    "steps": [
        {
            "id": "sound",
            "title": "The suite finds nothing",
            "check": "database.integrity",
            "with": {"database": "ledger", "skip": ["amcheck", "settings"], "within": "5s"},
            "for": "30s",
            "on_failure": "stop",
        }
    ],
}


@pytest.fixture
def servers() -> Iterator[Servers]:
    with plain_pair() as made:
        yield made


@asynccontextmanager
async def engine_on(servers: Servers, store: JournalStore) -> AsyncIterator[Small]:
    raw = {**ESTATE, "databases": {"ledger": servers.database("a", "b")}, "commands": servers.commands()}
    raw = {**raw, "services": {}, "balancers": {}, "policies": {"confirm": {"arm": "10ms", "plan_expires": "30s"}}}
    estate = parse_estate(Located(raw, str(servers.pair.place / "estate.yaml")), kinds())
    outside = await asyncio.to_thread(wire, estate, servers.pair.place)
    library = Library({"sound": runbook(CHECK)}, estate, {})
    engine = Engine(estate, outside, store, LoopClock(), library, node="test", pid=1, uid=0)
    await engine.start()
    try:
        yield Small(engine, None, store)  # type: ignore[arg-type]  # it has no balancer
    finally:
        await engine.stop()


async def done(lab: Small, request: PlanChange | PlanRunbook) -> str:
    """The run of a change once nothing refuses it, when it has ended."""
    async with asyncio.timeout(60):
        while (card := await lab.preview(request)).refusals:
            await asyncio.sleep(0.2)
    run = (await lab.submit(card)).run
    await lab.ended(run, 120)
    return run


async def only_step(lab: Small, run: str) -> StepRow:
    (step,) = (await lab.engine.run_view(run)).steps.values()
    return step


async def looked_at(lab: Small, run: str) -> StepRow:
    async with asyncio.timeout(120):
        while not (step := await only_step(lab, run)).integrity_said:
            await asyncio.sleep(0.2)
    return step


async def test_a_promotion_is_looked_at_by_itself_and_what_is_found_stays_with_its_run(servers: Servers) -> None:
    servers.sql("a", "create table kept (id serial primary key)")
    servers.sql("a", "grant pg_read_all_data to recovery")
    store = MemoryJournal()
    async with engine_on(servers, store) as lab:
        sound = await done(lab, PlanRunbook("sound", {}))
        step = await only_step(lab, sound)
        assert (step.state.value, lab.engine.history.runs[sound].state.value) == ("done", "done"), step.evidence
        assert any("pass" in each for each in step.evidence)
        assert "left out: amcheck" in step.evidence
        servers.pair.control("a", "-m", "immediate", "stop")
        run = await done(lab, PlanChange("database.promote", {"database": "ledger", "to": "b"}))
        step = await looked_at(lab, run)
        found = {each.asked: each.health for each in step.integrity}
        assert found["writer"] is Health.UNKNOWN, "a does not answer: it may accept writes"
        assert "integrity of ledger after the switch" in integrity_lines(step)[0]
        assert "switch.verified" in lab.kinds()
    async with engine_on(servers, store) as again:
        assert (await only_step(again, run)).integrity == step.integrity, "it is in the journal"


async def test_an_engine_that_ends_right_after_a_switch_looks_when_it_starts_again(servers: Servers) -> None:
    store = MemoryJournal()
    async with engine_on(servers, store) as lab:
        servers.pair.control("a", "-m", "immediate", "stop")
        run = await done(lab, PlanChange("database.promote", {"database": "ledger", "to": "b"}))
        assert "switch.verified" not in lab.kinds()
    async with engine_on(servers, store) as again:
        step = await looked_at(again, run)
        assert "integrity of ledger after the switch" in step.integrity_said
        assert any("before" in each.fact and each.health is Health.UNKNOWN for each in step.integrity), step.integrity
    async with engine_on(servers, store) as third:
        await asyncio.sleep(LOOKS[0] + 1)
        assert third.kinds().count("switch.verified") == 1
