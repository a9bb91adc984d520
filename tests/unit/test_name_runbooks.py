"""A change of a name in a runbook: linted, planned with values, confirmed as what it is."""

from __future__ import annotations

import pytest

from state.api.card import Confirm
from state.api.requests import PlanRunbook, PlanUndo
from state.world.record_sets import RecordSet
from tests.support.memory_zone import MemoryZone
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
