"""When anchors are sent, who waits for them, and what is told of a place that takes none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from state.audit.events import AnchorLost, AnchorRestored
from state.config_files.located import Located
from state.errors import ReadFailure, Trouble
from state.estate.rules import rule_problems
from state.journal.format import Sealed, unseal
from state.proof.anchors import Anchor, AnchorsRead
from state.proof.chain import Verifier
from state.runs.events import EffectEnded, EffectIntended, StepEnded
from tests.support.own_estate import own, run_command, script
from tests.support.small_estate import ESTATE, Small, flip, small

pytestmark = pytest.mark.virtual_time


class Memory:
    """A place that keeps lines in memory; it may hang or fail."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.asked = 0
        self.hangs = self.fails = False

    async def look(self, *, deadline: float) -> str:
        return "it is there"

    async def keep(self, line: str, *, deadline: float) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(10**6)  # not even its own deadline
        if self.fails:
            raise ReadFailure(Trouble.UNREACHABLE, "nobody is there")
        self.lines.append(line)

    @property
    def anchors(self) -> list[Anchor]:
        read = AnchorsRead()
        read.take([line.encode() for line in self.lines], "memory")
        return read.anchors


def estate(*places: str, **policy: Any) -> Mapping[str, Any]:
    listed = {name: {"kind": "memory"} for name in places}
    return {**ESTATE, "anchors": listed, "policies": {**ESTATE["policies"], "anchors": policy}}


def fits(entries: Sequence[Sealed], anchors: Sequence[Anchor]) -> str:
    verifier = Verifier(anchors=anchors)
    verifier.feed(entries)
    return verifier.prove().problem


def bodies(site: Small, kind: type) -> list[Any]:
    return [body for entry in site.store.rows() if isinstance(body := unseal(entry).body, kind)]


async def test_every_place_has_an_anchor_within_a_minute_of_every_entry() -> None:
    one, two = Memory(), Memory()
    async with small(anchors={"one": one, "two": two}, estate=estate("one", "two")) as site:
        await asyncio.sleep(600)
        recorded = [unseal(entry) for entry in site.store.rows()]
    for place in (one, two):
        assert fits(site.store.rows(), place.anchors) == ""
        for entry in recorded:
            after = [each.at for each in place.anchors if each.seq >= entry.seq]
            assert after
            assert min(after) - entry.at <= 60, entry
        assert len(place.anchors) <= 2 + 600 / 40, "and not with every entry"


async def test_a_place_that_hangs_holds_up_neither_the_others_nor_the_engine() -> None:
    well, hung = Memory(), Memory()
    hung.hangs = True
    async with small(anchors={"well": well, "hung": hung}, estate=estate("well", "hung")) as site:
        await asyncio.sleep(300)
        assert len(well.anchors) >= 5
        lost = bodies(site, AnchorLost)
        assert [(each.place, each.last) for each in lost] == [("hung", 0)]
        assert "anchors.hung does not take anchors" in repr(site.engine.view("header").causes)
        begun = asyncio.get_running_loop().time()
        accepted = await site.submit(await site.preview(flip("green")))
        assert await site.ended(accepted.run) == "done"
        assert asyncio.get_running_loop().time() - begun < 8


async def test_an_outage_is_told_once_and_ends_when_it_ends_also_after_a_restart() -> None:
    place = Memory()
    told = {"anchors": {"there": place}, "estate": estate("there")}
    async with small(**told) as site:
        await asyncio.sleep(60)
        place.fails = True
        await asyncio.sleep(600)
        assert [each.place for each in bodies(site, AnchorLost)] == ["there"]
        assert bodies(site, AnchorRestored) == []
        store = site.store
    async with small(**told, store=store) as site:
        await asyncio.sleep(120)
        assert len(bodies(site, AnchorLost)) == 1, "it is known from the journal"
        assert "anchors.there does not take anchors" in repr(site.engine.view("header").causes)
        place.fails = False
        await asyncio.sleep(60)
        assert len(bodies(site, AnchorRestored)) == 1
        assert "does not take anchors" not in repr(site.engine.view("header").causes)
        assert fits(store.rows(), place.anchors) == ""


async def test_what_comes_and_goes_does_not_fill_the_journal() -> None:
    place = Memory()
    async with small(anchors={"there": place}, estate=estate("there")) as site:
        for _ in range(30):
            place.fails = not place.fails
            await asyncio.sleep(60)
        assert 1 <= len(bodies(site, AnchorLost)) <= 4


async def test_the_intent_of_a_risky_change_is_outside_before_it_is_sent_and_its_outcome_at_once() -> None:
    place = Memory()
    async with small(anchors={"there": place}, estate=estate("there", every="50s")) as site:
        await asyncio.sleep(5)
        before = await site.engine._audit.anchoring.before("B3")
        assert before == ""
        assert place.anchors[-1].seq == site.engine.journal.seq
        asked = place.asked
        assert await site.engine._audit.anchoring.before("B2") == ""
        assert place.asked == asked, "a lesser risk waits for nothing"


async def test_without_the_places_that_are_needed_nothing_risky_is_sent() -> None:
    well, hung = Memory(), Memory()
    hung.hangs = True
    both = {"well": well, "hung": hung}
    async with small(anchors=both, estate=estate("well", "hung", needed=2, wait="500ms")) as site:
        await asyncio.sleep(5)
        begun = asyncio.get_running_loop().time()
        why = await site.engine._audit.anchoring.before("B3")
        assert "1 of 2 places" in why, why
        assert asyncio.get_running_loop().time() - begun <= 1, "and nobody waits beyond the limit"
        assert await site.engine._audit.anchoring.before("B2") == ""


RISKY = {"argv": ["./act"], "risk": "B3", "quiet": "50ms", "settle": "10ms"}


async def acted(folder: Path, place: Memory, **policy: Any) -> tuple[Small, str, list[str]]:
    """A run of one B3 command, which tells what the place had when it was sent."""
    script(folder, "act", "open('acted', 'a').write('x')")
    policies = {**ESTATE["policies"], "anchors": policy}
    sections = {"commands": {"act": RISKY}, "anchors": {"there": {"kind": "memory"}}, "policies": policies}
    async with own(folder, places={"there": place}, **sections) as site:
        accepted = await site.submit(await site.preview(run_command("act")))
        state = await site.ended(accepted.run)
        async with asyncio.timeout(30):
            while not place.hangs and (not place.anchors or place.anchors[-1].seq < site.engine.journal.seq - 1):
                await asyncio.sleep(0.05)
        said = [str(body.message) for body in bodies(site, StepEnded)]
    return site, state, said


@pytest.mark.virtual_time(False)
async def test_a_b3_of_a_run_is_sent_once_its_intent_is_outside_and_its_outcome_follows(tmp_path: Path) -> None:
    place = Memory()
    site, _, _ = await acted(tmp_path, place, every="50s", needed=1)
    assert (tmp_path / "acted").read_text() == "x"
    intent = next(entry for entry in site.store.rows() if isinstance(unseal(entry).body, EffectIntended))
    outcome = next(entry for entry in site.store.rows() if isinstance(unseal(entry).body, EffectEnded))
    holding = [each for each in place.anchors if intent.seq <= each.seq < outcome.seq]
    assert holding, "an anchor of the intent, before there was an outcome"
    assert place.anchors[-1].seq >= outcome.seq
    assert fits(site.store.rows(), place.anchors) == ""


@pytest.mark.virtual_time(False)
async def test_a_b3_of_a_run_is_not_sent_while_the_place_that_is_needed_hangs(tmp_path: Path) -> None:
    place = Memory()
    place.hangs = True
    site, state, said = await acted(tmp_path, place, needed=1, wait="200ms")
    assert not (tmp_path / "acted").exists()
    assert state != "done"
    assert any("its intent is in 0 of 1 place" in each for each in said), said
    assert bodies(site, EffectIntended), "what was meant is recorded, and that it was not sent"


def test_more_places_than_there_are_cannot_be_needed() -> None:
    located = Located({"policies": {"anchors": {"needed": 2}}, "anchors": {"one": {}}}, "e.yaml")
    assert [str(problem) for _, problem in rule_problems(located) if "anchors" in str(problem)]
    located = Located({"policies": {"anchors": {"needed": 1}}, "anchors": {"one": {}}}, "e.yaml")
    assert not [str(problem) for _, problem in rule_problems(located) if "anchors" in str(problem)]
