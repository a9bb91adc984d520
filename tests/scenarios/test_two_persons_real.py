"""Two persons on real HAProxy processes and the engine's own process, which is killed between each two steps: nothing
happens before the signature, once after it, and never again."""

from __future__ import annotations

import pytest

from state.api.approvals import Approve, AskApproval
from state.api.requests import PlanChange
from state.errors import Refused
from tests.contract.test_change_sets import EDGES
from tests.scenarios.test_temporary_ends import checked, fleet, tree_of
from tests.support.real_engine import RealEngine, engine_home, until
from tests.support.signing import person, sign

WEIGHT = PlanChange("server.weight", {"balancer": EDGES[0], "backend": "web", "server": "green-1", "weight": 7})


async def again(engine: RealEngine) -> None:
    """The engine is killed and started."""
    engine.kill()
    await engine.start()
    await until(lambda: fresh(engine), 20, "the balancer is not read")


async def fresh(engine: RealEngine) -> bool:
    view = await engine.client.view("traffic")
    return any(row.balancer == EDGES[0] for row in view.backends.values())


async def test_nothing_before_the_signature_once_after_it_and_never_again() -> None:
    with fleet() as made:
        tree = tree_of(made)
        tree["policies"]["authority"] = {"two": {"risk": ["B1", "B2"], "roles": ["responder"], "approvers": 1}}
        tree["people"]["ben"] = person("approver", keys=("ben",))
        with engine_home(tree) as engine:
            await engine.start()
            await until(lambda: checked(made, EDGES[0]), 20)
            before = await made.weights(EDGES[0])
            card = await engine.plan(WEIGHT)
            with pytest.raises(Refused, match="needs 1 approval, and has none"):
                await engine.submit(card)
            card = await engine.plan(WEIGHT)
            asked = await engine.client.ask_approval(AskApproval(card.plan, card.fingerprint, "green is better"))
            await again(engine)
            text = (await engine.client.approval_card(asked.run, "ben")).statement
            signature = sign("ben", text)
            assert await made.weights(EDGES[0]) == before
            await again(engine)
            given = await engine.client.approval(asked.run, Approve(signature, "ben"))
            assert "ben approved" in given.message
            await again(engine)
            assert await made.weights(EDGES[0]) == before
            run = await engine.submit(await engine.plan(WEIGHT))
            assert (await engine.settled(run, 30)).state == "done"
            assert (await made.weights(EDGES[0]))["green-1"] == 7
            await again(engine)
            with pytest.raises(Refused, match=f"{asked.run} is used"):
                await engine.client.approval(asked.run, Approve(signature, "ben"))
            with pytest.raises(Refused, match="needs 1 approval, and has none"):
                await engine.submit(await engine.plan(PlanChange(WEIGHT.kind, {**WEIGHT.args, "weight": 8})))
            told = engine.kinds()
            assert [told.count(f"approval.{kind}") for kind in ("requested", "given", "used")] == [1, 1, 1]
            assert told.count("effect.intended") == 1
            assert engine.chain() == ""
