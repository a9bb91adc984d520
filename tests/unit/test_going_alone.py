"""Going on without the second person: a reason, a countdown that everybody sees and can stop, a review, and every rule
of the mechanics as it was."""

from __future__ import annotations

import asyncio
from itertools import combinations
from typing import Any

import pytest

from state.api.approvals import AskApproval, GoAlone, HaltAlone, ReviewAlone
from state.api.card import Card
from state.api.requests import PlanChange, overriding
from state.approvals.fold import Approvals
from state.changes.model import Risk
from state.errors import NotFound, Refused
from state.policy.authority import CONFIRM_BY_RISK
from tests.support.signing import ADA, BEN, CARL, DORA, asked, estate
from tests.support.small_estate import LoopClock, Small, flip, small

pytestmark = pytest.mark.virtual_time
WHY = "nobody else answers and checkout is down"


class LateClock(LoopClock):
    """A wall clock that is set: a day passes at once."""

    late = 0.0

    def wall(self) -> float:
        return super().wall() + self.late


async def act(lab: Small, caller: Any, name: str, verb: Any) -> str:
    return (await lab.engine.approvals.act(caller, name, verb)).message


async def done_alone(lab: Small) -> str:
    name, _ = await asked(lab)
    await act(lab, ADA, name, GoAlone(WHY))
    await asyncio.sleep(61)
    accepted = await lab.submit(await lab.preview(flip("green"), ADA), ADA)
    assert await lab.ended(accepted.run) == "done"
    return name


def alarms(lab: Small) -> str:
    return " ".join(lab.engine.view("header").alarms)


async def test_a_minute_passes_that_everybody_sees_before_it_can_be_done() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        assert "goes on alone in 60 s" in await act(lab, ADA, name, GoAlone(WHY))
        assert f"ada goes on alone with {name}" in alarms(lab)
        assert WHY in alarms(lab)
        row = lab.engine.view("approvals").requests[name]
        assert row.state.value == "counting"
        assert row.until_mono == pytest.approx(lab.engine.mono() + 60, abs=1)
        with pytest.raises(Refused, match="ada goes on alone in 00:"):
            await lab.submit(await lab.preview(flip("green"), ADA), ADA)
        await asyncio.sleep(61)
        card = await lab.preview(flip("green"), ADA)
        assert any(f"ada goes on alone ({name}): {WHY}" in rule.fact for rule in card.rules)
        accepted = await lab.submit(card, ADA)
        assert await lab.ended(accepted.run) == "done"
        used = next(row for row in lab.engine.journal_rows(0, 1000) if row.kind == "approval.used")
        assert used.message == f"{name}: ada began {accepted.run}, alone: {WHY}"


async def test_while_no_engine_runs_nobody_can_stop_it_and_so_the_minute_begins_anew() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        await act(lab, ADA, name, GoAlone(WHY))
    await asyncio.sleep(300)
    async with small(estate=estate(), balancer=lab.balancer, store=lab.store) as again:
        assert again.engine.view("approvals").requests[name].state.value == "counting"
        with pytest.raises(Refused, match="goes on alone in 00:"):
            await again.submit(await again.preview(flip("green"), ADA), ADA)
        await asyncio.sleep(61)
        accepted = await again.submit(await again.preview(flip("green"), ADA), ADA)
        assert await again.ended(accepted.run) == "done"


class StoppedClock(LoopClock):
    """A clock that goes on while the process stands still."""

    ahead = 0.0

    def mono(self) -> float:
        return super().mono() + self.ahead


async def test_after_a_suspension_the_minute_begins_anew() -> None:
    clock = StoppedClock()
    async with small(estate=estate(), clock=clock) as lab:
        name, _ = await asked(lab)
        await act(lab, ADA, name, GoAlone(WHY))
        clock.ahead = 120.0
        await asyncio.sleep(1)
        row = lab.engine.view("approvals").requests[name]
        assert row.state.value == "counting"
        assert row.until_mono is not None
        assert row.until_mono - clock.mono() > 50


@pytest.mark.parametrize("by", [BEN, DORA, ADA])
async def test_everybody_can_stop_it_and_then_it_is_not_done(by: Any) -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        await act(lab, ADA, name, GoAlone(WHY))
        await asyncio.sleep(59)
        assert f"{by.person} stopped ada" in await act(lab, by, name, HaltAlone())
        await asyncio.sleep(30)
        with pytest.raises(Refused, match="waits for 1 more approval"):
            await lab.submit(await lab.preview(flip("green"), ADA), ADA)
        assert "run.started" not in lab.kinds()


@pytest.mark.parametrize(
    ("caller", "reason", "refused"),
    [(ADA, "too short", "20 characters"), (BEN, WHY, "is of ada"), (DORA, WHY, "is of ada"), (ADA, "  ", "reason")],
)
async def test_who_may_not_go_on_alone(caller: Any, reason: str, refused: str) -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        with pytest.raises(Refused, match=refused):
            await act(lab, caller, name, GoAlone(reason))
        assert "override.begun" not in lab.kinds()


async def test_only_a_role_that_the_rule_names_goes_on_alone() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab, DORA)
        with pytest.raises(Refused, match="going on alone with A-1 needs commander"):
            await act(lab, DORA, name, GoAlone(WHY))


async def test_what_was_done_alone_is_reviewed_by_another_person_or_the_right_is_lost() -> None:
    clock = LateClock()
    async with small(estate=estate(), clock=clock) as lab:
        name = await done_alone(lab)
        assert "review due" in alarms(lab)
        for caller, match in ((ADA, "are the same person"), (DORA, "none of the roles")):
            with pytest.raises(Refused, match=match):
                await act(lab, caller, name, ReviewAlone("looked at it, it was right"))
        clock.late = 86_400.0
        await asyncio.sleep(2)
        assert "ada may not go on alone before" in alarms(lab)
        assert lab.engine.view("approvals").overdue == ("ada",)
        again, _ = await asked(lab, to="blue")
        with pytest.raises(Refused, match=f"{name} was carried out alone by ada more than 24 h ago"):
            await act(lab, ADA, again, GoAlone(WHY))
        assert "reviewed what ada did alone" in await act(lab, CARL, name, ReviewAlone("looked at it, it was right"))
        assert lab.engine.view("approvals").overdue == ()
        assert "goes on alone" in await act(lab, ADA, again, GoAlone(WHY))


async def test_the_review_is_still_due_after_a_restart() -> None:
    async with small(estate=estate()) as lab:
        name = await done_alone(lab)
    async with small(estate=estate(), balancer=lab.balancer, store=lab.store) as again:
        assert again.engine.folds.of(Approvals).requests[name].review_due() is not None
        assert "review due" in alarms(again)


def mechanics(card: Card) -> dict[str, Any]:
    """Everything of a card that no override may change: its rules but for the approval, what is read, what is typed."""
    return {
        "rules": tuple(rule for rule in card.rules if rule.rule not in ("approval", "approval-open", "override")),
        "fingerprint": card.fingerprint,
        "diffs": card.diffs,
        "undo": card.undo,
        "verified": card.verified_by,
        "typed": (card.confirmation.how, card.confirmation.name, card.confirmation.loss, card.confirmation.arm),
    }


MECHANICS = (
    "identity",
    "fingerprint",
    "facts-changed",
    "fence",
    "floor",
    "lease",
    "journal",
    "role",
    "approval",
    "present",
)
SETS = [each for size in (1, 2) for each in combinations(MECHANICS, size)]


@pytest.mark.parametrize("names", SETS, ids=str)
async def test_no_set_of_names_overrides_any_of_the_mechanics(names: tuple[str, ...]) -> None:
    async with small(estate=estate()) as lab:
        with pytest.raises(NotFound, match="no safety rule or protected window"):
            await lab.preview(overriding(flip("green"), dict.fromkeys(names, WHY)), ADA)


async def test_who_goes_on_alone_meets_every_rule_as_it_was() -> None:
    async with small(estate=estate()) as lab:
        before = mechanics(await lab.preview(flip("green"), ADA))
        name, _ = await asked(lab)
        await act(lab, ADA, name, GoAlone(WHY))
        await asyncio.sleep(61)
        card = await lab.preview(flip("green"), ADA)
        assert mechanics(card) == before
        assert card.confirmation.how is CONFIRM_BY_RISK[Risk.B2]
        await lab.balancer.set_weight("shop", "blue", 90, deadline=1)  # what was confirmed is held against now
        with pytest.raises(Refused, match="facts-changed"):
            await lab.submit(card, ADA)
        with pytest.raises(Refused, match="needs 1 approval, and has none"):
            await lab.submit(await lab.preview(flip("green"), ADA), ADA)
        assert "run.started" not in lab.kinds()


async def test_the_floor_holds_for_who_goes_on_alone() -> None:
    async with small(estate=estate(authority={"all": {"approvers": 1}})) as lab:
        drain = PlanChange("server.drain", {"balancer": "edge", "backend": "shop", "server": "blue"})
        card = await lab.preview(drain, ADA)
        assert {refusal.rule for refusal in card.refusals} == {"floor", "approval"}
        with pytest.raises(Refused, match="floor"):
            await lab.engine.approvals.ask(ADA, AskApproval(card.plan, card.fingerprint, WHY))
