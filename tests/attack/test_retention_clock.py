"""A wrong wall clock erases nothing: retention is refused where one is seen, and ages are the least that is known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from adapters.journals.memory import MemoryJournal
from state.detection.observations import LeaderChanged
from state.engine.ages import DAY, Ages
from state.engine.events import ClockJumped, Heartbeat
from state.errors import Refused
from state.journal.events import Body, Event, Recorded
from state.journal.format import Sealer
from tests.support.small_estate import COMMANDER, ESTATE, small

YEARS = 10 * 366 * DAY
KEEP = {"observed": "366d", "decided": "366d", "heartbeats": "366d"}
YEAR = {**ESTATE, "policies": {**ESTATE["policies"], "retain": KEEP}}


class Ahead:
    """The machine's clocks; the wall clock can be set."""

    def __init__(self) -> None:
        self.off = 0.0

    def mono(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time() + self.off


def young(at: Callable[[int], float] = lambda number: time.time() - 3600) -> MemoryJournal:
    store = MemoryJournal()
    for number in range(300):
        seq, head = store.head()
        body = LeaderChanged("users", "", f"u{number}", number, "leads")
        entry = Sealer("h", "old").seal(Event(body, "e@h"), seq=seq + 1, previous=head, at=at(number), mono=1.0)
        store.append([entry])
    return store


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


def whole(store: MemoryJournal) -> bool:
    return all(entry.payload for entry in store.rows())


async def test_a_clock_set_years_ahead_while_the_engine_runs_erases_nothing() -> None:
    store, clock = young(), Ahead()
    async with small(store=store, estate=YEAR, clock=clock) as lab:
        await asyncio.sleep(0.6)
        clock.off = YEARS
        await until(lambda: "clock.jumped" in lab.kinds())
        with pytest.raises(Refused, match="the wall clock was set forward less than a day ago, entry 30"):
            await lab.engine.journal_retain(COMMANDER, dry_run=False)
    assert whole(store)


async def test_a_clock_that_is_years_ahead_when_the_engine_starts_erases_nothing() -> None:
    store, clock = young(), Ahead()
    clock.off = YEARS
    async with small(store=store, estate=YEAR, clock=clock) as lab:
        with pytest.raises(Refused, match="3660 days without an entry ended less than a day ago, with entry 301"):
            await lab.engine.journal_retain(COMMANDER, dry_run=False)
    assert whole(store)


async def test_while_entries_are_of_the_future_nothing_is_erased() -> None:
    store = young(lambda number: time.time() + (YEARS if number > 200 else -YEARS))
    async with small(store=store, estate=YEAR) as lab:
        with pytest.raises(Refused, match=r"entry 202 is of \d+-.*, and the clock says"):
            await lab.engine.journal_retain(COMMANDER, dry_run=False)
    assert whole(store)


def entry(seq: int, at: float, body: Body | None = None, boot: str = "old", mono: float = 0.0) -> Recorded:
    event = Event(body or Heartbeat("running"), "e@h")
    return Recorded(seq, at, mono, boot, "h", "00", event.kind, event)


def jump(seq: int, at: float, seconds: float) -> Recorded:
    return entry(seq, at, ClockJumped(seconds, "set"))


def ages(jumps: Sequence[Recorded] = (), wall: float = 100 * DAY) -> Ages:
    return Ages(jumps, wall, 5000.0, "now")


def test_an_age_is_the_lesser_of_what_the_clocks_say() -> None:
    assert ages().of(entry(1, 60 * DAY)) == 40 * DAY
    assert ages().of(entry(1, 60 * DAY, boot="now", mono=4000.0)) == 1000.0
    forward = ages([jump(5, 90 * DAY, 30 * DAY)])
    assert forward.of(entry(4, 50 * DAY)) == 20 * DAY, "30 of its 50 days nobody lived through"
    assert forward.of(entry(6, 90 * DAY)) == 10 * DAY
    back = ages([jump(5, 90 * DAY, -30 * DAY)])
    assert back.of(entry(4, 50 * DAY)) == 50 * DAY, "never older than by the wall clock"


def test_a_wrong_clock_that_was_set_right_while_an_engine_ran_does_not_refuse_for_ever() -> None:
    seen = ages([jump(5, 1000 * DAY, 920 * DAY), jump(9, 81 * DAY, -920 * DAY)])
    for number, at in enumerate((79, 80, 80, 80, 1000, 1000.2, 1000.5, 1001, 81, 82, 99), 1):
        seen.follow(entry(number, at * DAY))
    assert seen.of(entry(2, 80 * DAY)) == 20 * DAY
    with pytest.raises(Refused, match="set back less than a day ago, entry 9"):
        ages([jump(9, 99.5 * DAY, -920 * DAY)])


def test_a_second_of_difference_refuses_nothing() -> None:
    seen = ages([jump(5, 99.9 * DAY, 3.0)])
    seen.follow(entry(6, 100 * DAY + 1))
    assert seen.of(entry(4, 60 * DAY)) == 40 * DAY - 3.0
