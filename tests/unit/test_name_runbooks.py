"""A change of a name in a runbook: linted, planned with values, confirmed as what it is."""

from __future__ import annotations

import pytest

from state.api.card import Confirm
from state.api.requests import PlanRunbook, PlanUndo, Skip
from state.world.record_sets import RecordSet
from tests.support.memory_zone import MemoryZone
from tests.support.small_estate import COMMANDER
from tests.unit.test_name_moves import named, set_to

pytestmark = pytest.mark.virtual_time

BOOK = {
    "runbook": "move",
    "title": "Move the name",
    "params": {"to": {"kind": "text", "default": "10.2.0.10"}},
    "steps": [
        {
            "id": "away",
            "change": "dns.set",
            "with": {"zone": "shop.example", "record": "shop", "a": ["${to}"], "ttl": "30s"},
        }
    ],
}
OLD = RecordSet("A", 60, ("10.1.0.10",))


async def test_a_runbook_moves_a_name_and_its_undo_gives_it_back() -> None:
    zone = MemoryZone("shop.example", {"shop": {"A": OLD}})
    async with named(zone, books=(BOOK,)) as lab:
        card = await lab.preview(PlanRunbook("move", {"to": "10.3.0.10"}))
        assert (card.risk, card.confirmation.how, card.confirmation.name) == (
            "B3",
            Confirm.NONCE_AND_NAME,
            "shop.shop.example",
        )
        assert [str(diff) for diff in card.diffs] == [
            "shop.shop.example A: 10.1.0.10 → 10.3.0.10",
            "shop.shop.example A TTL: 60 → 30 s",
        ]
        assert any("caches may keep the old answer for 60 s" in each.message for each in card.warnings)
        run = (await lab.submit(card)).run
        assert await lab.ended(run, 60) == "done"
        back = (await lab.submit(await lab.preview(PlanUndo(run)))).run
        assert await lab.ended(back, 60) == "done"
        assert zone.names["shop"] == {"A": OLD}


async def test_an_undo_takes_back_only_what_its_run_left() -> None:
    zone = MemoryZone("shop.example", {"shop": {"A": OLD}})
    async with named(zone) as lab:
        run = await set_to(lab, "10.2.0.10")
        zone.names["shop"] = {"A": RecordSet("A", 60, ("10.9.0.9",))}
        card = await lab.preview(PlanUndo(run))
        (refused,) = [each for each in card.refusals if each.rule == "newer-change"]
        assert "dns:shop.example/shop/A set 60 10.2.0.10, it is 60 10.9.0.9 now" in refused.fact


async def test_a_name_that_is_only_partly_moved_is_never_said_to_have_no_way_back() -> None:
    """A secondary that does not follow: the step is skipped, and the undo of the run leaves it to a person."""
    zone = MemoryZone("shop.example", {"shop": {"A": OLD}, "api": {"A": OLD}})
    zone.stale[zone.servers[1]] = {"shop": {"A": OLD}, "api": {"A": RecordSet("A", 30, ("10.2.0.10",))}}
    step = BOOK["steps"][0]  # type: ignore[index]
    moved = {**step, "with": {**step["with"], "record": "api"}, "id": "first", "title": "Move api"}
    book = {**BOOK, "steps": [moved, {**step, "title": "Move shop"}]}
    async with named(zone, books=(book,)) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("move")))).run
        assert await lab.ended(run, 90) == "paused"
        assert "partly done" in lab.engine.history.runs[run].message
        await lab.engine.control(COMMANDER, run, Skip("away#1", "the secondary is down"))
        assert await lab.ended(run, 60) == "done"
        card = await lab.preview(PlanUndo(run))
        told = {each.subject: each.message for each in card.warnings}
        assert told["Move shop"] == (
            "not taken back: it is only partly done; look what is there, then take it back by a change of its own"
        )


async def test_what_was_so_already_and_is_not_proven_says_that_and_no_change() -> None:
    zone = MemoryZone("shop.example", {"shop": {"A": RecordSet("A", 30, ("10.2.0.10",))}})
    zone.stale[zone.servers[1]] = {"shop": {"A": OLD}}
    async with named(zone, books=(BOOK,)) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("move")))).run
        assert await lab.ended(run, 90) == "paused"
        message = lab.engine.history.runs[run].latest("away").message
        assert message.startswith("nothing was sent: it was so already when it was read, and is not proven: 1 of 2")
