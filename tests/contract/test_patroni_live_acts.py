"""What a real Patroni is asked: pause, schedule, reinitialise, failover, and a mark that arrives."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.databases.patroni import PatroniCluster, build
from adapters.databases.patroni_options import PatroniOptions
from state.changes.model import Change, ChangeSpec, Finding, ReadBack
from state.changes.registry import build as build_change
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.ports.database import ScheduledSwitchover
from state.ports.outside import Outside
from tests.contract.live_patroni import Live, close, entry_of, settled
from tests.unit.verdict_world import ESTATE


@pytest.fixture
def entry(live_cluster: Live, context: AdapterContext) -> PatroniOptions:
    return entry_of(live_cluster, context)


@pytest.fixture
async def database(entry: PatroniOptions, context: AdapterContext) -> PatroniCluster:
    return build("orders", entry, context)[0]


def changes(database: PatroniCluster, kind: str, **args: str) -> Change:
    """A change of this cluster, as the engine builds it."""
    estate = ESTATE.model_copy(update={"databases": {"orders": ESTATE.databases["orders"]}})
    return build_change(ChangeSpec(kind, {"database": "orders", **args}), estate, Outside((), {}, {"orders": database}))


async def found(change: Change, facts: Mapping[str, Any], wanted: Finding, seconds: float = 90.0) -> ReadBack:
    """What is read back once it is this."""
    seen: ReadBack | None = None
    async with asyncio.timeout(seconds):
        while seen is None or seen.finding is not wanted:
            await asyncio.sleep(0.3)
            with suppress(ReadFailure):
                seen = await change.read_back(facts, deadline=4)
    return seen


async def test_the_manager_is_paused_and_resumed(database: PatroniCluster) -> None:
    await settled(database)
    for kind in ("database.pause", "database.resume"):
        change = changes(database, kind)
        shown = await change.preview(deadline=4)
        assert (shown.refusals, shown.already) == ((), False), kind
        assert (await change.apply(shown.facts, effect="e", deadline=20)).code == "configured"
        await found(change, shown.facts, Finding.DONE)
        assert (await change.preview(deadline=4)).already
    await close(database)


async def test_a_switchover_is_scheduled_and_taken_back(database: PatroniCluster) -> None:
    leader, replica = await settled(database)
    at = datetime.fromtimestamp(time.time() + 3600, UTC).replace(microsecond=0)
    change = changes(database, "database.schedule", to=replica, at=at.isoformat())
    shown = await change.preview(deadline=4)
    assert (shown.refusals, shown.already) == ((), False)
    assert (await change.apply(shown.facts, effect="e", deadline=20)).code == "scheduled"
    await found(change, shown.facts, Finding.DONE)
    assert await database.scheduled(deadline=4) == ScheduledSwitchover(at.timestamp(), leader, replica)
    back = changes(database, "database.unschedule")
    shown = await back.preview(deadline=4)
    assert shown.undo is not None
    assert dict(shown.undo.args) == {"database": "orders", "to": replica, "at": at.isoformat()}
    assert (await back.apply(shown.facts, effect="e", deadline=20)).code == "unscheduled"
    await found(back, shown.facts, Finding.DONE)
    with pytest.raises(EffectRefused) as refusal:
        await database.unschedule(deadline=20)
    assert refusal.value.code == "none-scheduled-404"
    past = datetime.fromtimestamp(time.time() - 3600, UTC).timestamp()
    with pytest.raises(EffectRefused) as refusal:
        await database.schedule(leader, replica, past, deadline=20)
    assert refusal.value.code == "bad-request-422"
    await close(database)


async def test_a_standby_is_reinitialised_and_a_leader_refuses_it(database: PatroniCluster) -> None:
    leader, replica = await settled(database)
    with pytest.raises(EffectRefused) as refusal:
        await database.reinitialize(leader, deadline=20)
    assert refusal.value.code == "refused-503"
    change = changes(database, "database.reinitialize", node=replica)
    shown = await change.preview(deadline=4)
    assert (shown.refusals, shown.loss_bytes) == ((), 0)
    assert (await change.apply(shown.facts, effect="e", deadline=20)).code == "begun"
    await found(change, shown.facts, Finding.DONE)
    assert await settled(database) == (leader, replica)
    await close(database)


async def test_every_standby_proves_that_it_follows_without_any_grant(database: PatroniCluster) -> None:
    leader, replica = await settled(database)
    change = changes(database, "database.prove")
    change.effect = "R-1/prove"  # type: ignore[attr-defined]
    shown = await change.preview(deadline=4)
    assert (await change.apply(shown.facts, effect="R-1/prove", deadline=20)).code == "marked"
    await found(change, shown.facts, Finding.DONE)
    assert await database.marked(replica, deadline=4) == await database.marked(leader, deadline=4) != ""
    await close(database)


async def test_a_dead_leader_is_no_proof_and_a_failover_is_done_when_its_manager_says_so(
    database: PatroniCluster, live_cluster: Live
) -> None:
    """Paused, Patroni promotes nobody by itself and starts no server again: a person decides."""
    leader, replica = await settled(database)
    await database.pause(paused=True, deadline=20)
    await found(changes(database, "database.pause"), {}, Finding.DONE)
    lock = live_cluster.place / leader / "data" / "postmaster.pid"
    os.kill(int(lock.read_text().split()[0]), signal.SIGQUIT)
    change = changes(database, "database.failover", to=replica)
    async with asyncio.timeout(60):
        while (shown := await change.preview(deadline=4)).facts["leader"] != "nobody":
            await asyncio.sleep(0.2)
    assert [refusal.rule for refusal in shown.refusals] == ["fenced"], "that it does not answer proves nothing"
    assert shown.loss_bytes is None
    receipt, said = None, ""
    async with asyncio.timeout(120):
        while receipt is None:
            try:
                receipt = await database.fail_over(replica, deadline=40)
            except (EffectRefused, EffectUnknown) as error:  # while the old leader still has its lock
                said = str(error)
                await asyncio.sleep(1)
    assert receipt.code == "switched", said
    done = await found(change, shown.facts, Finding.DONE)
    assert done.figures["leader"] == replica
    await database.pause(paused=False, deadline=20)
    assert await settled(database) == (replica, leader)
    await close(database)
