"""Grants whose target's clock is set back, whose nodes do not agree, that come back with a failover."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from state.api.approvals import Withdraw
from state.api.requests import PlanChange, write
from state.api.views.access import GrantState
from state.approvals.events import ApprovalUsed
from state.approvals.fold import Approvals
from state.errors import Refused
from state.granting.model import AccessSeen, EndObstacle, EndProof, NotEnded, TargetState
from state.grants.ending import GrantEnd
from state.journal.events import Event
from tests.support.run_books import until
from tests.support.signing import ADA, BEN, asked, estate
from tests.unit.test_grants import MemoryAccess, granting, state_of

pytestmark = pytest.mark.virtual_time


class LaggingAccess(MemoryAccess):
    """Node b has not heard of the end for as long as `behind`."""

    behind = True

    async def seen(self, oids: object, *, deadline: float) -> AccessSeen:
        found = await super().seen([], deadline=deadline)
        return replace(found, admitting={"a": (), "b": (16500,) if self.behind else ()})


async def test_access_trap_32_a_clock_that_is_set_back_at_the_target_makes_nothing_longer() -> None:
    target = MemoryAccess()
    target.made(ends=1100.0)
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        for _ in range(9):
            await asyncio.sleep(10)
            target.clock -= 300.0
        assert state_of(lab) is GrantState.ARMED, "90 s of 100 s are over"
        await asyncio.sleep(15)
        await until(lambda: state_of(lab) is GrantState.ENDED)


async def test_access_trap_32_an_extension_counts_from_the_new_end() -> None:
    target = MemoryAccess()
    role = target.made(ends=1100.0)
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        target.roles[role.oid] = replace(role, ends=1200.0)
        await asyncio.sleep(150)
        assert state_of(lab) is GrantState.ARMED
        await asyncio.sleep(60)
        await until(lambda: state_of(lab) is GrantState.ENDED)


async def test_access_trap_32_a_clock_that_is_set_ahead_at_the_target_skips_no_end() -> None:
    target = MemoryAccess()
    target.made(ends=1100.0)
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        target.clock += 7200.0
        await until(lambda: state_of(lab) is GrantState.ENDED)


async def test_access_trap_32_it_ends_on_time_although_no_node_is_known_to_lead() -> None:
    target = MemoryAccess()
    target.made(ends=1100.0)
    target.session(16500)
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        target.mute = "a and b accept writes"
        await asyncio.sleep(60)
        assert target.sessions[16500], "what is not over is left alone"
        assert target.reapers["b"] == {16500}, "each node waits for the end by itself"
        await asyncio.sleep(50)
        assert target.sessions[16500] == []
        assert not target.roles[16500].can_login
        assert state_of(lab) is GrantState.ENDING
        target.mute = ""
        await until(lambda: state_of(lab) is GrantState.ENDED)


async def test_what_was_proven_to_be_over_and_comes_back_with_a_failover_is_ended_again() -> None:
    target = MemoryAccess()
    role = target.made(ends=1010.0)
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        target.clock = 1011.0
        await until(lambda: state_of(lab) is GrantState.ENDED)
        target.stuck = True
        target.roles[role.oid] = replace(role, can_login=True, state=TargetState.OPEN, ends=9000.0)
        target.session(role.oid)
        await until(lambda: state_of(lab) is GrantState.ENDING)
        assert "grant.returned" in lab.kinds()
        target.stuck = False
        await until(lambda: state_of(lab) is GrantState.ENDED)
        assert target.roles == {}
        assert lab.kinds().count("grant.ended") == 2


async def test_a_node_that_would_still_let_it_in_keeps_it_from_being_ended() -> None:
    target = LaggingAccess()
    role = target.made()
    ending = GrantEnd(target, 16500, role.role)
    found = await ending.attempt()
    assert isinstance(found, NotEnded)
    assert found.obstacle is EndObstacle.BEHIND
    assert "at b" in found.told
    target.behind = False
    assert isinstance(await ending.attempt(), EndProof)


async def test_access_trap_33_who_withdraws_a_request_ends_the_access_it_gave() -> None:
    target = MemoryAccess()
    target.made(ends=9000.0, person="ada")
    async with granting(target, estate=estate()) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        name, _ = await asked(lab)
        given = PlanChange("access.grant", {"database": "orders", "grant": "G-AAAAAA"})
        body = lab.engine.folds.of(Approvals).requests[name].asked
        for each in (replace(body, name="A-9", request=write(given)), ApprovalUsed("A-9", "R-7", False, "used")):
            await lab.engine.journal.append(Event(each, "ada"))
        with pytest.raises(Refused, match="approval-owner"):
            await lab.engine.approvals.act(BEN, "A-9", Withdraw())
        assert state_of(lab) is GrantState.ARMED
        await lab.engine.approvals.act(ADA, "A-9", Withdraw())
        await until(lambda: state_of(lab) is GrantState.ENDED)
        assert target.roles == {}
        assert lab.engine.view("approvals").requests[name].state.value == "open", "no other request is touched"
