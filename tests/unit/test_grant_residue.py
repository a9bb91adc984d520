"""Grants of the tier of superusers: pictured before anybody can log in, compared after the end, settled by others."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from state.api.views.access import GrantState
from state.changes.model import Risk
from state.errors import NotFound, Refused
from state.estate.model import Policies
from state.granting.picture import PART, PictureItem, PictureKind
from state.granting.scram import new_secret, verifier
from state.policy.deciding import Grade, decide
from tests.support.run_books import until
from tests.support.small_estate import Small
from tests.unit.test_grants import YOU, MemoryAccess, granting, state_of, view_of

pytestmark = pytest.mark.virtual_time

ADMIN = replace(YOU, person="ruth", account="ruth", roles=("access-admin",))
EVIL = PictureItem(PictureKind.EVENT_TRIGGER, "orders", "seen", "9")


def armed(target: MemoryAccess) -> int:
    role = target.made(ends=1200.0)
    target.roles[role.oid] = replace(role, bundle="superuser")
    return role.oid


async def opened(lab: Small, target: MemoryAccess) -> None:
    await until(lambda: "grant.pictured" in lab.kinds())
    await lab.engine.granting.claim(YOU, "G-AAAAAA", verifier(new_secret()))


async def test_nobody_logs_in_before_the_picture_is_recorded() -> None:
    target = MemoryAccess()
    armed(target)
    target.mute_picture = True
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        with pytest.raises(Refused, match="picture"):
            await lab.engine.granting.claim(YOU, "G-AAAAAA", verifier(new_secret()))
        assert target.opened == []
        target.mute_picture = False
        await opened(lab, target)
        assert target.opened == [16500]


async def test_what_it_left_keeps_it_red_until_it_is_gone() -> None:
    target = MemoryAccess()
    armed(target)
    async with granting(target) as lab:
        await opened(lab, target)
        target.items.add(EVIL)
        await lab.engine.granting.end(YOU, "G-AAAAAA")
        await until(lambda: state_of(lab) is GrantState.RESIDUE)
        await until(lambda: "grant.compared" in lab.kinds())
        row = view_of(lab).grants["G-AAAAAA"]
        assert "event-trigger in orders: seen (new). drop event trigger NAME" in row.obstacle
        assert "recovery access accept G-AAAAAA" in row.way_out
        assert any("G-AAAAAA" in each and "event-trigger" in each for each in lab.engine.view("header").alarms)
    async with granting(target, store=lab.store) as again:
        await until(lambda: state_of(again) is GrantState.RESIDUE)
        await asyncio.sleep(120)
        assert state_of(again) is GrantState.RESIDUE
        target.items.discard(EVIL)
        await until(lambda: state_of(again) is GrantState.ENDED)
        assert again.engine.view("header").alarms == ()


async def test_roles_that_a_superuser_marks_as_grants_are_in_the_picture() -> None:
    target = MemoryAccess()
    target.made("G-BEFORE", 16400)
    async with granting(target) as lab:
        await until(lambda: state_of(lab, "G-BEFORE") is GrantState.ARMED)
        armed(target)
        await opened(lab, target)
        assert sorted(target.left_out[0]) == [16400, 16500]
        target.made("G-FORGED", 16600)
        await until(lambda: state_of(lab, "G-FORGED") is GrantState.ARMED)
        await lab.engine.granting.end(YOU, "G-AAAAAA")
        await until(lambda: "grant.compared" in lab.kinds())
        assert target.left_out[-1] == [16400]


async def test_another_person_than_its_holder_accepts_what_stays() -> None:
    target = MemoryAccess()
    armed(target)
    async with granting(target) as lab:
        await opened(lab, target)
        target.items.add(EVIL)
        with pytest.raises(NotFound):
            await lab.engine.granting.accept(ADMIN, "G-AAAAAA", "it is the new audit trigger", ())
        await lab.engine.granting.end(YOU, "G-AAAAAA")
        await until(lambda: "grant.compared" in lab.kinds())
        shown = view_of(lab).grants["G-AAAAAA"].residue
        assert any("event-trigger" in each for each in shown)
        with pytest.raises(Refused, match="not shown before"):
            await lab.engine.granting.accept(ADMIN, "G-AAAAAA", "it is the new audit trigger", ("another",))
        with pytest.raises(Refused, match="grantee"):
            await lab.engine.granting.accept(YOU, "G-AAAAAA", "it is the new audit trigger", shown)
        with pytest.raises(Refused, match="role"):
            await lab.engine.granting.accept(
                replace(ADMIN, roles=("observer",)), "G-AAAAAA", "it is the new one", shown
            )
        with pytest.raises(Refused, match="reason"):
            await lab.engine.granting.accept(ADMIN, "G-AAAAAA", "ok", shown)
        await lab.engine.granting.accept(ADMIN, "G-AAAAAA", "it is the new audit trigger", shown)
        await until(lambda: state_of(lab) is GrantState.ENDED)


async def test_a_picture_of_many_things_is_recorded_in_parts_and_compared_as_a_whole() -> None:
    target = MemoryAccess()
    armed(target)
    target.items |= {PictureItem(PictureKind.FUNCTION, "orders", f"f{n}()", "1") for n in range(2 * PART)}
    async with granting(target) as lab:
        await until(lambda: lab.kinds().count("grant.pictured") == 3)
        await lab.engine.granting.claim(YOU, "G-AAAAAA", verifier(new_secret()))
        target.items.discard(PictureItem(PictureKind.FUNCTION, "orders", "f7()", "1"))
        await lab.engine.granting.end(YOU, "G-AAAAAA")
        await until(lambda: "grant.compared" in lab.kinds())
        assert "function in orders: f7() (gone)" in view_of(lab).grants["G-AAAAAA"].obstacle


async def test_without_a_picture_from_before_nothing_is_said_to_be_as_before() -> None:
    target = MemoryAccess()
    oid = armed(target)
    target.mute_picture = True
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        target.roles.pop(oid)
        await until(lambda: state_of(lab) is GrantState.RESIDUE)
        await until(lambda: "no picture was taken" in view_of(lab).grants["G-AAAAAA"].obstacle)


def test_one_person_alone_never_gives_superuser_rights() -> None:
    for policies in (Policies(), Policies(second_person=("B4",))):
        ruling = decide(policies, "production", Grade(Risk.B4, approvers=1))
        assert ruling.approvers == 1
    assert decide(Policies(), "production", Grade(Risk.B4)).approvers == 0
