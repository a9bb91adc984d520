"""Who has not the role decides nothing about the plans of others: each key of the queue, each verb, by each person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest

from console.tui.dialogs.approvals import KEYS
from state.api.approvals import (
    ApprovalVerb,
    Approve,
    Deny,
    GoAlone,
    HaltAlone,
    ReviewAlone,
    Withdraw,
)
from state.api.caller import Caller
from state.errors import Refused
from tests.support.signing import ADA, DORA, approve, asked, estate, people, person, sign
from tests.support.small_estate import STRANGER, Small, small

LONG = "nobody else answers and checkout is down"
VERBS: dict[str, Callable[[str], ApprovalVerb]] = {
    "open": Approve,
    "deny": lambda _: Deny("not by them"),
    "withdraw": lambda _: Withdraw(),
    "alone": lambda _: GoAlone(LONG),
    "halt": lambda _: HaltAlone(),
    "review": lambda _: ReviewAlone("looked at by nobody"),
}
"""What each key of the queue sends; Enter is `open`."""
EVE = Caller(2001, "eve", "eve", ("observer",), "s9", read_only=False)
KIM = Caller(2002, "kim", "kim", ("access-admin", "auditor"), "s9", read_only=False)
NOBODY = replace(STRANGER, session="s9")
READER = replace(ADA, read_only=True)
CALLERS = {"responder": DORA, "observer": EVE, "access-admin": KIM, "no person": NOBODY, "observers' socket": READER}
RULES = {"role", "known-person", "observer", "approval-owner", "override-review", "approval-open", "second-person"}


def with_more_people() -> Any:
    return estate() | {
        "people": {
            **people(),
            "eve": person("observer", accounts=("eve",), keys=("eve",)),
            "kim": person("access-admin", "auditor", accounts=("kim",), keys=("kim",)),
        }
    }


def test_every_key_of_the_queue_is_tried() -> None:
    assert set(VERBS) == {*KEYS.values(), "open"}
    assert len(VERBS) == len(get_args(ApprovalVerb))


def told(lab: Small) -> list[str]:
    return [f"{row.seq} {row.kind}" for row in lab.engine.journal_rows(0, 10_000) if row.kind != "request.refused"]


async def signature_of(lab: Small, name: str, caller: Caller) -> str:
    """A true signature over what the engine would show this person."""
    who = caller.person if caller.person in people() or caller.person in ("eve", "kim") else "dora"
    shown = await lab.engine.approvals.card(replace(ADA, person="ben", uid=1001, roles=("approver",)), name)
    return sign(who, shown.statement.replace("approved by: ben", f"approved by: {who}"))


@pytest.mark.parametrize("who", list(CALLERS))
async def test_nothing_is_decided_without_the_role(who: str) -> None:
    caller = CALLERS[who]
    async with small(estate=with_more_people()) as lab:
        name, _ = await asked(lab)
        signature = await signature_of(lab, name, caller)
        before = told(lab)
        for verb, made in VERBS.items():
            with pytest.raises(Refused) as refused:
                await lab.engine.approvals.act(caller, name, made(signature))
            assert refused.value.rule in RULES, (verb, refused.value)
            assert refused.value.way_out, (verb, refused.value)
            assert told(lab) == before, verb
        assert await lab.weights() == {"blue": 100, "green": 0}


async def test_with_the_role_it_is_decided() -> None:
    """The matrix would see it."""
    async with small(estate=with_more_people()) as lab:
        name, _ = await asked(lab)
        before = told(lab)
        await approve(lab, name)
        assert told(lab) != before
