"""A run with a group, a loop, conditions and a value known late, killed, stopped or without disk at each journal entry.

The adapters are in memory, the journal is the real one. Whatever happens in between: an intent is durable before its
effect, nothing is sent twice, and the run ends as its runbook and its people say.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.sqlite import SqliteJournal
from state.api.requests import Decide, PlanRetry, PlanRunbook, Resume
from state.errors import JournalUnavailable, Refused
from state.journal.format import Sealed, unseal, verify
from state.runs.events import EffectIntended, RunStopRequested
from state.runs.model import Run
from tests.support.run_books import SHOP, ask, book, check, group, weight
from tests.support.small_estate import COMMANDER, OBSERVER, RESPONDER, Small, small
from tests.support.virtual_time import VirtualLoop, run_virtual


def asked(server: str, **answers: str) -> dict[str, Any]:
    """A condition: whether a server serves."""
    return {"check": "server.serving", "with": {**SHOP, "server": server}, "for": "5s", **answers}


STEPS = book(
    weight("w1", "s1", 5),
    group(
        ask("q", {"go": "continue", "no": "stop"}),
        weight("w2", "s2", 6),
        check("c", "server.serving", "s1", **{"for": "5s"}),
    ),
    {"id": "rest", "wait": "5s", "when": asked("s1", failed="stop")},
    {"id": "roll", "each": ["s3", "s4"], "steps": [
        weight("w", "${item}", 7), check("proof", "server.serving", "${item}", **{"for": "5s"}),
    ]},
    weight("never", "s5", 1, when=asked("s5", failed="skip")),
    {"id": "look", "check": "backend.floor", "with": {**SHOP, "at_least": 1}, "capture": {"count": "serving"}},
    {"id": "late", "change": "server.weight", "with": {**SHOP, "server": "s6", "weight": "${look.count}"}},
)  # fmt: skip
ENTRIES = 75
"""More than the run has; each trial says whether it came that far."""
ENDED = "every step is done and verified; 1 left out, as conditions say"


class Disk(SqliteJournal):
    """The real journal on a disk to which something happens at one of a run's entries.

    `at` counts batches with entries of runs. `kept`: whether that batch is still written. `then` is called once.
    """

    def __init__(self, path: Path, at: int, *, kept: bool, then: Callable[[], None]) -> None:
        super().__init__(path)
        self.at, self.kept, self.then = at, kept, then
        self.batches = 0
        self.reached = self.broken = False

    def append(self, entries: Sequence[Sealed]) -> None:
        self.batches += any(unseal(entry).event.run for entry in entries)
        if self.batches >= self.at and not self.reached:
            self.reached = True
            if self.kept:
                super().append(entries)
            self.then()
            if self.kept:
                return
        if self.broken:
            raise JournalUnavailable("disk full")
        super().append(entries)


class Target(MemoryBalancer):
    """Counts what it is told, and looks whether the intent is on the disk."""

    def __init__(self, journal: Path) -> None:
        super().__init__("edge", {"shop": {"blue": 100, **dict.fromkeys(("s1", "s2", "s3", "s4", "s5", "s6"), 0)}})
        self.told: Counter[str] = Counter()
        self.cut, self.unrecorded, self._journal = False, 0, journal

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Any:
        if self.cut:  # the process that would send it is dead
            await asyncio.Event().wait()
        self.told[server] += 1
        self.unrecorded += server not in intended(self._journal)
        return await super().set_weight(backend, server, weight, deadline=deadline)


def bodies(path: Path) -> list[Any]:
    store = SqliteJournal(path)
    try:
        return [unseal(entry).body for entry in store.rows()]
    finally:
        store.close()


def intended(path: Path) -> set[str]:
    return {b.change.args["server"] for b in bodies(path) if isinstance(b, EffectIntended)}


class Trial:
    """One run with one disturbance."""

    def __init__(self, place: Path, at: int, *, kept: bool) -> None:
        self.path = place / "journal.db"
        self.target = Target(self.path)
        self.disk = Disk(self.path, at, kept=kept, then=self.happens)
        self.lab: Small

    def happens(self) -> None:
        """What happens at the entry; called in the thread of the journal."""

    def engine(self, disk: Disk | SqliteJournal) -> Any:
        self.loop = loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return small(STEPS, balancer=self.target, store=disk, clock=loop, every=0.2)

    @property
    def run(self) -> Run | None:
        return self.lab.engine.history.runs.get("R-1")

    async def begin(self) -> None:
        """Start the run, as often as the disk needs."""
        while self.run is None:
            try:
                await self.lab.submit(await self.lab.preview(PlanRunbook("case")))
            except (JournalUnavailable, Refused):
                await asyncio.sleep(1.0)

    async def attend(self, seconds: float) -> None:
        """A person answers, retries and resumes whatever is offered, until the run ends or the time is over."""
        for _ in range(int(seconds * 4)):
            await asyncio.sleep(0.25)
            run = self.run
            if self.target.cut or (run is not None and run.ended):
                return await asyncio.sleep(2.0)
            if run is None or self.disk.broken:
                continue
            offered = self.lab.engine.view("runbooks").runs["R-1"].steps_of
            try:
                if "decide" in offered:
                    await self.lab.engine.control(COMMANDER, "R-1", Decide("go", offered["decide"][0]))
                elif "retry" in offered:
                    await self.lab.submit(await self.lab.preview(PlanRetry("R-1", offered["retry"][0])))
                elif "resume" in offered:
                    await self.lab.engine.control(COMMANDER, "R-1", Resume(offered["resume"][0]))
            except (JournalUnavailable, Refused):
                continue

    def proven(self) -> None:
        """Nothing unrecorded, nothing twice, and a whole chain."""
        assert self.target.unrecorded == 0
        assert all(count == 1 for count in self.target.told.values()), self.target.told
        store = SqliteJournal(self.path)
        assert verify(iter(store.rows())).ok
        store.close()


class Killed(Trial):
    """`kill -9` at the entry; another engine starts on the same file."""

    def happens(self) -> None:
        self.disk.broken = self.target.cut = True

    async def live(self) -> None:
        async with self.engine(self.disk) as self.lab:
            starting = asyncio.create_task(self.begin())
            await self.attend(30)
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        if not self.disk.reached:
            return
        self.disk.broken = self.target.cut = False
        async with self.engine(SqliteJournal(self.path)) as self.lab:
            await self.begin()
            await self.attend(40)
            run = self.run
            assert run is not None
            assert (run.state, run.message) == ("done", ENDED)
            assert (await self.lab.engine.journal_verify()).problem == ""
        self.proven()
        found = (await self.target.read(deadline=1)).servers
        assert (found["shop/s3"].weight, found["shop/s6"].weight) == (7, 5)


class Full(Trial):
    """The disk is full at the entry, and has room again after ten seconds."""

    def happens(self) -> None:
        self.disk.broken = True
        self.loop.call_soon_threadsafe(self.loop.call_later, 10.0, self.room)

    def room(self) -> None:
        self.disk.broken = False

    async def live(self) -> None:
        async with self.engine(self.disk) as self.lab:
            starting = asyncio.create_task(self.begin())
            await self.attend(60)
            await starting
            run = self.run
            assert run is not None
            assert (run.state, run.message) == ("done", ENDED)
            assert (await self.lab.engine.journal_verify()).problem == ""
        self.proven()


class Stopped(Trial):
    """Somebody stops everything at the entry, after an observer has tried."""

    def happens(self) -> None:
        self.loop.call_soon_threadsafe(lambda: self.loop.create_task(self.stop()))

    async def stop(self) -> None:
        with pytest.raises(Refused, match="read-only"):
            await self.lab.engine.stop_all(OBSERVER)
        await self.lab.engine.stop_all(RESPONDER)

    async def live(self) -> None:
        async with self.engine(self.disk) as self.lab:
            starting = asyncio.create_task(self.begin())
            await self.attend(60)
            if self.run is None:  # the plan was on its way to becoming a run
                starting.cancel()
                return
            run = self.run
            assert run.ended
            seen = bodies(self.path)
            stops = [n for n, body in enumerate(seen) if isinstance(body, RunStopRequested)]
            if not stops:  # it came after the last entry
                assert run.state == "done"
            else:
                assert run.state in ("stopped", "done")
                later = [b for b in seen[stops[0] :] if isinstance(b, EffectIntended)]
                assert all(b.change.args["server"] not in self.target.told for b in later)
                assert run.state == "stopped" or run.next() is None
        self.proven()


def sweep(kind: type[Trial], place: Path, points: Sequence[int], *, kept: bool) -> int:
    """Trials at some entries; how many were reached."""
    reached = 0
    for at in points:
        home = place / f"{at}-{kept}"
        home.mkdir()
        trial = kind(home, at, kept=kept)
        try:
            run_virtual(trial.live())
        except BaseException:
            print(f"{kind.__name__} at {at}, kept {kept}")
            raise
        reached += trial.disk.reached
    return reached


@pytest.mark.parametrize("kept", [True, False])
def test_killed_at_every_entry_before_or_after_it(tmp_path: Path, kept: bool) -> None:
    """Of two entries one is tried before it is written and the other after it."""
    assert 22 < sweep(Killed, tmp_path, range(1 + kept, ENTRIES, 2), kept=kept) < ENTRIES // 2


@pytest.mark.torture
@pytest.mark.parametrize("kept", [True, False])
def test_killed_at_every_entry(tmp_path: Path, kept: bool) -> None:
    assert 45 < sweep(Killed, tmp_path, range(1, ENTRIES), kept=kept) < ENTRIES - 1


def test_disk_full_at_every_second_entry(tmp_path: Path) -> None:
    assert 22 < sweep(Full, tmp_path, range(1, ENTRIES, 2), kept=False) < ENTRIES // 2


@pytest.mark.torture
def test_disk_full_at_every_entry(tmp_path: Path) -> None:
    assert 45 < sweep(Full, tmp_path, range(1, ENTRIES), kept=False) < ENTRIES - 1


def test_stopped_at_every_entry(tmp_path: Path) -> None:
    assert 45 < sweep(Stopped, tmp_path, range(1, ENTRIES), kept=True) < ENTRIES - 1
