"""Runbook files: what the linter refuses, where, and what it warns of; the shipped ones hold against the estate."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.files.located_yaml import parse_yaml
from adapters.files.read import read_yaml, runbook_paths
from adapters.registry import kinds
from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.errors import ConfigError, Problem
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.runbooks.expand import Concrete, expand
from state.runbooks.model import Runbook
from state.runbooks.parse import lint_runbook
from state.runbooks.related import any_node
from state.runbooks.steps import placed
from tests.support.estate_samples import CANARY, CHECKS, FIXTURES, problems_of, replaced, small_estate

CONFIG = Path(__file__).parents[2] / "config"
SAMPLE = (FIXTURES / "runbook.yaml").read_text()
GIVEN = {
    "roll-back-release": {"service": "checkout", "to": "blue"},
    "ramp": {"service": "checkout", "to": "blue"},
    "drain-server": {"service": "catalog", "server": "a"},
    "capture-evidence": {"service": "catalog"},
    "evacuate-site": {"service": "catalog", "site": "east"},
    "maintenance-off": {"service": "catalog", "server": "a"},
    "maintenance-on": {"service": "catalog", "server": "a"},
    "restart-instance": {"node": "n2"},
    "fail-over": {"old": "n1"},
    "rebuild": {"node": "n2"},
    "rejoin": {"node": "n2"},
    "prove-restore": {"command": "prove-orders"},
}
WITHOUT_SERVICE = ("prove-restore",)
"""What is measured against the objectives of no service: nothing is down meanwhile."""
FIXED_BACKEND = (
    "shift.yaml:18:37: found 'checkout', expected a backend of the service that the run is for: "
    "a parameter with of: service"
)


@pytest.fixture(scope="module")
def small() -> Estate:
    return small_estate()


def lint(text: str, estate: Estate) -> tuple[Runbook, tuple[Problem, ...]]:
    return lint_runbook(parse_yaml(text, "shift.yaml"), estate, change_kinds(), CHECKS)


def render(runbook: Runbook, params: dict[str, object]) -> tuple[Concrete, ...]:
    estate = small_estate()
    return expand(runbook, params, estate, {}, any_node(estate)).steps


def test_a_severity_that_no_alert_can_have_is_refused(small: Estate) -> None:
    book = "runbook: quiet\ntitle: Quiet\nsteps:\n  - {id: quiet, check: alerts.none, with: {severity: SEVERITY}}\n"
    for known in ("critical", "PAGE"):
        lint_runbook(parse_yaml(book.replace("SEVERITY", known), "quiet.yaml"), small, {}, check_kinds())
    with pytest.raises(ConfigError, match=r"found 'critcal', expected a usual severity.*did you mean 'critical'"):
        lint_runbook(parse_yaml(book.replace("SEVERITY", "critcal"), "quiet.yaml"), small, {}, check_kinds())


def test_the_sample_holds(small: Estate) -> None:
    runbook, warnings = lint(SAMPLE, small)
    assert [str(each) for each in warnings] == [FIXED_BACKEND]
    assert [step.kind for step in runbook.steps] == [
        "check",
        "change",
        "decide",
        "change",
        "change",
        "wait",
        "parallel",
    ]
    assert [step.limit for step in runbook.steps] == [10, 0, 300, 0, 0, 5, 0]
    assert [step.id for _, step in placed(runbook.steps)][-2:] == ["healthy", "primary"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("check: backend.floor", "check: backend.flor", "expected a check: backend.floor, database.one-primary"),
        ("check: backend.floor", "check: backend.flor", "did you mean 'backend.floor'?"),
        ("change: backend.flip", "change: backend.flap", "did you mean 'backend.flip'?"),
        ("check: database.one-primary", "check: database.one", "did you mean 'database.one-primary'?"),
        ("at_least: 1", "at_least: one", "found 'one', expected a whole number"),
        ("at_least: 1", "atleast: 1", "found key 'atleast', expected one of the keys"),
        (
            "at_least: 1",
            'at_least: "${nobody}"',
            "found '${nobody}', expected a parameter: hold, node, service or to",
        ),
        ("at_least: 1", 'at_least: "${hodl}"', "did you mean 'hold'?"),
        ("at_least: 1", "at_least: '${'", "expected a parameter"),
        ("{balancer: edge, backend: checkout, at_least: 1}", "{backend: checkout}", "expected the key 'balancer'"),
        (
            "{balancer: edge, backend: checkout, at_least",
            "{balancer: egde, backend: checkout, at_least",
            "found 'egde', expected a balancer of the estate: edge; did you mean 'edge'?",
        ),
        ("backend: checkout, at_least", "backend: chekout, at_least", "did you mean 'checkout'?"),
        (
            'to: "${to}"',
            "to: bleu",
            "found 'bleu', expected a server of the estate: blue or green; did you mean 'blue'?",
        ),
        ('to: "${to}"', 'to: "${service}"', "expected a parameter of kind server, not service"),
        ('to: "${node}"', "to: n9", "expected a node of the estate: n1 or n2"),
        ("{database: orders, to", "{database: oders, to", "did you mean 'orders'?"),
        ('{service: "${service}"}', "{service: chekout}", "did you mean 'checkout'?"),
        ("service: ${service}", "service: nobody", "expected a service of the estate: catalog or checkout"),
        ("default: checkout}", "default: chekout}", "found 'chekout', expected a service of the estate"),
        ("default: blue}", "default: bleu}", "expected a colour of the estate: blue or green; did you mean 'blue'?"),
        ("default: blue}", "default: blue, choices: [blue, grene]}", "did you mean 'green'?"),
        ("default: blue}", "default: blue, choices: [green]}", "found 'blue', expected green"),
        ("default: 30s", "default: 30", "found 30, expected a duration such as"),
        ("kind: node}", "kind: choice}", "expected choices: the values it may have"),
        ("kind: node}", "kind: nod}", "did you mean 'node'?"),
        (
            "Skip: both",
            "Skip: bth",
            "expected continue, stop or the id of a later step: both, fault, hand-over or rest",
        ),
        ("Skip: both", "Skip: bth", "did you mean 'both'?"),
        ("Skip: both", "Skip: floor", "found 'floor', expected continue, stop or the id of a later step"),
        ("Skip: both", "Skip: healthy", "found 'healthy', expected continue, stop or the id of a later step"),
        ("- id: rest", "- id: flip", "expected each id once (first in line 16)"),
        ("- id: primary", "- id: floor", "expected each id once (first in line 10)"),
        ("wait: 5s", "wait: 5", "found 5, expected a duration"),
        ("wait: 5s", "waitt: 5s", "did you mean 'wait'?"),
        ("samples: 2", "samples: 0", "found 0, expected at least 1"),
        ("every: 1s", "evrey: 1s", "found key 'evrey'"),
        ("title: Shift", "title: ''", "expected at least 1 characters"),
        ("options: {Yes: continue, Skip: both, No: stop}", "options: {}", "expected at least 1 entries"),
        ('seconds: "${hold}"', "seconds: 99999", "found 99999, expected at most 3600"),
        ('seconds: "${hold}"', f"seconds: 5, token: {CANARY}", "a reference to the secret"),
    ],
)
def test_each_problem_is_told_at_its_line(small: Estate, old: str, new: str, message: str) -> None:
    text, line = replaced(SAMPLE, old, new)
    with pytest.raises(ConfigError) as refused:
        lint(text, small)
    told = str(refused.value)
    assert any(message in str(p) for p in problems_of(refused.value, line)), told
    assert CANARY not in told


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    wait: 5s\n",
            "    wait: 5s\n    check: backend.floor\n",
            "exactly one of check, change, decide, wait, parallel, each and runbook, not check and wait",
        ),
        (
            "    wait: 5s\n",
            "",
            "exactly one of check, change, decide, wait, parallel, each and runbook, not none of them",
        ),
        ("    wait: 5s\n", "    wait: 5s\n    samples: 3\n", "every, for and samples on checks only"),
        ("    wait: 5s\n", "    wait: 5s\n    with: {a: b}\n", "with: on checks, changes and runbooks only"),
        ("    wait: 5s\n", "    wait: 5s\n    on_failure: undo\n", "undo on checks, changes and groups only"),
        (
            "    wait: 5s\n",
            "    wait: 5s\n    timeout: 9s\n",
            "no timeout here: a wait, a group and a check with for: already have a limit",
        ),
        (
            "    wait: 5s\n",
            "    parallel: [{id: a, parallel: [{id: b, wait: 1s}]}]\n",
            "a group without groups, loops and runbooks inside it",
        ),
    ],
)
def test_steps_are_one_thing(small: Estate, old: str, new: str, message: str) -> None:
    text, _ = replaced(SAMPLE, old, new)
    with pytest.raises(ConfigError) as refused:
        lint(text, small)
    assert any(message in str(problem) for problem in refused.value.problems), str(refused.value)


def test_file_line_and_column(small: Estate) -> None:
    text, _ = replaced(SAMPLE, "check: backend.floor", "check: backend.flor")
    with pytest.raises(ConfigError) as refused:
        lint(text.replace("samples: 2", "samples: 0"), small)
    assert [str(p).split(" found")[0] for p in refused.value.problems] == ["shift.yaml:11:12:", "shift.yaml:15:14:"]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "- {id: a, change: fault.lift, with: {fault: x}}",
            "shift.yaml:4:23: found change 'a', expected a check in a later",
        ),
        ("- {id: a, decide: {question: Q, options: {Yes: continue}}}", "found decision 'a', expected a timeout"),
    ],
)
def test_what_is_unwise_is_a_warning(small: Estate, text: str, warning: str) -> None:
    _, warnings = lint(f"runbook: r\ntitle: R\nsteps:\n    {text}\n", small)
    assert any(warning in str(each) for each in warnings)


def test_an_unused_parameter_is_a_warning(small: Estate) -> None:
    text, line = replaced(SAMPLE, 'to: "${to}"', "to: blue")
    _, warnings = lint(text, small)
    assert [str(each) for each in warnings if str(each) != FIXED_BACKEND] == [
        "shift.yaml:6:3: found parameter 'to', expected a step that uses ${to}"
    ]
    assert line > 6


def test_a_required_parameter_is_checked_by_its_kind_only(small: Estate) -> None:
    text, _ = replaced(SAMPLE, "to: {kind: colour, default: blue}", "to: {kind: colour, required: true}")
    runbook, warnings = lint(text, small)
    assert [str(each) for each in warnings] == [FIXED_BACKEND]
    with pytest.raises(ConfigError, match=r"shift.yaml:6:7: expected a value for the parameter 'to': a colour"):
        render(runbook, {})
    assert render(runbook, {"to": "green"})[1].step.args["to"] == "green"


@pytest.mark.parametrize("text", ["", "[]", "x"])
def test_what_is_no_mapping(small: Estate, text: str) -> None:
    with pytest.raises(ConfigError, match="a mapping that begins with `runbook: <name>`"):
        lint(text, small)


@pytest.fixture(scope="module")
def example() -> Estate:
    return parse_estate(read_yaml(CONFIG / "recovery.yaml"), kinds())


def test_an_answer_leads_to_a_group_and_not_into_it(example: Estate) -> None:
    def lint(to: str) -> None:
        text = (
            "runbook: case\ntitle: Case\nsteps:\n"
            f"  - {{id: q, timeout: 1m, decide: {{question: Where to?, options: {{go: {to}}}}}}}\n"
            "  - {id: g, parallel: [{id: one, wait: 1s}, {id: two, wait: 1s}]}\n"
        )
        lint_runbook(parse_yaml(text, "case.yaml"), example, change_kinds(), check_kinds())

    lint("g")
    for inside in ("one", "two"):
        with pytest.raises(ConfigError, match="expected continue, stop or the id of a later step: g"):
            lint(inside)


def test_the_shipped_runbooks_hold_against_the_example(example: Estate) -> None:
    paths = runbook_paths(CONFIG / "recovery.yaml", example.runbooks)
    assert {path.stem for path in paths} >= set(GIVEN)
    for path in paths:
        runbook, warnings = lint_runbook(read_yaml(path), example, change_kinds(), check_kinds())
        assert runbook.runbook == path.stem
        assert [str(each) for each in warnings] == []
        kinds = {**{k: v.args for k, v in change_kinds().items()}, **{k: v.args for k, v in check_kinds().items()}}
        expanded = expand(runbook, GIVEN.get(path.stem, {}), example, {}, any_node(example))
        assert expanded.service in (("",) if path.stem in WITHOUT_SERVICE else example.services)
        for each in expanded.steps:
            if each.step.what:
                kinds[each.step.what].model_validate(dict(each.step.args))
