"""A stop holds without a journal, also in the next engine."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.journals.memory import MemoryJournal
from adapters.journals.stops_file import StopsFile
from state.api.requests import Stop
from state.errors import JournalUnavailable
from state.journal.format import Sealed
from state.runs.events import RunStopRequested
from tests.support.run_books import book, started, until, weight
from tests.support.small_estate import RESPONDER, Small, small

pytestmark = pytest.mark.virtual_time

LONG = book(weight("one", "green", 1), {"id": "rest", "wait": "2s"}, weight("two", "green", 2))


class Failing(MemoryJournal):
    """A journal whose disk can be taken away."""

    def __init__(self, *, keeps: bool = True) -> None:
        super().__init__()
        self.gone, self.keeps = False, keeps

    def append(self, entries: Sequence[Sealed]) -> None:
        self.look()
        super().append(entries)

    def look(self) -> None:
        if self.gone:
            raise JournalUnavailable("the disk is gone")

    def keep_stops(self, runs: Sequence[str]) -> bool:
        return self.keeps and super().keep_stops(runs)


def stops(lab: Small) -> list[str]:
    return [r.run for r in lab.engine.journal_rows(0, 10_000) if r.kind == RunStopRequested.kind]


async def waiting(lab: Small) -> str:
    run = await started(lab)
    await until(lambda: lab.engine.history.runs[run].latest("rest").state == "running")
    return run


@pytest.mark.parametrize("everything", [False, True])
async def test_a_stop_that_was_not_recorded_holds_in_the_next_engine(everything: bool) -> None:
    store = Failing()
    async with small(LONG, store=store) as lab:
        balancer, run = lab.balancer, await waiting(lab)
        store.gone = True
        if everything:
            told = await lab.engine.stop_all(RESPONDER)
        else:
            told = await lab.engine.control(RESPONDER, run, Stop())
        assert "not recorded yet, the next engine keeps to it: the disk is gone" in told.message
    store.gone = False
    async with small(LONG, store=store, balancer=balancer) as lab:
        assert await lab.ended(run, 10) == "stopped"
        assert stops(lab) == [run]
        assert (await lab.weights())["green"] == 1
    assert store.kept_stops() == ()


class Hanging(MemoryJournal):
    """A journal whose disk can cease to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = threading.Event()
        self.answers.set()

    def append(self, entries: Sequence[Sealed]) -> None:
        self.answers.wait()
        super().append(entries)


@pytest.mark.virtual_time(False)
async def test_a_disk_that_does_not_answer_holds_up_no_stop_and_nobody_who_looks() -> None:
    """Before: the whole engine stood still for as long, and nobody could stop anything."""
    store = Hanging()
    async with small(LONG, store=store) as lab:
        run = await waiting(lab)
        store.answers.clear()
        try:
            told = await lab.engine.control(RESPONDER, run, Stop("wrong service"))
            assert "not recorded yet: the disk of the journal does not answer" in told.message
            await until(lambda: "has not answered" in lab.engine.journal.unavailable)
            assert lab.engine.history.runs[run].stopping
            with pytest.raises(JournalUnavailable, match="has not answered"):
                lab.engine.journal_rows(0, 10)
            assert "has not answered" in lab.engine.view("header").effects
        finally:
            store.answers.set()
        assert await lab.ended(run, 60) == "stopped"
        await until(lambda: stops(lab) == [run])
        await until(lambda: lab.engine.journal.unavailable == "")
        assert (await lab.weights())["green"] == 1


async def test_a_stop_is_recorded_when_the_journal_is_back() -> None:
    store = Failing()
    async with small(LONG, store=store) as lab:
        run = await waiting(lab)
        store.gone = True
        await lab.engine.control(RESPONDER, run, Stop("wrong service"))
        assert store.kept_stops() == (run,)
        store.gone = False
        assert await lab.ended(run, 10) == "stopped"
        await until(lambda: stops(lab) == [run])
        await until(lambda: store.kept_stops() == ())


async def test_who_stops_is_told_that_the_next_engine_would_go_on() -> None:
    store = Failing(keeps=False)
    async with small(LONG, store=store) as lab:
        run = await waiting(lab)
        store.gone = True
        told = await lab.engine.control(RESPONDER, run, Stop())
        assert f"the next engine would go on with {run}" in told.message


def test_the_file_of_stops_names_runs_and_nothing_else(tmp_path: Path) -> None:
    file = StopsFile(tmp_path / "journal.db")
    assert file.kept() == ()
    assert file.keep(["R-1", "R-22"])
    assert StopsFile(tmp_path / "journal.db").kept() == ("R-1", "R-22")
    (tmp_path / "journal.stops").write_bytes(b"R-3\n\x1b]0;x\nR-\nR-4\n")
    assert file.kept() == ("R-3", "R-4")
    assert file.keep([])
    assert [*tmp_path.iterdir()] == []
    assert not StopsFile(tmp_path / "gone" / "journal.db").keep(["R-1"])
