"""At a shared account nobody acts without a personal signature over that very plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from state.api.approvals import CONFIRMING, NAMESPACE, AskApproval
from state.api.caller import Caller, KernelAccount
from state.api.card import Card
from state.api.requests import Submission
from state.errors import Refused
from state.estate.model import Estate
from state.policy.identity import identify
from state.policy.statement import confirmation
from tests.support.signing import WHY, approve, estate, people, person, sign
from tests.support.small_estate import Small, change, flip, small

ESTATE = estate(shared_accounts=["ops"])
OPS = Caller(1500, "ops", "", (), "s9", read_only=False, doubt="the account ops is shared", shared=True)
NARROW = change("server.weight", server="green", weight=7)


async def card_for(lab: Small, who: str, request: Any = NARROW) -> tuple[Caller, Card]:
    spoken = lab.engine.personal.speaking(OPS, who)
    return spoken, await lab.preview(request, spoken)


def text_of(card: Card, who: str, **other: str) -> str:
    return confirmation(
        **{"estate": "small", "environment": "lab", "plan": card.plan, "fingerprint": card.fingerprint,
           "title": card.title, "person": who, **other}
    )  # fmt: skip


async def submit(lab: Small, card: Card, who: str, signature: str, caller: Caller = OPS) -> str:
    import asyncio

    await asyncio.sleep(card.confirmation.arm)
    sent = Submission(card.plan, card.fingerprint, card.confirmation.typed, who, signature)
    return (await lab.engine.submit(caller, sent)).run


async def test_the_kernel_says_that_it_is_shared_where_the_login_does_not() -> None:
    model = Estate.model_validate(ESTATE)
    found = identify(model, KernelAccount(1500, "ops"), None)
    assert (found.person, found.shared, bool(found.doubt)) == ("", True, True)
    known = identify(model, KernelAccount(1500, "ops"), KernelAccount(1003, "dora"))
    assert (known.person, known.shared) == ("dora", False)


async def test_a_signature_over_the_plan_lets_its_person_act_once_and_is_kept() -> None:
    async with small(estate=ESTATE) as lab:
        _, card = await card_for(lab, "dora")
        signature = sign("dora", text_of(card, "dora"), CONFIRMING)
        run = await submit(lab, card, "dora", signature)
        assert await lab.ended(run) == "done"
        assert lab.engine.history.runs[run].actor == "dora"
        kept = next(row for row in lab.engine.journal_rows(0, 10_000) if row.kind == "plan.signed")
        assert "dora signed" in kept.message
        assert "shared account ops" in kept.message
        with pytest.raises(Refused, match="plan-open"):
            await submit(lab, card, "dora", signature)


async def test_without_a_signature_nothing_acts() -> None:
    async with small(estate=ESTATE) as lab:
        with pytest.raises(Refused, match="--as PERSON"):
            await lab.preview(NARROW, OPS)
        spoken, card = await card_for(lab, "dora")
        for signature in ("", "nothing"):
            with pytest.raises(Refused, match="signature"):
                await submit(lab, card, "dora", signature)
        with pytest.raises(Refused, match="identity"):
            await lab.submit(card, OPS)
        with pytest.raises(Refused, match="identity"):
            await lab.engine.stop_all(replace(OPS, uid=4242))
        assert spoken.person == "dora"
        assert await lab.weights() == {"blue": 100, "green": 0}


@pytest.mark.parametrize("wrong", ["key", "namespace", "plan", "fingerprint", "person", "title", "estate", "bytes"])
async def test_another_signature_is_none(wrong: str) -> None:
    async with small(estate=ESTATE) as lab:
        _, card = await card_for(lab, "dora")
        text, key, namespace = text_of(card, "dora"), "dora", CONFIRMING
        match wrong:
            case "key":
                key = "ben"
            case "namespace":
                namespace = NAMESPACE
            case "bytes":
                text = text.rstrip("\n")
            case other:
                text = text_of(card, "dora", **{other: "another"})
        with pytest.raises(Refused, match="signature"):
            await submit(lab, card, "dora", sign(key, text, namespace))
        assert await lab.weights() == {"blue": 100, "green": 0}


async def test_the_person_has_the_roles_of_the_person_and_no_more() -> None:
    async with small(estate=ESTATE) as lab:
        spoken = lab.engine.personal.speaking(OPS, "ben")  # only approves
        with pytest.raises(Refused, match="role"):
            await lab.preview(NARROW, spoken)


async def test_who_is_not_at_a_shared_account_speaks_as_nobody_else() -> None:
    async with small(estate=ESTATE) as lab:
        mine = Caller(1003, "dora", "dora", ("responder",), "s1", read_only=False)
        for caller in (mine, replace(OPS, read_only=True)):
            with pytest.raises(Refused, match="identity"):
                lab.engine.personal.speaking(caller, "ada")
        for name in ("nobody", "key-less"):
            with pytest.raises(Refused, match="known-person"):
                lab.engine.personal.speaking(OPS, name)


async def test_two_people_at_one_shared_account_are_not_two_persons() -> None:
    async with small(estate={**ESTATE, "people": {**people(), "eve": person("commander", keys=("eve",))}}) as lab:
        spoken, card = await card_for(lab, "dora", flip("green"))
        name = (await lab.engine.approvals.ask(spoken, AskApproval(card.plan, card.fingerprint, WHY))).run
        with pytest.raises(Refused, match="second-person"):
            await approve(lab, name, lab.engine.personal.speaking(OPS, "carl"))
