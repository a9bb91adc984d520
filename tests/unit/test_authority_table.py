"""The table of authority: live facts find the rule, the card names it, and a change of it is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from state.api.approvals import AskApproval
from state.changes.model import Risk
from state.errors import Refused
from state.estate.model import Policies
from state.policy.deciding import DEFAULT, Grade, decide
from tests.support.signing import ADA, BEN, DORA, WHY, asked, estate, people, person
from tests.support.small_estate import COMMANDER, change, flip, small

pytestmark = pytest.mark.virtual_time
MB = 1_000_000
SAFE = Grade(Risk.B3, loss=0, limit=MB, tier=1)


def policies(**rules: Any) -> Policies:
    return Policies.model_validate({"authority": rules})


@pytest.mark.parametrize(
    ("grade", "rule", "approvers"),
    [
        (SAFE, "safe", 0),
        (Grade(Risk.B3, loss=13 * MB, limit=MB, tier=1), "lossy", 2),
        (Grade(Risk.B3, loss=None, limit=MB, tier=1), "lossy", 2),
        (Grade(Risk.B1, loss=None, limit=MB), "lossy", 2),
        (Grade(Risk.B3, loss=MB // 2, limit=MB), "rest", 1),
        (Grade(Risk.B3, loss=0, reversible=False), "rest", 1),
        (Grade(Risk.B2, tier=1, rto_left=200.0), "hurry", 0),
        (Grade(Risk.B2, tier=1, rto_left=900.0), "incident", 0),
        (Grade(Risk.B2, tier=1), DEFAULT, 0),
        (Grade(Risk.B1), DEFAULT, 0),
        (Grade(Risk.B0, loss=None), DEFAULT, 0),
    ],
)
def test_the_first_rule_that_fits_the_facts_decides(grade: Grade, rule: str, approvers: int) -> None:
    table = policies(
        elsewhere={"environment": ["drill"], "approvers": 5},
        safe={"risk": ["B3"], "loss": ["none"], "reversible": True, "roles": ["responder", "commander"]},
        lossy={"loss": ["above-rpo", "unknown"], "approvers": 2},
        rest={"risk": ["B3"], "approvers": 1},
        hurry={"risk": ["B2"], "tier": 2, "rto_left": "5m", "roles": ["responder"]},
        incident={"incident": True, "roles": ["responder"]},
    )
    found = decide(table, "production", grade)
    assert (found.rule, found.approvers) == (rule, approvers)


def test_without_a_table_the_class_decides_as_before() -> None:
    for risk, roles in ((Risk.B2, ("responder", "commander")), (Risk.B3, ("commander",))):
        found = decide(Policies(), "production", Grade(risk, loss=None))
        assert (found.rule, found.roles, found.approvers) == (DEFAULT, roles, 0)
    both = Policies(second_person=("B3",))
    assert decide(both, "lab", Grade(Risk.B3)).approvers == 1
    assert decide(both, "lab", Grade(Risk.B2)).approvers == 0


async def test_a_card_without_a_table_has_no_line_more() -> None:
    async with small() as lab:
        card = await lab.preview(flip("green"), COMMANDER)
        assert not [rule for rule in card.rules if "approv" in rule.rule]
        assert any(rule.fact == "ada has the role responder" for rule in card.rules)
        assert "policy.enforced" not in lab.kinds()


async def test_the_card_names_the_rule_that_allows_and_the_one_that_refuses() -> None:
    table = {"chief": {"risk": ["B2"], "roles": ["commander"]}}
    async with small(estate=estate(authority=table)) as lab:
        allowed = await lab.preview(flip("green"), ADA)
        assert any("rule chief: B2, no loss, tier 1, can be undone" in rule.fact for rule in allowed.rules)
        refused = await lab.preview(flip("green"), DORA)
        assert [each.rule for each in refused.refusals] == ["role"]
        assert "rule chief" in refused.refusals[0].fact
        assert refused.refusals[0].who == "ada"
        with pytest.raises(Refused, match="rule chief"):
            await lab.submit(refused, DORA)
        assert "run.started" not in lab.kinds()


async def test_a_pipeline_starts_what_a_rule_gives_to_automation_and_nothing_else() -> None:
    robot = {**people(), "robot": person("pipeline", accounts=("robot",))}
    caller = type(ADA)(1010, "robot", "robot", ("pipeline",), "s", read_only=False)
    table = {"nightly": {"risk": ["B1"], "automation": True, "roles": ["responder"]}}
    async with small(estate={**estate(authority=table), "people": robot}) as lab:
        accepted = await lab.submit(
            await lab.preview(change("server.weight", server="green", weight=10), caller), caller
        )
        assert await lab.ended(accepted.run) == "done"
        card = await lab.preview(flip("green"), caller)
        assert [each.rule for each in card.refusals] == ["role"]
    async with small(estate={**estate(authority={}), "people": robot}) as lab:
        with pytest.raises(Refused, match="role"):
            await lab.preview(flip("green"), caller)


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ({"ada": people()["ada"]}, "nobody has role and key besides ada"),
        ({"ada": people()["ada"], "ben": person("approver", accounts=("ben",))}, "nobody has role and key"),
        ({"ada": people()["ada"], "ada-admin": people()["ada-admin"]}, "nobody has role and key"),
        ({"ada": people()["ada"], "dora": people()["dora"]}, "nobody has role and key"),
    ],
)
async def test_what_nobody_can_approve_is_refused_at_once_with_the_way_out(who: Any, said: str) -> None:
    async with small(estate={**estate(), "people": who}) as lab:
        card = await lab.preview(flip("green"), ADA)
        assert [each.rule for each in card.refusals] == ["approvers"]
        assert said in card.refusals[0].fact
        assert "people.NAME.keys" in card.refusals[0].way_out
        with pytest.raises(Refused, match="only nobody can"):
            await lab.engine.approvals.ask(ADA, AskApproval(card.plan, card.fingerprint, WHY))
        assert "approval.requested" not in lab.kinds()


async def test_another_policy_is_recorded_and_voids_what_was_asked_under_the_former_one() -> None:
    async with small(estate=estate()) as lab:
        assert lab.kinds().count("policy.enforced") == 1
        name, _ = await asked(lab)
    stricter = estate(authority={"second": {"risk": ["B2"], "roles": ["commander"], "approvers": 2}})
    async with small(estate=stricter, balancer=lab.balancer, store=lab.store) as again:
        assert again.kinds().count("policy.enforced") == 2
        assert again.engine.view("approvals").requests[name].state.value == "void"
        with pytest.raises(Refused, match="A-1 is void: the policy was changed"):
            await again.engine.approvals.card(BEN, name)
    async with small(estate=stricter, balancer=lab.balancer, store=lab.store) as third:
        assert third.kinds().count("policy.enforced") == 2


@pytest.mark.parametrize(
    ("rule", "expected"),
    [({"roles": []}, "at least one role"), ({"present": True}, "approvers of 1 or more"), ({"approvers": 9}, "5")],
)
def test_rules_that_cannot_be_meant_are_refused(rule: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        policies(one=rule)
