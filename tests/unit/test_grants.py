"""Grants without servers: who may take a secret, what every screen tells, what is never forgotten, how an end goes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from state.api.caller import Caller
from state.api.views.access import AccessView, GrantCredential, GrantState
from state.errors import EffectUnknown, ReadFailure, Refused, Trouble
from state.granting.model import (
    AccessSeen,
    Armed,
    Bundle,
    EndObstacle,
    EndProof,
    GrantSession,
    NotEnded,
    Residue,
    TargetGrant,
    TargetState,
    role_name,
)
from state.granting.picture import PictureItem, PictureKind
from state.granting.scram import fingerprint, new_secret, verifier
from state.grants.ending import GrantEnd
from state.grants.fold import Grants
from tests.support.run_books import until
from tests.support.small_estate import Small, small

pytestmark = pytest.mark.virtual_time


class MemoryAccess:
    """A cluster of nodes a and b in memory. Fulfils CanGrant. `stuck` sessions do not end, `away` nodes do not answer,
    `mute`: nothing is read at all."""

    bundles: Sequence[Bundle] = tuple(Bundle)
    longest = 14_400.0
    takes = GrantCredential.VERIFIER
    idle = 2.0

    def __init__(self) -> None:
        self.clock, self.mute, self.away, self.stuck = 1000.0, "", set[str](), False
        self.roles: dict[int, TargetGrant] = {}
        self.sessions: dict[int, list[GrantSession]] = {}
        self.reapers: dict[str, set[int]] = {"a": set(), "b": set()}
        self.opened: list[int] = []
        self.left_out: list[list[int]] = []
        self.against: list[str] = []
        self.answers, self.watches, self.mute_picture = True, True, False
        self.system, self.blocked = "system 1", list[int]()
        self.items = {PictureItem(PictureKind.ROLE, "(cluster)", "app", "1")}

    def made(self, grant: str = "G-AAAAAA", oid: int = 16500, ends: float = 1600.0, person: str = "you") -> TargetGrant:
        role = TargetGrant(
            oid, role_name(grant, person), True, False, False, "pg_monitor", ends, grant, "R-1/s", "monitor", person,
            "INC-42", self.clock, ends, TargetState.ARMED,
        )  # fmt: skip
        self.roles[oid] = role
        return role

    def session(self, oid: int, node: str = "a") -> None:
        made = GrantSession(node, 77, "orders", "client backend", "active", "psql", "", self.clock, "SELECT")
        self.sessions.setdefault(oid, []).append(made)

    async def seen(self, oids: Collection[int], *, deadline: float) -> AccessSeen:
        if self.mute:
            raise ReadFailure(Trouble.TIMEOUT, self.mute)
        nodes = [each for each in self.reapers if each not in self.away]
        found = {oid: [s for s in each if s.node in nodes] for oid, each in self.sessions.items()}
        reapers = {node: sorted(self.reapers[node]) for node in nodes}
        unread = {node: f"{node} does not answer" for node in self.away}
        return AccessSeen(
            list(self.roles.values()), found, dict.fromkeys(nodes, ()), reapers, self.clock, "a", unread=unread,
            system=self.system,
        )  # fmt: skip

    async def arm(self, *args: Any, **more: Any) -> Armed:
        raise AssertionError("no test here arms")

    async def watch(self, oid: int, *, deadline: float) -> Mapping[str, str]:
        for each in self.reapers.values() if self.watches else ():
            each.add(oid)
        return {}

    async def rehearse(self, oid: int, role: str, *, deadline: float) -> Sequence[str]:
        return self.against

    async def open_login(self, oid: int, verifier: str, *, window: float, deadline: float) -> float:
        self.opened.append(oid)
        role = self.roles[oid]
        self.roles[oid] = replace(role, can_login=True, state=TargetState.OPEN, secret=fingerprint(verifier))
        if not self.answers:
            raise EffectUnknown("the connection was lost")
        return self.clock + window

    async def keep_open(self, oid: int, *, window: float, deadline: float) -> float | None:
        return self.clock + window

    async def extend(self, oid: int, seconds: int, *, effect: str, deadline: float) -> float:
        raise AssertionError("no test here extends")

    async def block(self, oid: int, *, deadline: float) -> None:
        self.blocked.append(oid)
        if oid in self.roles:
            self.roles[oid] = replace(self.roles[oid], can_login=False, state=TargetState.ENDING)

    async def terminate(
        self, oid: int, starting: Mapping[str, Sequence[int]], *, sure: bool, deadline: float
    ) -> Mapping[str, str]:
        role = self.roles.get(oid)
        if not sure and role is not None and (role.ends or 0) > self.clock:
            return {}
        if not self.stuck:
            self.sessions[oid] = [each for each in self.sessions.get(oid, ()) if each.node in self.away]
        return {}

    async def residue(self, oid: int, role: str, *, deadline: float) -> Sequence[Residue]:
        return ()

    async def clear(self, oid: int, databases: Collection[str], *, deadline: float) -> Mapping[str, str]:
        return {}

    async def picture(self, oids: Collection[int], *, deadline: float) -> Sequence[PictureItem]:
        if self.mute_picture:
            raise ReadFailure(Trouble.TIMEOUT, "no picture")
        self.left_out.append(list(oids))
        return sorted(self.items)

    async def finish(self, oid: int, *, deadline: float) -> None:
        self.roles.pop(oid, None)


YOU = Caller(uid=0, account="you", person="you", roles=("commander",), session="s", read_only=False)


@asynccontextmanager
async def granting(target: MemoryAccess, **more: Any) -> AsyncIterator[Small]:
    async with small(**more) as lab:
        lab.engine.outside = replace(lab.engine.outside, access={"orders": target})
        yield lab


def view_of(lab: Small) -> AccessView:
    found: AccessView = lab.engine.view("access")
    return found


def state_of(lab: Small, grant: str = "G-AAAAAA") -> GrantState | None:
    row = view_of(lab).grants.get(grant)
    return None if row is None else row.state


async def test_a_verifier_proves_its_secret_and_no_other_one() -> None:
    secret = new_secret()
    _, rest = verifier(secret, b"0123456789abcdef").split("$", 1)
    head, keys = rest.split("$")
    iterations, salt = head.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), base64.b64decode(salt), int(iterations))
    client = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    assert keys.split(":")[0] == base64.b64encode(hashlib.sha256(client).digest()).decode()
    assert verifier(secret) != verifier(secret)
    with pytest.raises(ValueError, match="ASCII"):
        verifier("pässword")


async def test_a_grant_that_is_read_at_its_target_is_found_watched_warned_of_ended_and_proven() -> None:
    target = MemoryAccess()
    target.made(ends=1200.0)
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        await until(lambda: target.reapers["b"] == {16500})
        await lab.engine.granting.claim(YOU, "G-AAAAAA", verifier(new_secret()))
        await until(lambda: state_of(lab) is GrantState.OPEN)
        target.session(16500)
        target.clock = 1100.0
        await until(lambda: state_of(lab) is GrantState.EXPIRING)
        await until(lambda: "grant.warned" in lab.kinds())
        target.clock = 1201.0
        await until(lambda: state_of(lab) is GrantState.ENDED)
        assert lab.kinds().count("grant.ended") == 1
        assert target.roles == {}


async def test_access_trap_30_what_is_ending_is_never_opened_again_and_a_secret_is_taken_once() -> None:
    target = MemoryAccess()
    target.made()
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        other = replace(YOU, person="eve", account="eve")
        with pytest.raises(Refused, match="grantee"):
            await lab.engine.granting.claim(other, "G-AAAAAA", verifier(new_secret()))
        with pytest.raises(Refused, match="verifier"):
            await lab.engine.granting.claim(YOU, "G-AAAAAA", "hunter2")
        await lab.engine.granting.claim(YOU, "G-AAAAAA", verifier(new_secret()))
        with pytest.raises(Refused, match="secret-once"):
            await lab.engine.granting.claim(YOU, "G-AAAAAA", verifier(new_secret()))
        target.stuck = True
        target.session(16500)
        await lab.engine.granting.end(YOU, "G-AAAAAA")
        with pytest.raises(Refused, match="secret-once"):
            await lab.engine.granting.claim(YOU, "G-AAAAAA", verifier(new_secret()))
        assert target.opened == [16500]


async def test_of_two_who_take_a_secret_at_once_one_has_it_and_the_grant_stays() -> None:
    target = MemoryAccess()
    target.made()
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        claims = [lab.engine.granting.claim(YOU, "G-AAAAAA", verifier(new_secret())) for _ in range(4)]
        told = await asyncio.gather(*claims, return_exceptions=True)
        assert [type(each).__name__ for each in told].count("Accepted") == 1
        assert [str(each) for each in told if isinstance(each, Refused) and "was taken" in str(each)][2:]
        assert lab.kinds().count("grant.opening") == 1
        await asyncio.sleep(5)
        assert state_of(lab) is GrantState.OPEN


async def test_without_a_procedure_that_waits_for_its_end_no_login_is_opened() -> None:
    target = MemoryAccess()
    target.made()
    target.watches = False
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        with pytest.raises(Refused, match="ender"):
            await lab.engine.granting.claim(YOU, "G-AAAAAA", verifier(new_secret()))
        assert target.opened == []


async def test_access_trap_19_where_no_password_is_asked_for_no_login_is_opened() -> None:
    target = MemoryAccess()
    target.made()
    target.against = ["b lets this role in without a password"]
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        with pytest.raises(Refused, match="password"):
            await lab.engine.granting.claim(YOU, "G-AAAAAA", verifier(new_secret()))
        assert target.opened == []
        assert "grant.opening" not in lab.kinds()


async def test_a_lost_answer_to_the_opening_is_read_and_not_sent_again() -> None:
    target = MemoryAccess()
    target.made()
    target.answers = False
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        await lab.engine.granting.claim(YOU, "G-AAAAAA", verifier(new_secret()))
        assert target.opened == [16500]
        assert "grant.opened" in lab.kinds()


async def test_access_trap_31_no_age_at_which_an_end_is_given_up_and_every_screen_says_so() -> None:
    target = MemoryAccess()
    target.made(ends=1010.0)
    target.stuck = True
    target.session(16500)
    async with granting(target) as lab:
        target.clock = 1011.0
        await until(lambda: bool(view_of(lab).grants) and view_of(lab).grants["G-AAAAAA"].obstacle != "")

        await asyncio.sleep(3600)
        assert state_of(lab) is GrantState.ENDING
        alarms = [each for each in lab.engine.view("header").alarms]
        assert any("G-AAAAAA" in each and "kill -TERM" in each for each in alarms), alarms
    async with granting(target, store=lab.store) as again:
        await until(lambda: state_of(again) is GrantState.ENDING)
        target.stuck = False
        await until(lambda: state_of(again) is GrantState.ENDED)


async def test_access_trap_24_a_node_that_does_not_answer_keeps_the_grant_open() -> None:
    target = MemoryAccess()
    role = target.made()
    target.session(16500, "b")
    target.away = {"b"}
    ending = GrantEnd(target, 16500, role.role)
    found = await ending.attempt()
    assert isinstance(found, NotEnded)
    assert found.obstacle is EndObstacle.UNREAD
    target.away = set()
    assert isinstance(await ending.attempt(), EndProof)


async def test_access_trap_04_a_session_of_a_role_that_is_gone_counts_after_a_restart() -> None:
    target = MemoryAccess()
    target.made()
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
    target.roles.clear()
    target.session(16500)
    target.stuck = True
    async with granting(target, store=lab.store) as again:
        await until(lambda: state_of(again) is GrantState.ENDING)
        assert state_of(again) is not GrantState.ENDED
        target.stuck = False
        await until(lambda: state_of(again) is GrantState.ENDED)


async def test_a_superuser_who_writes_another_end_into_the_mark_stays_no_longer() -> None:
    target = MemoryAccess()
    role = target.made(ends=1200.0)
    target.roles[16500] = replace(role, bundle="superuser")
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        target.roles[16500] = replace(target.roles[16500], ends=9e9, extended_by="R-1/s")
        target.session(16500)
        await until(lambda: target.reapers["b"] == {16500})
        target.clock = 1201.0
        await until(lambda: state_of(lab) is GrantState.ENDED)
        assert "grant.extended" not in lab.kinds()


async def test_a_mark_that_names_a_later_end_than_any_grant_has_is_not_believed() -> None:
    target = MemoryAccess()
    target.made(ends=9e9)
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        assert lab.engine.folds.of(Grants).all["G-AAAAAA"].ends == target.clock + target.longest
        await asyncio.sleep(30)
        assert "grant.extended" not in lab.kinds()


async def test_access_trap_34_two_grants_of_one_person_end_each_at_its_own_time() -> None:
    target = MemoryAccess()
    target.made("G-AAAAAA", 16500, 1100.0)
    target.made("G-BBBBBB", 16501, 1300.0)
    async with granting(target) as lab:
        await until(lambda: state_of(lab, "G-BBBBBB") is GrantState.ARMED)
        target.clock = 1101.0
        await until(lambda: state_of(lab, "G-AAAAAA") is GrantState.ENDED)
        assert state_of(lab, "G-BBBBBB") is GrantState.ARMED
        target.clock = 1301.0
        await until(lambda: state_of(lab, "G-BBBBBB") is GrantState.ENDED)


async def test_a_secret_that_nobody_takes_ends_the_grant() -> None:
    target = MemoryAccess()
    target.made(ends=9000.0)
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        target.clock += 601
        await until(lambda: state_of(lab) is GrantState.ENDED)


async def test_a_target_that_is_not_read_makes_a_live_grant_an_alarm() -> None:
    target = MemoryAccess()
    target.made()
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
        target.mute = "no node accepts writes"
        await until(lambda: any("cannot be watched" in each for each in lab.engine.view("header").alarms))
        assert state_of(lab) is not GrantState.ENDED
