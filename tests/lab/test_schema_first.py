"""A bad release and a migration that can be undone, on the real lab: one card takes the schema back, then the traffic,
also where the engine is killed between the two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from adapters.lab.client import LabClient
from adapters.lab.releases import RECORDS
from adapters.lab.topology import digest_of
from console.release_text import against, standing_text
from state.api.requests import PlanRollback, PlanUndo
from state.api.views.releases import ReleaseRow, ReleaseStanding, ReleasesView
from state.journal.events import Recorded
from state.runs.events import EffectIntended
from tests.scenarios.test_operator import confirm, console, press
from tests.support.real_engine import RealEngine, until

V41, V42 = (digest_of("checkout", release) for release in ("v41", "v42"))
SCHEMA_FIRST = ["undoable", "schema", "schema-at"]
THEN = [
    "fits",
    "edge-east.flip",
    "edge-east.active",
    "edge-west.fits",
    "edge-west.flip",
    "edge-west.active",
    "runs",
    "healthy",
    "still-fits",
]


async def row(engine: RealEngine, digest: str) -> ReleaseRow | None:
    view: ReleasesView = await engine.client.view("releases")
    return view.releases.get(f"checkout/{digest}")


async def stands(engine: RealEngine, digest: str, standing: ReleaseStanding, schema_to: str = "") -> None:
    async def so() -> bool:
        found = await row(engine, digest)
        return found is not None and found.standing is standing and found.schema_to == schema_to

    await until(so, 30)


@asynccontextmanager
async def bad_after_a_migration(lab: LabClient, engine: RealEngine) -> AsyncIterator[None]:
    """v42 fails on schema 13, from which it says that it can be left."""
    for each in (each for each in RECORDS if each.service == "checkout"):
        await engine.client.record_release(replace(each, reversible_until=""))
    await lab.inject("bad-release", seconds=300)
    await lab.inject("contract-migration", seconds=300)
    try:
        await stands(engine, V41, ReleaseStanding.OFFERED, "12")
        yield
    finally:
        await lab.undo("contract-migration")
        await lab.undo("bad-release")


def of_run(engine: RealEngine, run: str, kind: str) -> list[Recorded]:
    return [e for e in engine.entries() if e.event.run == run and e.kind == kind]


def deeds(engine: RealEngine, run: str) -> list[str]:
    """The kinds of what was sent, in order; each was sent once."""
    bodies = [e.body for e in of_run(engine, run, "effect.intended")]
    return [body.change.kind for body in bodies if isinstance(body, EffectIntended)]


def passed(engine: RealEngine, run: str) -> float:
    """The seconds that a run took, by its entries."""
    times = [e.at for e in engine.entries() if e.event.run == run]
    return times[-1] - times[0]


async def evidence(engine: RealEngine, run: str) -> dict[str, Any]:
    steps = (await engine.client.view("runbooks")).steps.values()
    return {s.step: (s.state, *s.evidence) for s in steps if s.run == run}


async def test_one_card_takes_the_schema_back_and_then_the_traffic_though_its_engine_dies_between_the_two(
    lab: LabClient, engine: RealEngine
) -> None:
    async with bad_after_a_migration(lab, engine):
        found = await row(engine, V41)
        assert found is not None
        assert standing_text(found) == "1 safe by a flip"
        assert against(found).startswith("needs schema 13 → 12 undone first")
        card = await engine.plan(PlanRollback("checkout"))
        assert card.refusals == ()
        assert str(card.diffs[0]) == "schema of checkout: 13 → 12"
        run = await engine.submit(card)

        async def migrated() -> bool:
            return len(of_run(engine, run, "effect.ended")) == 1

        await until(migrated, 60)
        engine.kill()
        assert len(of_run(engine, run, "effect.intended")) == 1, "nothing of the traffic was sent"
        await engine.start()
        ended = await engine.settled(run, 200)
        steps = await evidence(engine, run)
        assert ended.state == "done", (ended.message, steps)
        assert list(steps) == [*SCHEMA_FIRST, *THEN]
        assert steps["schema-at"] == ("done", "checkout: schema 12 is there")
        assert steps["runs"] == ("done", f"2 instances with traffic run {V41[:19]}")
        assert deeds(engine, run) == ["command.run", "backend.flip", "backend.flip"]
        read = next(e.seq for e in of_run(engine, run, "step.ended") if e.event.step.startswith("schema-at"))
        moved = [e.seq for e in of_run(engine, run, "effect.intended")]
        assert moved[0] < read < moved[1], "the schema is read between the two"
        print(f"from the confirmation to the proof: {passed(engine, run):.0f} s")
        back = await engine.submit(await engine.plan(PlanUndo(run)))
        assert (await engine.settled(back, 120)).state == "done"
        assert deeds(engine, back) == ["backend.flip", "backend.flip", "command.run"]
        await stands(engine, V42, ReleaseStanding.SERVES)
        await stands(engine, V41, ReleaseStanding.OFFERED, "12")
    assert engine.chain() == ""


@pytest.mark.torture
async def test_an_engine_killed_while_the_schema_moves_reads_what_became_of_it(
    lab: LabClient, engine: RealEngine
) -> None:
    async with bad_after_a_migration(lab, engine):
        engine.kill()
        await engine.start("after_effect")
        await stands(engine, V41, ReleaseStanding.OFFERED, "12")
        run = await engine.submit(await engine.plan(PlanRollback("checkout")))
        await engine.died(60)
        assert [e.kind for e in of_run(engine, run, "effect.ended")] == []
        await engine.start()
        ended = await engine.settled(run, 200)
        steps = await evidence(engine, run)
        assert ended.state == "done", (ended.message, steps)
        assert len([e for e in of_run(engine, run, "effect.intended") if e.event.step.startswith("schema")]) == 1
        await stands(engine, V41, ReleaseStanding.SERVES)


@pytest.mark.torture
def test_the_same_by_keyboard(lab: LabClient, engine: RealEngine) -> None:
    async def all_of_it() -> str:
        async with bad_after_a_migration(lab, engine):
            return await asyncio.to_thread(_by_keyboard, engine)

    text = asyncio.run(all_of_it())
    assert "Roll checkout back to v41" in text


def _by_keyboard(engine: RealEngine) -> str:
    """What the card says; after the last key the run is done."""
    number = len(asyncio.run(engine.client.view("runbooks")).runs) + 1
    with console(engine) as mine:
        mine.wait("Recover in this order", 15)
        press(mine, "5")
        mine.wait("needs schema 13", 30)
        press(mine, "r")
        mine.wait("after schema 13 → 12", 15)
        mine.wait("commands/migrate-checkout: none", 15)
        text = str(mine.text())
        confirm(mine)

        async def done() -> None:
            async def begun() -> bool:
                return f"R-{number}" in (await engine.client.view("runbooks")).runs

            await until(begun, 20)
            assert (await engine.settled(f"R-{number}", 200)).state == "done"

        asyncio.run(done())
    return text
