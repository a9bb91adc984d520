"""A bad release on the real lab: from the alarm to the proven recovery by keyboard, and the same where a migration has
passed the point of no return."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from adapters.lab.client import LabClient
from adapters.lab.releases import RECORDS
from adapters.lab.topology import digest_of
from console.release_text import standing_text
from state.api.requests import PlanChange, PlanRollback
from state.api.views.releases import ReleaseStanding, ReleasesView
from state.errors import Refused
from tests.scenarios.test_operator import confirm, console, press
from tests.support.real_engine import RealEngine, until

V41, V42 = (digest_of("checkout", release) for release in ("v41", "v42"))


async def record(engine: RealEngine) -> None:
    for each in (each for each in RECORDS if each.service == "checkout"):
        await engine.client.record_release(each)


async def view(engine: RealEngine) -> ReleasesView:
    found: ReleasesView = await engine.client.view("releases")
    return found


async def stands(engine: RealEngine, digest: str, standing: ReleaseStanding) -> None:
    async def so() -> bool:
        return (await view(engine)).releases[f"checkout/{digest}"].standing is standing

    await until(so, 30)


def test_a_bad_release_goes_back_by_keyboard_with_one_card(lab: LabClient, engine: RealEngine) -> None:
    asyncio.run(record(engine))
    try:
        took = _by_keyboard(lab, engine)
    finally:
        asyncio.run(lab.undo("bad-release"))
    kinds = engine.kinds("R-1")
    assert kinds.count("effect.intended") == kinds.count("effect.ended") == 2, "one card, both sites"
    rows = asyncio.run(view(engine)).releases
    assert [standing_text(row) for row in rows.values()] == ["serves", "newer"]
    assert took < 300
    assert engine.chain() == ""
    print(f"from the fault to the proven recovery: {took:.0f} s")


@pytest.mark.torture
def test_a_bad_release_goes_back_by_a_ramp_by_keyboard(lab: LabClient, engine: RealEngine) -> None:
    asyncio.run(record(engine))
    run = f"R-{len(asyncio.run(engine.client.view('runbooks')).runs) + 1}"
    try:
        took = _by_keyboard(lab, engine, key="R", run=run)
    finally:
        asyncio.run(lab.undo("bad-release"))
    kinds = engine.kinds(run)
    assert kinds.count("effect.intended") == kinds.count("effect.ended") == 8, "four shares at each site"
    assert took < 300
    print(f"from the fault to the proven recovery by a ramp: {took:.0f} s")


def _by_keyboard(lab: LabClient, engine: RealEngine, key: str = "r", run: str = "R-1") -> float:
    """From the fault to the proof; the seconds it took."""
    with console(engine) as mine:
        mine.wait("Recover in this order", 15)
        asyncio.run(lab.inject("bad-release", seconds=300))
        began = time.monotonic()
        mine.wait(lambda: re.search(r"FAIL +checkout", mine.text()), 30)
        press(mine, "5")
        mine.wait("safe by a flip", 30)
        press(mine, key)
        mine.wait("Roll checkout back to v41", 15)
        confirm(mine)
        asyncio.run(_done(engine, run))
        press(mine, "5")
        mine.wait(lambda: re.search(r"checkout +v41", mine.text()), 30)
        return time.monotonic() - began


async def _done(engine: RealEngine, run: str) -> None:
    async def begun() -> bool:
        return run in (await engine.client.view("runbooks")).runs

    await until(begun, 20)
    row = await engine.settled(run, 200)
    steps = {s.step: s for s in (await engine.client.view("runbooks")).steps.values() if s.run == run}
    assert row.state == "done", (row, [f"{s.step} {s.state} {s.evidence}" for s in steps.values()])
    assert list(steps["runs"].evidence) == [f"2 instances with traffic run {V41[:19]}"]


async def test_past_the_point_of_no_return_nothing_goes_back_and_the_way_forward_is_named(
    lab: LabClient, engine: RealEngine
) -> None:
    await record(engine)
    await lab.inject("bad-release", seconds=300)
    try:
        await stands(engine, V41, ReleaseStanding.OFFERED)
        await lab.inject("contract-migration", seconds=300)
        await stands(engine, V41, ReleaseStanding.BLOCKED)
        row = (await view(engine)).releases[f"checkout/{V41}"]
        assert [r.fact for r in row.reasons if r.health.value == "fail"] == [
            "schema 13 is past 12: going back from v42 loses data",
        ]
        with pytest.raises(Refused) as refused:
            await engine.client.preview(PlanRollback("checkout"))
        forward = "Go forward: make a release that runs on schema 13, from v42 with the fault mended, and record it"
        assert forward in str(refused.value)
        flip = PlanChange("backend.flip", {"balancer": "edge-east", "backend": "checkout", "to": "blue"})
        assert "release-fits" in [r.rule for r in (await engine.client.preview(flip)).refusals]
        screen = await asyncio.to_thread(_seen, engine)
        assert "Go forward" in screen
    finally:
        await lab.undo("contract-migration")
        await lab.undo("bad-release")
    await stands(engine, V41, ReleaseStanding.SERVES)


def _seen(engine: RealEngine) -> str:
    """What the screen says, and that its key does nothing."""
    with console(engine, size=(120, 40)) as terminal:
        terminal.wait("Recover in this order", 15)
        press(terminal, "5")
        terminal.wait("1 blocked", 30)
        press(terminal, "r")
        terminal.wait("no release is safe to go back to", 10)
        return str(terminal.text())
