"""Changes of one target in a group are sent one after the other, each judged by what the one before has left."""

from __future__ import annotations

import pytest

from state.runs.events import EffectAnswered, EffectIntended
from tests.support.run_books import SHOP, book, check, group, started, told, until
from tests.support.small_estate import Small, small

pytestmark = pytest.mark.virtual_time


def drain(step: str, server: str) -> dict[str, object]:
    return {"id": step, "change": "server.drain", "with": {**SHOP, "server": server}}


def recorded(lab: Small) -> list[tuple[str, str]]:
    kinds = (EffectIntended.kind, EffectAnswered.kind)
    return [(r.kind, r.step) for r in lab.engine.journal_rows(0, 10_000) if r.kind in kinds]


async def test_of_two_drains_in_a_group_the_second_is_held_by_the_floor() -> None:
    async with small(book(group(drain("one", "blue"), drain("two", "green")))) as lab:
        await lab.balancer.set_weight("shop", "green", 50, deadline=1)
        run = await started(lab)
        assert await lab.ended(run, 10) == "paused"
        assert told(lab, run) == "one#1 done, two#1 failed"
        held = lab.engine.history.runs[run].latest("two").message
        assert held.startswith("nothing was sent: floor: edge/shop: 0 of 2 servers would serve")
        assert recorded(lab) == [(EffectIntended.kind, "one#1"), (EffectAnswered.kind, "one#1")]


async def test_the_others_of_a_group_do_not_wait_for_one_target() -> None:
    watched = check("seen", "server.serving", "blue", **{"for": "5s"})
    async with small(book(group(drain("one", "green"), drain("two", "green"), watched))) as lab:
        run = await started(lab)
        await until(lambda: "seen#1 done" in told(lab, run))
        assert await lab.ended(run, 10) == "done"
        answers = [step for kind, step in recorded(lab) if kind == EffectAnswered.kind]
        assert answers == ["one#1"]
