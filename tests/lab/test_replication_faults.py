"""Every replication fault of the lab: the same first cause in header, Overview, verb and journal; nothing is green."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from adapters.lab.client import LabClient
from state.api.views.causes import Cause, ForecastKind
from state.detection.observations import CauseBegan, CauseEnded
from state.health import Health
from state.journal.events import Recorded
from tests.lab.test_night import HOLDS, newest, observed
from tests.scenarios.told import FAULTS as SHORT
from tests.support.real_engine import RealEngine, engine_home, lab_estate, until

pytestmark = pytest.mark.lab

SLOW = 150.0
"""Seconds until something must be seen, also on a slow machine."""


@dataclass(frozen=True)
class Shown:
    """One fault: the end of its cause's key, words of the cause, its health, and the entries that begin and end it."""

    fault: str
    code: str
    words: str
    health: Health = Health.FAIL
    begins: str = "cause.began"
    ends: str = "cause.ended"


FAULTS = (
    Shown("replay-paused", "/paused", "is paused", Health.WARN),
    Shown("sync-lost", "/blocked", "commits wait, 2 standbys needed, 1 in sync"),
    Shown("nofailover", "/no-failover", "no automatic failover will come", Health.WARN),
    Shown("slot-lost", "/slot/lab_reader", "must be resynchronised", Health.WARN),
    Shown("archiver-failing", "/archiver", "the archiver of"),
    Shown("restore-older-backup", "/ahead", "of WAL that"),
    Shown("cut-replication", "/cut", "gets no WAL from", Health.WARN, "replication.broken", "replication.restored"),
    Shown("kill-node", "/silent", "is down or cut off", Health.WARN, "node.lost", "node.back"),
    Shown("fork-same-timeline", "/split-brain", "both accept writes", Health.FAIL,
          "split-brain.detected", "split-brain.cleared"),
    Shown("dcs-down", "/no-writer", "no node accepts writes", Health.FAIL, "writer.lost", "writer.back"),
)  # fmt: skip

TOLD = {told.fault for told in SHORT}
"""What `tests/scenarios/test_truth.py` injects too, and finds on the screens as well."""


@pytest.fixture(scope="module")
def engine(lab: LabClient) -> Iterator[RealEngine]:
    """An engine on databases and balancers only: no figure and no alert stands before the cause."""
    with engine_home(lab_estate(lab, "databases", "balancers")) as running:
        asyncio.run(running.start())
        yield running
        running.end()


async def verb(engine: RealEngine, *argv: str) -> dict[str, Any]:
    """The document of a verb that reads."""
    program = [sys.executable, "-P", "-m", "console.cli", *argv, "--json", "--estate", str(engine.place.file)]
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return dict(json.loads(out))


async def first(engine: RealEngine) -> Cause | None:
    """The first cause of the header."""
    causes = (await engine.client.view("header")).causes
    return causes[0] if causes else None


async def well(engine: RealEngine) -> None:
    async def there() -> bool:
        overview, header = await engine.client.view("overview"), await engine.client.view("header")
        return overview.health is Health.PASS and not header.causes

    await until(there, 2 * SLOW, "it does not become well")


async def nothing_green(engine: RealEngine) -> None:
    """Neither the whole, nor the database, in views and verbs; nor data at risk that would be lost unseen."""
    overview, replication = await engine.client.view("overview"), await engine.client.view("replication")
    assert overview.health is not Health.PASS
    assert overview.recover["database/orders"].health is not Health.PASS
    assert replication.clusters["orders"].health is not Health.PASS


async def same_everywhere(engine: RealEngine, shown: Shown) -> Cause:
    """The cause as header, Overview and verbs show it at one time."""
    found: list[Cause] = []

    async def same() -> bool:
        cause = await first(engine)
        assert cause is not None
        await nothing_green(engine)
        row = (await engine.client.view("overview")).recover["database/orders"]
        status, show = await verb(engine, "status"), await verb(engine, "db", "show")
        told = status["header"]["causes"][0]
        again = await first(engine)
        found[:] = [cause]
        alike = cause.key == told["key"] == (again.key if again is not None else "")
        if not alike or not cause.key.endswith(shown.code):
            return False
        rows = {r["name"]: r["health"] for r in status["overview"]["recover"].values()}
        cluster = show["replication"]["clusters"]["orders"]
        return row.message == cause.what == told["what"] and {rows["orders"], cluster["health"]} == {row.health.value}

    await until(same, SLOW, lambda: str(found))
    return found[0]


def entry(engine: RealEngine, since: int, shown: Shown) -> Recorded | None:
    """The entry that begins it. A cause that was something less before, as a slot is that only may be lost, has one
    more for what it is."""
    begins = (e for e in engine.entries(since) if e.kind == shown.begins)
    return next((e for e in begins if not isinstance(e.body, CauseBegan) or shown.words in e.body.line), None)


@pytest.mark.parametrize(
    "shown",
    [pytest.param(shown, marks=pytest.mark.torture) if shown.fault in TOLD else shown for shown in FAULTS],
    ids=lambda shown: shown.fault,
)
async def test_a_fault_is_the_first_cause_everywhere_and_in_the_journal(
    lab: LabClient, engine: RealEngine, shown: Shown
) -> None:
    await told_everywhere(lab, engine, shown)


async def told_everywhere(lab: LabClient, engine: RealEngine, shown: Shown) -> None:
    """Inject a fault, find it everywhere, lift it, find its end."""
    await well(engine)
    since = newest(engine)
    await lab.inject(shown.fault, seconds=HOLDS, within=SLOW)
    try:

        async def told() -> bool:
            cause = await first(engine)
            it = cause is not None and cause.key.endswith(shown.code) and cause.health is shown.health
            return it and cause is not None and shown.words in cause.what

        await until(told, SLOW, "the header does not tell it")
        cause = await same_everywhere(engine, shown)
        assert shown.words in cause.what
        assert cause.next is not None

        async def recorded() -> bool:
            await nothing_green(engine)
            return entry(engine, since, shown) is not None

        await until(recorded, SLOW, lambda: str([b.line for b in observed(engine, since)]))
        began = entry(engine, since, shown)
        assert began is not None
        if isinstance(began.body, CauseBegan):
            assert cause.key in {f"database/{each.database}/{each.code}" for each in began.body.causes}
        assert "orders" in getattr(began.body, "line", "")
        if cause.since_mono is not None:
            print(f"{shown.fault}: recorded {began.mono - cause.since_mono:.1f} s after its first reading")
        if shown.fault == "dcs-down":
            await store_is_named(engine, since)
    finally:
        await lab.undo(shown.fault, within=2 * SLOW)

    async def over() -> bool:
        return any(e.kind == shown.ends for e in engine.entries(since))

    await until(over, SLOW, lambda: str([b.line for b in observed(engine, since)]))
    await well(engine)
    assert engine.chain() == ""


async def store_is_named(engine: RealEngine, since: int) -> None:
    """Once the lock should have ended: the store, no promotion that will not come, and an entry of it."""

    async def named() -> bool:
        cause = await first(engine)
        return cause is not None and "may take no writes" in cause.what

    await until(named, SLOW, "the store is not named")
    cause = await first(engine)
    assert cause is not None
    assert cause.forecast is not None
    assert cause.forecast.kind is ForecastKind.NOTHING

    async def recorded() -> bool:
        bodies = [b for b in observed(engine, since) if isinstance(b, CauseBegan)]
        return any(each.code == "store" for body in bodies for each in body.causes)

    await until(recorded, SLOW, "the journal does not name the store")
    assert not any(isinstance(b, CauseEnded) for b in observed(engine, since))
