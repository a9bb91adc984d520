"""Runbooks as values: parameters are typed, arguments rendered, and the hash follows what is written."""

from __future__ import annotations

import pytest

from adapters.files.located_yaml import parse_yaml
from state.changes.registry import change_kinds
from state.errors import ConfigError
from state.runbooks.expand import Concrete, Expanded, expand
from state.runbooks.model import Runbook
from state.runbooks.parse import lint_runbook
from state.runbooks.related import any_node
from tests.support.estate_samples import CHECKS, FIXTURES, small_estate

SAMPLE = (FIXTURES / "runbook.yaml").read_text()


def load(text: str) -> Runbook:
    return lint_runbook(parse_yaml(text, "shift.yaml"), small_estate(), change_kinds(), CHECKS)[0]


def laid_out(runbook: Runbook, params: dict[str, object]) -> Expanded:
    estate = small_estate()
    return expand(runbook, params, estate, {}, any_node(estate))


def render(runbook: Runbook, params: dict[str, object]) -> tuple[Concrete, ...]:
    return laid_out(runbook, params).steps


@pytest.fixture(scope="module")
def runbook() -> Runbook:
    return load(SAMPLE)


def test_defaults_are_rendered_with_their_types(runbook: Runbook) -> None:
    steps = {step.id: step.step for step in render(runbook, {})}
    assert steps["flip"].args == {"balancer": "edge", "backend": "checkout", "to": "blue"}
    assert steps["hand-over"].args == {"database": "orders", "to": None}
    assert steps["fault"].args == {"fault": "slow", "seconds": 30.0}
    assert steps["healthy"].args == {"service": "checkout"}
    assert laid_out(runbook, {}).service == "checkout"


def test_given_values_replace_defaults(runbook: Runbook) -> None:
    steps = {step.id: step.step for step in render(runbook, {"hold": "2m", "node": "n2", "service": "catalog"})}
    assert steps["fault"].args["seconds"] == 120.0
    assert steps["hand-over"].args["to"] == "n2"
    assert laid_out(runbook, {"service": "catalog"}).service == "catalog"


def test_what_a_parameter_holds_is_not_looked_at_again() -> None:
    text = SAMPLE.replace("to: {kind: colour, default: blue}", "to: {kind: text, default: y}")
    text = text.replace('to: "${to}"', 'to: "a ${to}"').replace("change: backend.flip", "check: any.thing")
    model = Runbook.model_validate(_as_data(text))
    assert render(model, {"to": "${service} x"})[1].step.args["to"] == "a ${service} x"


def _as_data(text: str) -> dict[str, object]:
    data: dict[str, object] = parse_yaml(text, "f").data
    return data


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"t": "x"}, r"shift.yaml:4:1: found 't', expected a parameter of shift: hold, node, service or to"),
        ({"hodl": "5s"}, r"did you mean 'hold'\?"),
        ({"hold": "soon"}, r"^argument: found 'soon', expected hold: a duration such as 500ms"),
        ({"hold": "0s"}, "a duration above zero"),
        ({"hold": "9" * 400 + "d"}, "a duration such as"),
        ({"hold": 5}, "a duration such as"),
        ({"to": "a b"}, r"^argument: found 'a b', expected to: a name as the balancer has it"),
        ({"to": "a;rm -rf"}, "expected to: a name as the balancer has it"),
        ({"to": True}, "expected to: a colour"),
        ({"to": ["x"]}, "expected to: a colour"),
        ({"to": "x" * 501}, "at most 500 characters"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_with_a_place(
    runbook: Runbook, params: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        render(runbook, params)


def test_all_unsuitable_parameters_are_told_at_once(runbook: Runbook) -> None:
    with pytest.raises(ConfigError) as refused:
        render(runbook, {"hold": "x", "to": "a b", "who": "me"})
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize(("given", "value"), [("3", 3), (3, 3), ("2.5", 2.5), (0, 0)])
def test_numbers_stay_numbers(given: object, value: float) -> None:
    text = SAMPLE.replace("hold: {kind: duration, default: 30s}", "hold: {kind: number, default: 30}")
    assert render(load(text), {"hold": given})[4].step.args["seconds"] == value


@pytest.mark.parametrize("given", ["nan", "inf", "x", "1e999"])
def test_what_is_no_finite_number_is_refused(given: str) -> None:
    text = SAMPLE.replace("hold: {kind: duration, default: 30s}", "hold: {kind: number, default: 30}")
    with pytest.raises(ConfigError, match="hold: a number"):
        render(load(text), {"hold": given})


def test_the_hash_follows_what_is_written_not_how(runbook: Runbook) -> None:
    assert len(runbook.hash) == 64
    assert load(f"# a comment\n{SAMPLE.replace('wait: 5s', 'wait:   5s')}\n\n").hash == runbook.hash
    for old, new in (("wait: 5s", "wait: 6s"), ("title: Shift", "title: shift"), ("No: stop", "No: continue")):
        assert load(SAMPLE.replace(old, new)).hash != runbook.hash
    assert load(SAMPLE).hash == runbook.hash
