"""Captured values in runs: what is known only on the way is filled in, and a change with it has a card of its own."""

from __future__ import annotations

import pytest

from console.card_text import plain_card
from state.api.requests import PlanRetry, PlanRunbook, Skip
from state.errors import Refused
from tests.support.run_books import SHOP, check, started, told, until
from tests.support.small_estate import COMMANDER, RESPONDER, Small
from tests.unit.test_run_conditions import Edge, ended, lab_of

pytestmark = pytest.mark.virtual_time

FLOOR = {"id": "look", "check": "backend.floor", "with": {**SHOP, "at_least": 1}, "for": "3s"}
LOOK = {**FLOOR, "capture": {"was": "active", "count": "serving"}}
USE = {"id": "use", "change": "server.weight", "with": {**SHOP, "server": "${look.was}", "weight": 50}}
PROOF = check("proof", "server.serving", "${look.was}", **{"for": "3s"})


async def test_a_check_is_given_what_an_earlier_one_read() -> None:
    async with lab_of(LOOK, PROOF) as lab:
        run = await started(lab)
        assert await ended(lab, run) == ("done", "every step is done and verified")
        assert lab.engine.history.runs[run].latest("look").figures == {"serving": 1, "active": "blue"}
        assert "blue" in lab.engine.history.runs[run].latest("proof").evidence[0]


async def at_the_card(lab: Small) -> str:
    card = await lab.preview(PlanRunbook("case"))
    assert "server after backend.floor edge shop 1; it has a card of its own" in "\n".join(plain_card(card))
    assert card.diffs == ()
    run = (await lab.submit(card)).run
    assert await lab.ended(run, 20) == "paused"
    return run


async def test_a_change_with_it_waits_for_a_card_of_its_own_before_anything_is_sent() -> None:
    async with lab_of(LOOK, USE, PROOF) as lab:
        run = await at_the_card(lab)
        assert told(lab, run) == "look#1 done, use#1 stopped, proof#1 pending"
        message = lab.engine.history.runs[run].latest("use").message
        assert message == "server is blue: retry shows what it would do, nothing was sent"
        assert await lab.weights() == {"blue": 100, "a": 0, "b": 0, "c": 0}
        assert "effect.intended" not in lab.kinds()
        card = await lab.preview(PlanRetry(run, "use#1"))
        assert [str(d) for d in card.diffs] == ["edge/shop/blue weight: 100 → 50"]
        await lab.submit(card)
        assert await ended(lab, run) == ("done", "every step is done and verified")
        assert (await lab.weights())["blue"] == 50
        assert len(lab.engine.history.runs[run].targets) == 1


async def test_what_it_acts_on_is_leased_once_it_is_known() -> None:
    async with lab_of(LOOK, USE, {"id": "ask", "wait": "20s"}) as lab:
        run = await at_the_card(lab)
        assert lab.engine.history.runs[run].targets == ()
        await lab.submit(await lab.preview(PlanRetry(run, "use#1")))
        await until(lambda: told(lab, run).endswith("use#2 done, ask#1 running"), 20)
        other = await lab.preview(PlanRunbook("case"), RESPONDER)
        assert other.refusals == ()  # nothing of it is known yet
        held = (await lab.submit(other, RESPONDER)).run
        assert await lab.ended(held, 20) == "paused"
        card = await lab.preview(PlanRetry(held, "use#1"), RESPONDER)
        assert [each.rule for each in card.refusals] == ["lease"]


@pytest.mark.parametrize("policy", ["continue", "undo", "stop"])
async def test_its_policy_never_passes_the_card_by(policy: str) -> None:
    async with lab_of(LOOK, {**USE, "on_failure": policy}) as lab:
        run = await at_the_card(lab)
        assert told(lab, run) == "look#1 done, use#1 stopped"
        await lab.engine.control(COMMANDER, run, Skip("use#1", "not needed"))
        assert (await ended(lab, run))[0] == "unproven"


async def test_what_was_not_read_is_not_sent() -> None:
    look = {**LOOK, "with": {**SHOP, "at_least": 3}, "for": "300ms", "on_failure": "continue"}
    async with lab_of(look, {**USE, "on_failure": "stop"}) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("case")))).run
        word, message = await ended(lab, run)
        assert word == "failed"
        assert "server is not known: backend.floor edge shop 3 is failed" in message


async def test_a_figure_that_the_answer_has_not_is_not_known() -> None:
    edge = Edge()
    await edge.set_weight("shop", "a", 50, deadline=1)  # two carry: none is the active one
    async with lab_of(LOOK, {**USE, "on_failure": "pause"}, edge=edge) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("case")))).run
        assert await lab.ended(run, 20) == "paused"
        assert "server is not known" in lab.engine.history.runs[run].latest("use").message
        with pytest.raises(Refused, match="is not to be sent: server is not known"):
            await lab.preview(PlanRetry(run, "use#1"))
