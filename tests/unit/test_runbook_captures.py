"""The language of runbooks: values that a step captures and later ones use."""

from __future__ import annotations

import pytest

from tests.unit.test_runbook_language import HEAD, laid_out, problem

LOOK = "id: look, check: database.one-primary, with: {database: orders}"
NODE = '{id: use, check: database.leader, with: {database: orders, node: "${look.was}"}}'


WRONG = '{id: use, check: database.one-primary, with: {database: "${look.was}"}}'


def captured(first: str, *rest: str) -> str:
    return HEAD + "".join(f"  - {step}\n" for step in (first, *rest))


def test_a_captured_value_is_an_argument_that_is_known_later() -> None:
    inner = "{id: roll, each: [1, 2], steps: [{id: in, wait: 1s, when: {check: database.leader, with: "
    inner += '{database: orders, node: "${look.was}"}, failed: skip}}]}'
    found = laid_out(captured(f"{{{LOOK}, capture: {{was: primary}}}}", NODE, inner))
    late = {each.id: each.late for each in found.steps}
    assert late["use"] == (("node", "look", "was"),)
    assert late["roll.2.in.when"] == (("node", "look", "was"),)
    assert found.steps[1].step.args == {"database": "orders"}


def test_a_step_of_a_loop_captures_for_its_own_item() -> None:
    loop = f"{{id: roll, each: [1, 2], steps: [{{{LOOK}, capture: {{was: primary}}}}, {NODE}]}}"
    assert [each.late for each in laid_out(HEAD + f"  - {loop}\n").steps[1::2]] == [
        (("node", "roll.1.look", "was"),),
        (("node", "roll.2.look", "was"),),
    ]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([f"{{{LOOK}, capture: {{was: primry}}}}", NODE], "did you mean 'primary'?"),
        ([f"{{{LOOK}, capture: {{is: primary}}}}", NODE], "what look captures: is"),
        ([NODE, f"{{{LOOK}, capture: {{was: primary}}}}"], "expected a parameter"),
        ([f"{{id: g, parallel: [{{{LOOK}, capture: {{was: primary}}}}, {NODE}]}}"], "expected a parameter"),
        ([f"{{id: r, each: [1], steps: [{{{LOOK}, capture: {{was: primary}}}}]}}", NODE], "expected a parameter"),
        ([f"{{{LOOK}, capture: {{was: primary}}}}", '{id: w, wait: 1s, title: "on ${look.was}"}'], "and alone there"),
        ([f"{{{LOOK}, capture: {{was: primary}}}}", NODE.replace('"$', '"x$')], "and alone there"),
        ([f"{{{LOOK}, capture: {{was: primary}}}}", WRONG], "of kind database, not node"),
        ([f"{{{LOOK.replace('look', 'service')}, capture: {{was: primary}}}}"], "no parameter and no item"),
        (["{id: look, wait: 1s, capture: {was: primary}}"], "on checks and changes only"),
        ([f"{{{LOOK.replace('one-primary', 'streaming')}, capture: {{was: primary}}}}"], "nothing that can be"),
    ],
)  # fmt: skip
def test_what_lint_says_of_captures(steps: list[str], message: str) -> None:
    assert message in problem(captured(*steps))


def test_a_captured_value_may_stand_inside_an_argument_that_is_a_mapping() -> None:
    step = '{id: use, change: backend.weights, with: {balancer: e1, backend: shop, weights: {blue: "${look.count}"}}}'
    look = (
        "{id: look, check: backend.floor, with: {balancer: e1, backend: shop, at_least: 1}, capture: {count: serving}}"
    )
    used = laid_out(captured(look, step)).steps[1]
    assert used.late == (("weights.blue", "look", "count"),)
    assert used.step.args["weights"] == {}
