"""What the engine notices by itself, with a journal that cannot always be written, and with entries erased."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from adapters.journals.memory import MemoryJournal
from state.changes.model import Finding
from state.detection.detector import DETECTOR, FLAPS, STEADY, Detector
from state.detection.events import ServiceImpaired, ServiceRecovered
from state.errors import JournalUnavailable
from state.estate.model import Estate
from state.health import Health
from state.journal.events import Body, Erased, Event, Recorded, Unreadable, read_body
from state.journal.format import FOREIGN, Sealed, unseal_any
from state.journal.projection import FoldSetting
from state.ports.target import Setting
from state.runs.events import EffectEnded
from state.runs.model import StepState
from state.verdicts.judge import Judge
from tests.support.refold import differences
from tests.support.small_estate import ESTATE, LoopClock, change, small

pytestmark = pytest.mark.virtual_time

ESTATE_ = Estate.model_validate(ESTATE)


def test_what_an_effect_left_at_a_database_is_an_entry_like_others_and_nothing_of_a_balancer() -> None:
    detector, _ = noticing()
    before = detector.drifts
    paused = (Setting(("database/orders",), "paused", "True"),)
    ended = EffectEnded("R-1/pause", StepState.DONE, Finding.DONE, (), {}, 1.0, "done", paused)
    DETECTOR.fold(detector, kept(ended, 1.0))
    assert detector.drifts == before


class Verdict:
    """What a service is said to be."""

    def __init__(self) -> None:
        self.health, self.message, self.partial = Health.PASS, "as told", False


class Told:
    """A judge that says what it was told to say."""

    def __init__(self) -> None:
        self.shop, self.estate = Verdict(), ESTATE_
        self.services, self.clusters = {"shop": self.shop}, dict[str, Any]()

    @property
    def healths(self) -> dict[str, Health]:
        return {"shop": self.shop.health}

    def at(self, now_mono: float) -> Told:
        return self


def noticing() -> tuple[Detector, Told]:
    judge = Told()
    return Detector(FoldSetting(ESTATE_, cast("Judge", judge), LoopClock(), "boot", "engine")), judge


def looks(detector: Detector, since: float, count: int = STEADY + 3) -> list[Event]:
    return [event for i in range(count) for event in detector.notice(since + i)]


def kept(body: Body, mono: float) -> Recorded:
    return Recorded(1, 0.0, mono, "boot", "n", "", body.kind, Event(body, "engine"))


def test_a_service_that_recovers_before_its_failure_could_be_recorded_is_no_failing_service() -> None:
    detector, judge = noticing()
    judge.shop.health = Health.FAIL
    [failed] = looks(detector, 100.0)
    judge.shop.health = Health.PASS
    [recovered] = looks(detector, 110.0)
    assert isinstance(recovered.body, ServiceRecovered)
    detector.fold(kept(failed.body.later(898.0), 1000.0))
    detector.fold(kept(recovered.body, 1000.0))
    clock = detector.clocks["shop"]
    assert (clock.started_mono, clock.ended_mono) == (100.0, 112.0)
    assert looks(detector, 1001.0) == []


async def test_what_could_not_be_recorded_at_once_began_when_it_began() -> None:
    class Full(MemoryJournal):
        full = False

        def append(self, entries: Sequence[Sealed]) -> None:
            if self.full:
                raise JournalUnavailable("no space left")
            super().append(entries)

    store = Full()
    async with small(store=store) as lab:
        detector = lab.engine.folds.of(Detector)
        store.full, now = True, lab.engine.mono()
        detector._pending.append(Event(ServiceImpaired("shop", 300.0, 1.0, "gone"), "engine"))
        await asyncio.sleep(1.0)
        assert "shop" not in detector.clocks
        store.full = False
        await asyncio.sleep(0.6)
        assert abs(detector.clocks["shop"].started_mono - (now - 1.0)) < 0.4
        assert differences(lab.engine, store) == []


async def test_an_effect_whose_outcome_was_erased_is_over_and_expects_nothing() -> None:
    class Erasing(MemoryJournal):
        def erase(self, kind: str) -> None:
            kinds = [unseal_any(e).kind for e in self._entries]
            at = len(kinds) - 1 - kinds[::-1].index(kind)
            self._entries[at] = replace(self._entries[at], payload=b"", salt=b"")

    store = Erasing()
    async with small(store=store) as lab:
        balancer = lab.balancer
        for weight in (10, 20):
            card = await lab.preview(change("server.weight", server="green", weight=weight))
            assert await lab.ended((await lab.submit(card)).run) == "done"
    store.erase(EffectEnded.kind)
    async with small(store=store, balancer=balancer) as lab:
        detector = lab.engine.folds.of(Detector)
        await asyncio.sleep(0.3)
        assert detector._under_way == {}
        assert detector.drifts["edge"] == {}, "the older effect's weight is nothing to hold anybody to"


def test_odd_numbers_and_instants_are_no_entries_and_stop_nobody() -> None:
    huge = 10**400
    assert isinstance(
        read_body(ServiceRecovered.kind, {"service": "a", "seconds": huge, "target": 1, "words": ""}), Unreadable
    )
    for at in ("NaN", "Infinity", str(huge), "true"):
        header = f'[1,"n",{at},0,"b","a","s","engine.started","","","","c"]'.encode()
        assert unseal_any(Sealed(1, header, b"", b"", b"")).kind == FOREIGN
    odd = Sealed(7, b'[["7"],"n",0,0,"b","a","s","engine.started","","","","c"]', b"", b"", b"")
    assert (unseal_any(odd).seq, type(unseal_any(odd).body)) == (7, Erased)


def test_44_estate_changes_under_an_open_clock_and_only_what_it_names_has_one() -> None:
    detector, judge = noticing()
    for service in ("bad", "shop"):
        detector.fold(kept(ServiceImpaired(service, 60.0, 1.0, "gone"), 100.0))
    clock = detector.clocks["shop"]
    assert detector.clocks.keys() == {"shop"}
    assert (clock.started_mono, clock.target) == (99.0, ESTATE_.services["shop"].rto), "the objective in force"
    judge.estate = ESTATE_.model_copy(update={"services": {}})
    assert detector.clocks == {}
    judge.estate = ESTATE_
    assert detector.clocks == {"shop": clock}, "it was not seen to recover meanwhile"


def test_the_clock_of_a_service_that_only_has_to_stay_well_stands_and_goes_on_when_it_fails_again() -> None:
    detector, judge = noticing()
    at = 100.0
    for _ in range(4):  # it flaps until it has to be calm for longer
        judge.shop.health = Health.FAIL
        for event in looks(detector, at):
            detector.fold(kept(event.body, at))
        judge.shop.health = Health.PASS
        for event in looks(detector, at + 10):
            detector.fold(kept(event.body, at + 10))
        at += 20
    assert detector.clocks["shop"].ended_mono is None, "not recorded as recovered"
    assert detector.shown["shop"].ended_mono == at - 10
    judge.shop.health = Health.FAIL
    looks(detector, at)
    assert detector.shown["shop"].ended_mono is None
    assert detector.shown["shop"].started_mono == detector.clocks["shop"].started_mono


async def test_44_estate_changes_under_an_open_clock_after_a_restart() -> None:
    former = {**ESTATE, "services": {"bad": ESTATE["services"]["shop"]}}
    store = MemoryJournal()
    async with small(store=store, estate=former) as lab:
        await lab.engine.journal.append(Event(ServiceImpaired("bad", 300.0, 1.0, "gone"), "engine"))
        assert lab.engine.view("header").rto.service == "bad"
    async with small(store=store) as lab:
        await asyncio.sleep(0.5)
        assert lab.engine.view("header").rto is None
    async with small(store=store, estate=former) as lab:
        assert "bad" in lab.engine.folds.of(Detector).clocks, "the journal still knows it"


def _turn(detector: Detector, judge: Told, health: Health, at: float) -> Body:
    """The one entry about it, recorded."""
    judge.shop.health = health
    [event] = looks(detector, at)
    detector.fold(kept(event.body, at + STEADY - 1))
    return event.body


def test_56_flapping_keeps_one_clock_and_says_so() -> None:
    detector, judge = noticing()
    first = _turn(detector, judge, Health.FAIL, 100.0)
    _turn(detector, judge, Health.PASS, 110.0)
    again = _turn(detector, judge, Health.FAIL, 120.0)
    assert isinstance(first, ServiceImpaired)
    assert isinstance(again, ServiceImpaired)
    assert (first.flaps, again.flaps) == (False, True)
    assert "it flaps, 8 s after it recovered" in again.message
    assert detector.clocks["shop"].started_mono == 100.0
    recovered = _turn(detector, judge, Health.PASS, 130.0)
    assert isinstance(recovered, ServiceRecovered)
    assert recovered.seconds == 32.0
    later = _turn(detector, judge, Health.FAIL, 132.0 + FLAPS)
    assert isinstance(later, ServiceImpaired)
    assert not later.flaps, "a new failure"
    assert detector.clocks["shop"].started_mono == 132.0 + FLAPS


def test_s03_a_service_has_not_recovered_while_a_target_is_silent_that_may_be_the_failing_one() -> None:
    detector, judge = noticing()
    _turn(detector, judge, Health.FAIL, 100.0)
    judge.shop.health, judge.shop.partial = Health.WARN, True
    assert looks(detector, 110.0, 60) == []
    assert detector.clocks["shop"].ended_mono is None
    judge.shop.partial = False
    recovered = _turn(detector, judge, Health.PASS, 180.0)
    assert isinstance(recovered, ServiceRecovered)
    assert recovered.seconds == 82.0
