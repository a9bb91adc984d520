"""Approvals on the whole engine in memory, with real keys and real signatures."""

from __future__ import annotations

import pytest

from state.api.approvals import Approve, AskApproval, Deny, Withdraw
from state.approvals.fold import Approvals
from state.errors import Refused
from tests.support.signing import ADA, BEN, CARL, WHY, approve, asked, estate
from tests.support.small_estate import flip, small


async def test_an_approved_plan_runs_once() -> None:
    async with small(estate=estate()) as lab:
        card = await lab.preview(flip("green"), ADA)
        assert [refusal.rule for refusal in card.refusals] == ["approval"]
        assert "rule second (B2, no loss, tier 1, can be undone) needs 1 approval" in card.refusals[0].fact
        name, _ = await asked(lab)
        row = lab.engine.view("approvals").requests[name]
        assert (row.state.value, row.may, row.reason) == ("open", ("ben", "carl"), WHY)
        assert "ben approved" in await approve(lab, name)
        card = await lab.preview(flip("green"), ADA)
        assert card.refusals == ()
        accepted = await lab.submit(card, ADA)
        assert await lab.ended(accepted.run) == "done"
        assert await lab.weights() == {"blue": 0, "green": 100}
        assert lab.engine.view("approvals").requests[name].state.value == "used"
        back = await lab.preview(flip("blue"), ADA)
        assert [refusal.rule for refusal in back.refusals] == ["approval"]


async def test_nobody_gets_around_the_second_person_at_submission() -> None:
    async with small(estate=estate()) as lab:
        card = await lab.preview(flip("green"), ADA)
        with pytest.raises(Refused, match="needs 1 approval"):
            await lab.submit(card, ADA)
        assert await lab.weights() == {"blue": 100, "green": 0}


async def test_what_was_approved_and_then_taken_back_is_not_carried_out() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        await approve(lab, name)
        card = await lab.preview(flip("green"), ADA)
        await lab.engine.approvals.act(ADA, name, Withdraw())
        with pytest.raises(Refused, match="approval"):
            await lab.submit(card, ADA)
        assert await lab.weights() == {"blue": 100, "green": 0}


async def test_two_approvers_and_one_denial_have_one_outcome() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        await lab.engine.approvals.act(CARL, name, Deny("not in the rush hour"))
        with pytest.raises(Refused, match="denied"):
            await approve(lab, name)
        assert lab.kinds().count("approval.given") == 0


async def test_approvals_survive_a_restart_and_are_used_once() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        await approve(lab, name)
    async with small(estate=estate(), balancer=lab.balancer, store=lab.store) as again:
        assert again.engine.folds.of(Approvals).requests[name].consents["ben"].key == "ben"
        accepted = await again.submit(await again.preview(flip("green"), ADA), ADA)
        assert await again.ended(accepted.run) == "done"
    async with small(estate=estate(), balancer=lab.balancer, store=lab.store) as third:
        assert third.engine.folds.of(Approvals).requests[name].run == accepted.run
        await third.balancer.set_weight("shop", "blue", 100, deadline=1)
        await third.balancer.set_weight("shop", "green", 0, deadline=1)
        card = await third.preview(flip("green"), ADA)
        assert [refusal.rule for refusal in card.refusals] == ["approval"]


async def test_a_request_for_an_old_card_or_without_a_reason_is_refused() -> None:
    async with small(estate=estate()) as lab:
        card = await lab.preview(flip("green"), ADA)
        with pytest.raises(Refused, match="another plan"):
            await lab.engine.approvals.ask(ADA, AskApproval(card.plan, "0" * 64, WHY))
        with pytest.raises(Refused, match="reason"):
            await lab.engine.approvals.ask(ADA, AskApproval(card.plan, card.fingerprint, "now"))
        name, _ = await asked(lab)
        with pytest.raises(Refused, match="no signature"):
            await lab.engine.approvals.act(BEN, name, Approve("yes"))
