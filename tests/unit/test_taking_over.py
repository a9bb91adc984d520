"""An approver carries out what was approved when who asked for it has left; nobody else does, and nothing twice."""

from __future__ import annotations

import pytest

from state.api.caller import Caller
from state.api.views.approvals import ApprovalState
from state.errors import Refused
from tests.support.signing import ADA, BEN, CARL, DORA, approve, asked, estate
from tests.support.small_estate import Small, flip, small

FLIPPED, BEFORE = {"blue": 0, "green": 100}, {"blue": 100, "green": 0}


def attached(lab: Small, caller: Caller) -> str:
    return lab.engine.attach(caller, "c1", "traffic")


async def carried_out(lab: Small, caller: Caller) -> str:
    card = await lab.preview(flip("green"), caller)
    if card.refusals:
        raise Refused.because(card.refusals[0])
    return (await lab.submit(card, caller)).run


async def test_who_approved_carries_it_out_once_the_requester_has_left() -> None:
    async with small(estate=estate()) as lab:
        key = attached(lab, ADA)
        name, _ = await asked(lab)
        await approve(lab, name, CARL)
        with pytest.raises(Refused, match="approval"):
            await carried_out(lab, CARL)
        lab.engine.detach(key)
        run = await carried_out(lab, CARL)
        assert await lab.ended(run) == "done"
        assert await lab.weights() == FLIPPED
        used = next(row for row in lab.engine.journal_rows(0, 10_000) if row.kind == "approval.used")
        assert "carl began R-1 for ada, who left" in used.message
        assert used.actor == "carl"
        assert lab.engine.view("approvals").requests[name].state is ApprovalState.USED


async def test_nobody_else_takes_it_over() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        await approve(lab, name, BEN)
        for caller in (DORA, CARL):  # may start, and has not approved
            with pytest.raises(Refused, match="approval"):
                await carried_out(lab, caller)
        with pytest.raises(Refused, match="role"):  # has approved, and may not start
            await carried_out(lab, BEN)
        assert await lab.weights() == BEFORE


async def test_half_an_approval_is_taken_over_by_nobody() -> None:
    table = {"second": {"risk": ["B2"], "roles": ["responder", "commander"], "approvers": 2}}
    async with small(estate=estate(authority=table)) as lab:
        name, _ = await asked(lab)
        await approve(lab, name, CARL)
        with pytest.raises(Refused, match="approval"):
            await carried_out(lab, CARL)
        await approve(lab, name, BEN)
        assert await lab.ended(await carried_out(lab, CARL)) == "done"
