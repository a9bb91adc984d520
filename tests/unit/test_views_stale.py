"""No view outlives what it was built from: each case here once showed an old word as the present one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import PlanRunbook
from state.api.topics import Topic
from state.capabilities import Capability, added
from state.detection.detector import Detector
from state.engine.events import Heartbeat
from state.errors import EffectRefused, JournalUnavailable
from state.journal.events import Event, Foreign
from state.journal.format import Sealed, unseal
from state.ports.target import Receipt
from state.runs.events import RunEnded, RunUndoRefused
from state.runs.fold import RunHistory
from state.runs.model import Run
from state.views.context import ViewContext
from tests.support.small_estate import change, small

pytestmark = pytest.mark.virtual_time

UNDOING: Mapping[str, Any] = {
    "runbook": "careful",
    "title": "Careful",
    "steps": [
        {
            "id": "w",
            "change": "server.weight",
            "with": {"balancer": "edge", "backend": "shop", "server": "green", "weight": 5},
            "on_failure": "undo",
        },
    ],
}


class Full(MemoryJournal):
    """A journal on a disk that may be full."""

    full = False

    def append(self, entries: Sequence[Sealed]) -> None:
        if self.full:
            raise JournalUnavailable("no space left")
        super().append(entries)


class Refusing(MemoryBalancer):
    """A balancer that takes no weight."""

    def __init__(self) -> None:
        super().__init__("edge", {"shop": {"blue": 100, "green": 0}})

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Receipt:
        raise EffectRefused("not today", "refused")


class Hanging:
    """An undoer that is never through."""

    async def undo(self, run: Run) -> None:
        await asyncio.Event().wait()


def build_drift(context: ViewContext) -> int:
    """A view of a fold's state that readings change, without an entry."""
    return len(context.of(Detector).drifts.get("edge", {}))


def build_clock(context: ViewContext) -> float:
    """A view of nothing but the time."""
    return context.now_mono


async def test_a_journal_that_fails_between_two_looks_at_one_version_is_seen_failing() -> None:
    store = Full()
    async with small(store=store) as lab:
        topics, version = lab.engine._topics, 1_000_000
        assert topics.view("header", version).effects == ""
        store.full = True
        await lab.engine._note(Heartbeat("running"))
        assert topics.view("journal", version).durable == "no space left"
        assert topics.view("journal", version + 1).durable == "no space left"


async def test_a_view_of_what_a_fold_heard_or_of_the_clock_is_built_again() -> None:
    toy = Capability(
        "toy",
        topics=(
            Topic("drift", "builtins:int", f"{__name__}:build_drift"),
            Topic("clock", "builtins:float", f"{__name__}:build_clock"),
        ),
    )
    with added(toy):
        async with small() as lab:
            card = await lab.preview(change("server.weight", server="green", weight=10))
            assert await lab.ended((await lab.submit(card)).run) == "done"
            await asyncio.sleep(0.3)
            assert lab.engine.view("drift") == 0
            first = lab.engine.view("clock")
            await lab.balancer.set_weight("shop", "green", 77, deadline=1)
            await asyncio.sleep(0.5)
            assert lab.engine.view("drift") == 1
            assert lab.engine.view("clock") > first


async def test_a_fold_that_breaks_half_way_counts_as_moved() -> None:
    async with small() as lab:
        folds = lab.engine.folds
        before = folds.version(RunHistory)
        odd = replace(unseal(lab.store.rows()[-1]), kind=RunEnded.kind, event=Event(Foreign({}), "x"))
        assert folds.fold(odd)
        assert folds.version(RunHistory) != before


async def test_an_undo_that_is_refused_is_shown_recorded_and_known_after_a_restart() -> None:
    store, balancer = MemoryJournal(), Refusing()
    async with small(UNDOING, store=store, balancer=balancer) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("careful")))).run
        assert await lab.ended(run) == "failed"
        lab.engine.view("runbooks")
        await asyncio.sleep(0.1)
        shown = lab.engine.view("runbooks").runs[run].message
        assert shown.endswith("did nothing that can be undone. Plan the change you want instead")
        assert lab.kinds()[-1] == RunUndoRefused.kind
    async with small(UNDOING, store=store, balancer=balancer) as lab:
        assert lab.engine.view("runbooks").runs[run].message == shown
        assert lab.kinds().count(RunUndoRefused.kind) == 1


async def test_an_undo_refused_without_a_journal_is_shown_all_the_same() -> None:
    store = Full()
    async with small(UNDOING, store=store, balancer=Refusing()) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("careful")))).run
        lab.engine.executor.undoer = Hanging()
        assert await lab.ended(run) == "failed"
        lab.engine.view("runbooks")
        store.full = True
        await lab.engine.plans.undo(lab.engine.history.runs[run])
        assert "nothing was undone" in lab.engine.view("runbooks").runs[run].message


async def test_an_engine_that_dies_before_it_undoes_says_so_when_it_starts_again() -> None:
    store, balancer = MemoryJournal(), Refusing()
    async with small(UNDOING, store=store, balancer=balancer) as lab:
        lab.engine.executor.undoer = Hanging()
        run = (await lab.submit(await lab.preview(PlanRunbook("careful")))).run
        assert await lab.ended(run) == "failed"
        await asyncio.sleep(0.05)
    for _ in range(2):
        async with small(UNDOING, store=store, balancer=balancer) as lab:
            await asyncio.sleep(0.05)
            assert "nothing was undone: the engine ended" in lab.engine.view("runbooks").runs[run].message
            assert lab.kinds().count(RunUndoRefused.kind) == 1
