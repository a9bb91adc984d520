"""Ways around the second person: each is refused with its own reason, and nothing is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from state.api.approvals import Approve, AskApproval, Deny, Withdraw
from state.api.caller import Caller
from state.errors import RecoveryError, Refused
from tests.support.signing import ADA, BEN, CARL, DORA, approve, asked, estate, people, public_key, sign
from tests.support.small_estate import Small, change, flip, small

ADMIN = Caller(1009, "root2", "ada-admin", ("approver",), "s9", read_only=False)
Attempt = Callable[[Small], Awaitable[object]]
ATTEMPTS: dict[str, tuple[Attempt, str, Mapping[str, Any]]] = {}
"""By name: the attempt, the reason with which it is refused, and what is different in the estate."""


def attempt(reason: str, **differs: Any) -> Callable[[Attempt], Attempt]:
    """Register an attempt."""

    def register(made: Attempt) -> Attempt:
        ATTEMPTS[made.__name__] = (made, reason, differs)
        return made

    return register


def table(**more: Any) -> dict[str, Any]:
    return {"second": {"risk": ["B1", "B2"], "roles": ["responder", "commander"], "approvers": 1, **more}}


def with_key(person: str, **more: Any) -> dict[str, Any]:
    found = people()
    found[person]["keys"][person] |= more
    return found


async def use(lab: Small, caller: Caller = ADA, to: str = "green") -> object:
    return await lab.submit(await lab.preview(flip(to), caller), caller)


async def hand_in(lab: Small, name: str, signature: str, caller: Caller = BEN, by: str = "") -> object:
    return await lab.engine.approvals.act(caller, name, Approve(signature, by))


async def statement(lab: Small, name: str, caller: Caller = BEN) -> str:
    return (await lab.engine.approvals.card(caller, name)).statement


@attempt("approval: .*needs 1 approval, and has none")
async def no_approval_at_all(lab: Small) -> object:
    return await use(lab)


@attempt("waits for 1 more approval")
async def before_anybody_approved(lab: Small) -> object:
    await asked(lab)
    return await use(lab)


@attempt("A-1 is used")
async def replay_of_a_used_approval(lab: Small) -> object:
    name, _ = await asked(lab)
    signature = sign("ben", await statement(lab, name))
    await hand_in(lab, name, signature)
    accepted = await lab.submit(await lab.preview(flip("green"), ADA), ADA)
    await lab.ended(accepted.run)
    await lab.balancer.set_weight("shop", "blue", 100, deadline=1)
    await lab.balancer.set_weight("shop", "green", 0, deadline=1)
    return await hand_in(lab, name, signature)


@attempt("it is the signature of A-1, not of A-2")
async def replay_on_the_same_plan_asked_again(lab: Small) -> object:
    name, _ = await asked(lab)
    signature = sign("ben", await statement(lab, name))
    await hand_in(lab, name, signature)
    await lab.engine.approvals.act(ADA, name, Withdraw())
    again, _ = await asked(lab)
    return await hand_in(lab, again, signature)


@attempt("it is the signature of A-1, not of A-2", policies={"authority": table()})
async def signature_of_another_plan(lab: Small) -> object:
    one, _ = await asked(lab)
    card = await lab.preview(change("server.weight", server="green", weight=50), ADA)
    two = (await lab.engine.approvals.ask(ADA, AskApproval(card.plan, card.fingerprint, "half of it"))).run
    return await hand_in(lab, two, sign("ben", await statement(lab, one)))


@attempt("approval: .*needs 1 approval, and has none", policies={"authority": table()})
async def another_plan_than_the_approved_one(lab: Small) -> object:
    name, _ = await asked(lab)
    await approve(lab, name)
    return await lab.submit(await lab.preview(change("server.weight", server="green", weight=50), ADA), ADA)


@attempt("approval: .*needs 1 approval, and has none")
async def the_target_changed_after_the_approval(lab: Small) -> object:
    name, _ = await asked(lab)
    await approve(lab, name)
    await lab.balancer.set_weight("shop", "blue", 90, deadline=1)
    return await use(lab)


@attempt("A-1 is void: Flip edge/shop to green .*blue")
async def the_target_changed_before_the_approval(lab: Small) -> object:
    name, _ = await asked(lab)
    await lab.balancer.set_weight("shop", "blue", 90, deadline=1)
    return await approve(lab, name)


@attempt("approval: .*needs 1 approval, and has none")
async def another_person_uses_it(lab: Small) -> object:
    name, _ = await asked(lab)
    await approve(lab, name)
    return await use(lab, DORA)


@attempt("A-1 is lapsed", policies={"authority": table(decide_within="200ms")})
async def too_late_to_approve(lab: Small) -> object:
    name, _ = await asked(lab)
    signature = sign("ben", await statement(lab, name))
    await asyncio.sleep(0.3)
    return await hand_in(lab, name, signature)


@attempt("approval: .*needs 1 approval, and has none", policies={"authority": table(use_within="200ms")})
async def too_late_to_use(lab: Small) -> object:
    name, _ = await asked(lab)
    await approve(lab, name)
    await asyncio.sleep(0.3)
    return await use(lab)


@attempt("are the same person")
async def approval_of_ones_own_request(lab: Small) -> object:
    name, _ = await asked(lab)
    return await approve(lab, name, ADA)


@attempt("ada-admin and ada, who asked for A-1, are the same person")
async def approval_by_an_entry_of_the_same_person(lab: Small) -> object:
    name, _ = await asked(lab)
    return await approve(lab, name, ADMIN)


@attempt("are the same person", people={**people(), "ADA": people()["ben"]})
async def approval_by_the_same_name_in_other_letters(lab: Small) -> object:
    name, _ = await asked(lab)
    return await approve(lab, name, replace(BEN, person="ADA"), key="ben")


@attempt("are the same person", people={**people(), "ben": {**people()["ben"], "accounts": ["Ada"]}})
async def approval_by_an_account_in_other_letters(lab: Small) -> object:
    name, _ = await asked(lab)
    return await approve(lab, name)


@attempt("was asked for by the account with which ben calls now")
async def approval_from_the_account_that_asked(lab: Small) -> object:
    name, _ = await asked(lab)
    return await approve(lab, name, replace(BEN, uid=ADA.uid))


@attempt("was asked for by the account with which ben calls now")
async def approval_from_the_login_that_asked(lab: Small) -> object:
    name, _ = await asked(lab, replace(ADA, login_uid=777))
    return await approve(lab, name, replace(BEN, login_uid=777))


@attempt("the signature is by a key of ben, and ada hands it in")
async def a_strange_signature_as_ones_own(lab: Small) -> object:
    name, _ = await asked(lab)
    return await hand_in(lab, name, sign("ben", await statement(lab, name)), ADA)


@attempt("the signature is by a key of ben, and ada hands it in")
async def a_signature_under_another_name(lab: Small) -> object:
    name, _ = await asked(lab)
    return await hand_in(lab, name, sign("ben", await statement(lab, name)), ADA, "carl")


@attempt("another text was signed")
async def a_statement_made_for_another_approver(lab: Small) -> object:
    name, _ = await asked(lab)
    return await hand_in(lab, name, sign("ben", await statement(lab, name, CARL)))


@attempt("dora has none of the roles approver or commander")
async def approval_without_the_role(lab: Small) -> object:
    name, _ = await asked(lab)
    return await approve(lab, name, DORA)


@attempt("the signature is for 'file', not for 'approval@recovery'")
async def another_namespace(lab: Small) -> object:
    name, _ = await asked(lab)
    return await hand_in(lab, name, sign("ben", await statement(lab, name), "file"))


@attempt(r"signed with other line ends \(CRLF\)")
async def other_line_ends(lab: Small) -> object:
    name, _ = await asked(lab)
    return await hand_in(lab, name, sign("ben", (await statement(lab, name)).replace("\n", "\r\n")))


@attempt("signed without its last line end")
async def no_last_line_end(lab: Small) -> object:
    name, _ = await asked(lab)
    return await hand_in(lab, name, sign("ben", (await statement(lab, name)).rstrip("\n")))


@attempt("another text was signed")
async def another_risk_in_the_text(lab: Small) -> object:
    name, _ = await asked(lab)
    return await hand_in(lab, name, sign("ben", (await statement(lab, name)).replace("risk: B2", "risk: B1")))


@attempt("the key ben of ben does not count: it is revoked: lost", people=with_key("ben", revoked="lost"))
async def a_revoked_key(lab: Small) -> object:
    name, _ = await asked(lab)
    return await approve(lab, name)


@attempt("it counted until 2020-01-01T00:00:00Z", people=with_key("ben", until="2020-01-01T00:00:00Z"))
async def an_expired_key(lab: Small) -> object:
    name, _ = await asked(lab)
    return await approve(lab, name)


@attempt("it counts from 2999-01-01T00:00:00Z on", people=with_key("ben", since="2999-01-01T00:00:00Z"))
async def a_key_of_later(lab: Small) -> object:
    name, _ = await asked(lab)
    return await approve(lab, name)


@attempt("must be touched, and the signature does not say so", people=with_key("ben", touch=True))
async def no_touch_where_it_is_demanded(lab: Small) -> object:
    name, _ = await asked(lab)
    return await approve(lab, name)


@attempt("the key SHA256:.* belongs to nobody in this estate")
async def a_key_that_nobody_has(lab: Small) -> object:
    name, _ = await asked(lab)
    return await approve(lab, name, key="stranger")


@attempt("ben has approved A-1 already", policies={"authority": table(approvers=2)})
async def one_person_twice(lab: Small) -> object:
    name, _ = await asked(lab)
    await approve(lab, name)
    return await approve(lab, name)


@attempt("waits for 1 more approval", policies={"authority": table(approvers=2)})
async def one_of_two(lab: Small) -> object:
    name, _ = await asked(lab)
    await approve(lab, name)
    return await use(lab)


@attempt("A-1 is denied")
async def approval_after_a_denial(lab: Small) -> object:
    name, _ = await asked(lab)
    await lab.engine.approvals.act(CARL, name, Deny("not now"))
    return await approve(lab, name)


@attempt("read-only")
async def approval_by_the_observers_socket(lab: Small) -> object:
    name, _ = await asked(lab)
    signature = sign("ben", await statement(lab, name))
    return await hand_in(lab, name, signature, replace(BEN, read_only=True))


@attempt("is not clear who acts", people=people())
async def approval_by_who_is_in_doubt(lab: Small) -> object:
    name, _ = await asked(lab)
    signature = sign("ben", await statement(lab, name))
    return await hand_in(lab, name, signature, replace(BEN, doubt="it is not clear who acts"))


@pytest.mark.parametrize("name", list(ATTEMPTS))
async def test_no_way_around_the_second_person(name: str) -> None:
    made, reason, differs = ATTEMPTS[name]
    setting = {**estate(**differs.get("policies", {})), **{k: v for k, v in differs.items() if k != "policies"}}
    async with small(estate=setting) as lab:
        with pytest.raises(RecoveryError, match=reason) as told:
            await made(lab)
        assert isinstance(told.value, Refused)
        assert told.value.refusal.way_out, "a refusal says what to do"
        runs = 1 if name == "replay_of_a_used_approval" else 0
        assert lab.kinds().count("run.started") == runs
        assert (await lab.weights())["green"] == 0


BROKEN: Mapping[str, Callable[[str], str]] = {
    "empty": lambda _good: "",
    "cut": lambda good: good[: len(good) // 2],
    "twice": lambda good: good + good,
    "no end": lambda good: good.replace("-----END SSH SIGNATURE-----", ""),
    "no base64": lambda good: good.replace("U1NIU0lH", "!!!!!!!!"),
    "another format": lambda good: good.replace("U1NIU0lH", "U1NIU0lI"),
    "a key in its place": lambda _good: public_key("ben"),
    "too long": lambda good: good + " " * 20_000,
}


@pytest.mark.parametrize("how", list(BROKEN))
async def test_what_is_no_signature_is_refused_as_that(how: str) -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        good = sign("ben", await statement(lab, name))
        with pytest.raises(Refused, match="this is no signature of an SSH key"):
            await hand_in(lab, name, BROKEN[how](good))
        assert "ben approved" in (await lab.engine.approvals.act(BEN, name, Approve(good))).message
