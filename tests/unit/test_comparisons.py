"""Comparisons that the engine makes: asked for by people, one at a time, each with a verdict in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.journals.memory import MemoryJournal
from state.api.caller import Caller
from state.api.views.comparisons import CompareOutcome, ComparisonRow
from state.comparing.request import CompareProgress, CompareRequest, OnProgress
from state.comparing.results import Apart, Comparison, Linked, SideFacts, TableResult
from state.comparisons.comparing import BROKEN
from state.comparisons.events import ComparisonEnded
from state.comparisons.history import KEPT
from state.engine.engine import Engine
from state.errors import NotFound, ReadFailure, Refused, Trouble
from state.estate.model import Estate
from state.journal.store import JournalStore
from state.planning.library import Library
from state.ports.outside import Outside
from tests.support.small_estate import COMMANDER, ESTATE, OBSERVER, STRANGER, LoopClock

TREE: dict[str, Any] = {
    **ESTATE,
    "services": {},
    "balancers": {},
    "databases": {"ledger": {"kind": "memory", "nodes": {"a": {"site": "east"}, "b": {"site": "east"}}}},
}
SIDE = SideFacts("a", "app", "18", False, "1", 1, 0.0, "UTF8")


def whole(*tables: TableResult) -> Comparison:
    return Comparison(SIDE, SIDE, Linked.PHYSICAL, False, 0.0, list(tables), took=2.5)


class Comparer:
    """Says how far it is, then waits to be told what it found. Fulfils CanCompare."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Comparison] = asyncio.get_running_loop().create_future()
        self.asked: list[CompareRequest] = []
        self.ended = 0

    async def compare(self, request: CompareRequest, progress: OnProgress) -> Comparison:
        self.asked.append(request)
        progress(CompareProgress("orders", 1, 4, 0.25, 10.0, 3))
        try:
            return await self.answer
        finally:
            self.ended += 1


@asynccontextmanager
async def engine_with(comparer: Comparer | None, store: JournalStore | None = None) -> AsyncIterator[Engine]:
    estate = Estate.model_validate(TREE)
    outside = Outside((), {}, {}, comparing=comparer)
    library = Library({}, estate, {})
    kept = store if store is not None else MemoryJournal()
    engine = Engine(estate, outside, kept, LoopClock(), library, node="test", pid=1, uid=0)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def newest(engine: Engine) -> ComparisonRow:
    rows: dict[str, ComparisonRow] = engine.view("comparisons").comparisons
    return list(rows.values())[-1]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(8):
        while not holds():
            await asyncio.sleep(0.01)


async def ended(engine: Engine) -> ComparisonRow:
    await until(lambda: newest(engine).ended_at is not None)
    return newest(engine)


async def test_progress_is_shown_and_the_verdict_is_recorded() -> None:
    comparer = Comparer()
    async with engine_with(comparer) as engine:
        await engine.comparing.start(COMMANDER, "ledger/a", "ledger/b")
        await until(lambda: newest(engine).share > 0)
        seen = newest(engine)
        assert (seen.outcome, seen.table, seen.rows, seen.left) == (CompareOutcome.RUNNING, "orders", 3, 30.0)
        assert comparer.asked[0].listed == 0
        assert comparer.asked[0].pace.share < 1
        orders = TableResult("orders", apart={Apart.CHANGED: 4, Apart.ONLY_A: 1}, rows_a=9, rows_b=8)
        comparer.answer.set_result(whole(orders, TableResult("people"), TableResult("x", uncompared="no right")))
        seen = await ended(engine)
        assert (seen.outcome, seen.rows, seen.tables, seen.compared, seen.unknown, seen.seconds) == (
            CompareOutcome.DIFFERS, 5, 1, 3, 1, 2.5,
        )  # fmt: skip
        told = [row.message for row in engine.journal_rows(0, 100) if row.kind.startswith("comparison.")]
        assert told == [
            "C-1: compare ledger/a with ledger/b; only reads",
            "C-1 differs: 5 rows in 1 table, 1 not or not wholly compared",
        ]


@pytest.mark.parametrize(
    ("tables", "outcome", "reason"),
    [
        ((TableResult("orders", rows_a=3, rows_b=3),), CompareOutcome.EQUAL, ""),
        ((TableResult("orders", open_rows=1, why_open="it changes"),), CompareOutcome.UNKNOWN, ""),
        ((), CompareOutcome.UNKNOWN, "there are no tables"),
        ((TableResult("orders", definitions=("the table is only on A",)),), CompareOutcome.DIFFERS, ""),
    ],
)
async def test_only_what_was_wholly_compared_is_equal(
    tables: tuple[TableResult, ...], outcome: CompareOutcome, reason: str
) -> None:
    comparer = Comparer()
    comparer.answer.set_result(whole(*tables))
    async with engine_with(comparer) as engine:
        await engine.comparing.start(COMMANDER, "ledger/a", "ledger/b")
        seen = await ended(engine)
        assert (seen.outcome, seen.reason) == (outcome, reason)


async def test_one_at_a_time_and_cancelled_by_a_person() -> None:
    comparer = Comparer()
    async with engine_with(comparer) as engine:
        await engine.comparing.start(COMMANDER, "ledger/a", "ledger/b")
        with pytest.raises(Refused, match="C-1 of ledger/a and ledger/b is under way"):
            await engine.comparing.start(COMMANDER, "ledger/b", "ledger/a")
        await until(lambda: len(comparer.asked) == 1)
        await engine.comparing.cancel(COMMANDER)
        seen = await ended(engine)
        assert (seen.outcome, seen.reason, comparer.ended) == (CompareOutcome.CANCELLED, "by ada", 1)
        with pytest.raises(Refused, match="no comparison is under way"):
            await engine.comparing.cancel(COMMANDER)


async def test_what_cannot_be_read_and_defects_are_no_verdict() -> None:
    for error, reason in (
        (ReadFailure(Trouble.UNREACHABLE, "b does not answer"), "b does not answer"),
        (ZeroDivisionError("a defect"), BROKEN),
    ):
        comparer = Comparer()
        comparer.answer.set_exception(error)
        async with engine_with(comparer) as engine:
            await engine.comparing.start(COMMANDER, "ledger/a", "ledger/b")
            seen = await ended(engine)
            assert (seen.outcome, seen.reason.rpartition(": ")[2]) == (CompareOutcome.FAILED, reason)
            task = engine.comparing._task
            assert task is not None
            await asyncio.wait({task})
            assert (task.exception() is None) == isinstance(error, ReadFailure)


async def test_an_engine_that_ends_leaves_no_comparison_open() -> None:
    store, comparer = MemoryJournal(), Comparer()
    async with engine_with(comparer, store) as engine:
        await engine.comparing.start(COMMANDER, "ledger/a", "ledger/b")
        await until(lambda: len(comparer.asked) == 1)
    async with engine_with(Comparer(), store) as engine:
        assert newest(engine).outcome is CompareOutcome.INTERRUPTED


async def test_after_a_kill_it_is_recorded_as_interrupted() -> None:
    store, comparer = MemoryJournal(), Comparer()
    async with engine_with(comparer, store) as engine:
        await engine.comparing.start(COMMANDER, "ledger/a", "ledger/b")
        killed = MemoryJournal()
        for entry in store.rows(0, 1000):
            killed.append([entry])
    async with engine_with(Comparer(), killed) as engine:
        assert newest(engine).outcome is CompareOutcome.INTERRUPTED
        assert [r.kind for r in engine.journal_rows(0, 100)].count(ComparisonEnded.kind) == 1


async def test_refused_for_who_may_not_act_and_for_what_is_not_there() -> None:
    async with engine_with(Comparer()) as engine:
        for caller in (OBSERVER, STRANGER):
            with pytest.raises(Refused):
                await engine.comparing.start(caller, "ledger/a", "ledger/b")
            with pytest.raises(Refused):
                await engine.comparing.cancel(caller)
        for a, b, said in (
            ("ledger/a", "ledger/x", "x"),
            ("orders/a", "ledger/b", "orders"),
            ("ledger", "x", "not DATABASE"),
        ):
            with pytest.raises(NotFound, match=said):
                await engine.comparing.start(COMMANDER, a, b)
        with pytest.raises(Refused, match="equal to itself"):
            await engine.comparing.start(COMMANDER, "ledger/a", "ledger/a")
        assert engine.view("comparisons").comparisons == {}
    async with engine_with(None) as engine:
        with pytest.raises(Refused, match="cannot compare"):
            await engine.comparing.start(COMMANDER, "ledger/a", "ledger/b")


async def test_the_newest_are_known_after_a_restart_and_numbers_are_not_used_again() -> None:
    store, caller = MemoryJournal(), Caller(1000, "ada", "ada", ("responder",), "s", read_only=False)
    comparer = Comparer()
    comparer.answer.set_result(whole(TableResult("orders")))
    async with engine_with(comparer, store) as engine:
        for _ in range(KEPT + 3):
            await engine.comparing.start(caller, "ledger/a", "ledger/b")
            await ended(engine)
        known = dict(engine.view("comparisons").comparisons)
    assert list(known)[-1] == f"C-{KEPT + 3}"
    assert len(known) == KEPT
    async with engine_with(comparer, store) as engine:
        assert engine.view("comparisons").comparisons == known
        await engine.comparing.start(caller, "ledger/a", "ledger/b")
        assert (await ended(engine)).id == f"C-{KEPT + 4}"
