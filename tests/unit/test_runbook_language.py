"""The language of runbooks: what follows from the estate, loops, conditions, runbooks inside, words to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from adapters.files.located_yaml import parse_yaml
from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.errors import ConfigError
from state.estate.model import Estate
from state.runbooks.books import whole_hash
from state.runbooks.expand import Expanded, expand
from state.runbooks.model import Runbook
from state.runbooks.parse import lint_runbook
from state.runbooks.related import any_node, unfit
from tests.support.small_estate import ESTATE

TRAFFIC = {"backend": "shop", "floor": 2, "colours": {"blue": "v41", "green": "v42"}}
TREE: Mapping[str, Any] = {
    **ESTATE,
    "sites": {"east": {}, "west": {}},
    "balancers": {"e1": {"kind": "memory", "site": "east"}, "w1": {"kind": "memory", "site": "west"}},
    "services": {
        "shop": {
            **ESTATE["services"]["shop"],
            "depends_on": ["orders"],
            "traffic": {**TRAFFIC, "balancers": ["e1", "w1"]},
        },
        "help": {"tier": 3, "rto": "1h", "rpo": "1MB"},
    },
    "databases": {"orders": {"kind": "patroni", "nodes": {n: {"site": "east"} for n in ("n1", "n2", "n3")}}},
}
ESTATES = Estate.model_validate(TREE)
BARE = Estate.model_validate({"estate": "bare", "environment": "lab", "sites": {"east": {}}})
HEAD = "runbook: case\ntitle: Case\nparams:\n  service: {kind: service, default: shop}\nsteps:\n"


def lint(text: str, estate: Estate = ESTATES, **books: Runbook) -> Runbook:
    return lint_runbook(parse_yaml(text, "case.yaml"), estate, change_kinds(), check_kinds(), books)[0]


def laid_out(text: str, leader: str = "n1", books: Mapping[str, Runbook] | None = None, **params: Any) -> Expanded:
    books = books or {}
    return expand(lint(text, **books), params, ESTATES, books, lambda _: leader)


def ids(found: Expanded) -> list[str]:
    return [step.id for step in found.steps]


def problem(text: str, estate: Estate = ESTATES, **books: Runbook) -> str:
    with pytest.raises(ConfigError) as refused:
        lint(text, estate, **books)
    return str(refused.value)


HEALTHY = "check: service.healthy, with: {service: shop}"
FLOOR = 'check: backend.floor, with: {balancer: "${balancer}", backend: "${service.backend}", at_least: 1}'


def test_fields_of_the_estate_are_arguments() -> None:
    found = laid_out(
        HEAD
        + '  - {id: a, check: backend.floor, with: {balancer: e1, backend: "${service.backend}", AT}}\n'.replace(
            "AT", 'at_least: "${service.floor}"'
        )
        + '  - {id: b, check: database.one-primary, with: {database: "${service.database}"}}\n'
    )
    assert [dict(each.step.args) for each in found.steps] == [
        {"balancer": "e1", "backend": "shop", "at_least": 2},
        {"database": "orders"},
    ]


def test_the_backends_of_a_database_are_fields_and_names() -> None:
    orders = {**TREE["databases"]["orders"], "frontends": {"pg_ro": "standby", "pg_rw": "primary"}}
    estate = Estate.model_validate({**TREE, "databases": {"orders": orders}})
    head = HEAD.replace("service: {kind: service, default: shop}", "database: {kind: database, default: orders}")
    floor = "check: backend.floor, with: {balancer: e1, backend: BACKEND, at_least: 1}"
    text = head + (
        f"  - {{id: own, {floor}}}\n".replace("BACKEND", '"${database.frontend}"')
        + "  - id: all\n    each: ${database.frontends}\n    as: backend\n    steps:\n"
        + f"      - {{id: look, {floor}}}\n".replace("BACKEND", '"${backend}"')
        + "  - {id: out, change: server.drain, with: {balancer: w1, backend: pg_rw, server: n2}, on_failure: stop}\n"
    )
    found = expand(lint(text, estate), {}, estate, {}, lambda _: "n1")
    assert [each.step.args["backend"] for each in found.steps] == ["pg_rw", "pg_rw", "pg_ro", "pg_rw"]
    assert "n9" in problem(text.replace("server: n2", "server: n9"), estate), "its servers are the nodes"
    assert "pg_rx" in problem(text.replace("backend: pg_rw", "backend: pg_rx"), estate)
    bare = head + f"  - {{id: own, {floor}}}\n".replace("BACKEND", '"${database.frontend}"')
    assert "frontend" in unfit(lint(bare), ESTATES, {}), "a database without one: the runbook does not apply"


def test_a_default_is_derived_from_another_parameter() -> None:
    text = (
        "runbook: case\ntitle: Case\nservice: ${service}\nparams:\n"
        '  service: {kind: service, default: "${database.service}"}\n'
        "  database: {kind: database, required: true}\n"
        'steps:\n  - {id: a, check: service.healthy, with: {service: "${service}"}}\n'
    )
    assert laid_out(text).steps[0].step.args == {"service": "shop"}  # the only database is the default
    assert laid_out(text, service="help").service == "help"


def test_a_loop_has_its_steps_for_each_item_in_the_stated_order() -> None:
    text = HEAD + (
        "  - id: sites\n    each: ${service.balancers}\n    as: balancer\n    order: reversed\n    pace: 5s\n"
        "    on_failure: undo\n    owner: commander\n    why: Because ${balancer}\n    steps:\n"
        f"      - {{id: look, title: Look, {FLOOR}}}\n"
    ).replace("Because ${balancer}", "Because")
    found = laid_out(text)
    assert ids(found) == ["sites.w1.look", "sites.pace-1", "sites.e1.look"]
    assert [each.step.args.get("balancer") for each in found.steps] == ["w1", None, "e1"]
    assert [each.step.title for each in found.steps] == ["Look (w1)", "Pause before e1", "Look (e1)"]
    assert [each.step.limit for each in found.steps][1] == 5
    first = found.steps[0]
    assert (first.on_failure, first.owner, first.prose, first.loop) == (
        "undo",
        "commander",
        ("Because", "", ""),
        "sites",
    )


def test_items_at_once_are_groups() -> None:
    text = HEAD + (
        "  - id: all\n    each: [1, 2, 3]\n    at_once: 2\n    steps:\n"
        "      - {id: w, wait: 1s, title: 'Part ${item}'}\n"
    )
    found = laid_out(text)
    assert [(each.id, each.group) for each in found.steps] == [
        ("all.1.w", "all.at-once-1"),
        ("all.2.w", "all.at-once-1"),
        ("all.3.w", "all.at-once-2"),
    ]
    assert found.steps[0].step.title == "Part 1"


def test_standbys_come_first_as_the_roles_were_read_and_only_while_they_hold() -> None:
    text = HEAD + (
        "  - id: roll\n    each: ${service.database.nodes}\n    as: node\n    order: standbys-first\n    steps:\n"
        '      - {id: look, check: database.caught-up, with: {database: orders, node: "${node}", bytes: 1MB}}\n'
    )
    found = laid_out(text, leader="n2")
    assert ids(found) == [f"roll.{n}.{s}" for n in ("n1", "n3", "n2") for s in ("roles", "look")]
    guard = found.steps[0].step
    assert (guard.what, dict(guard.args)) == ("database.leader", {"database": "orders", "node": "n2"})
    assert [each.on_failure for each in found.steps if each.id.endswith("roles")] == ["pause"] * 3


def test_a_condition_is_a_step_before_what_it_is_about() -> None:
    text = HEAD + (
        "  - id: sites\n    each: ${service.balancers}\n    as: balancer\n"
        f"    when: {{{FLOOR.replace('${balancer}', 'e1')}, passed: continue, failed: skip, unknown: stop}}\n"
        "    steps:\n"
        "      - id: one\n        wait: 1s\n"
        f"        when: {{{FLOOR}, failed: next, unknown: end}}\n"
        "      - {id: two, wait: 1s}\n"
        "  - {id: end, wait: 1s}\n"
    )
    found = {each.id: each for each in laid_out(text).steps}
    assert [*found] == [
        "sites.when", "sites.e1.one.when", "sites.e1.one", "sites.e1.two", "sites.w1.one.when", "sites.w1.one",
        "sites.w1.two", "end",
    ]  # fmt: skip
    assert found["sites.when"].do == "when"
    assert dict(found["sites.when"].options) == {"pass": "continue", "fail": "end", "unknown": "stop"}
    assert dict(found["sites.e1.one.when"].options) == {
        "pass": "continue",
        "fail": "sites.w1.one.when",
        "unknown": "end",
    }
    assert dict(found["sites.w1.one.when"].options)["fail"] == "end"


def test_a_condition_at_the_end_may_lead_to_the_end() -> None:
    text = HEAD + f"  - {{id: a, wait: 1s, when: {{{HEALTHY}, failed: skip}}}}\n"
    assert dict(laid_out(text).steps[0].options) == {"pass": "continue", "fail": "", "unknown": "pause"}


INNER = (
    "runbook: inner\ntitle: Inner\nparams:\n  balancer: {kind: balancer, required: true}\nsteps:\n"
    '  - {id: "q", decide: {question: "On ${balancer}?", options: {go: continue, away: last}}, timeout: 1m}\n'
    "  - {id: mid, wait: 1s}\n  - {id: last, wait: 1s}\n"
)


def test_a_runbook_inside_is_laid_out_with_its_own_parameters() -> None:
    inner = lint(INNER)
    text = HEAD + (
        "  - id: each-one\n    each: ${service.balancers}\n    as: edge\n    steps:\n"
        '      - {id: part, runbook: inner, with: {balancer: "${edge}"}}\n'
    )
    found = laid_out(text, books={"inner": inner})
    assert ids(found)[:3] == ["each-one.e1.part.q", "each-one.e1.part.mid", "each-one.e1.part.last"]
    asked = found.steps[0]
    assert asked.step.decide is not None
    assert asked.step.decide.question == "On e1?"
    assert dict(asked.options) == {"go": "continue", "away": "each-one.e1.part.last"}
    outer = lint(text, inner=inner)
    changed = lint(INNER.replace("wait: 1s", "wait: 2s"))
    assert whole_hash(outer, {"inner": inner}) != whole_hash(outer, {"inner": changed})
    assert whole_hash(inner, {"inner": inner}) == inner.hash


CALLS = "runbook: {0}\ntitle: T\nsteps:\n  - {{id: a, runbook: {1}}}\n"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ('{id: a, check: service.healthy, with: {service: "${service.backnd}"}}', "did you mean 'backend'?"),
        ('{id: a, check: service.healthy, with: {service: "${servce.backend}"}}', "did you mean 'service'?"),
        ('{id: a, check: service.healthy, with: {service: "${service.backend}"}}', "of kind service, not backend"),
        ('{id: a, wait: 1s, title: "${nobody}"}', "expected a parameter: service"),
        ('{id: a, wait: 1s, why: "${nobody}"}', "expected a parameter: service"),
        ('{id: a, each: "${service.backnds}", steps: [{id: b, wait: 1s}]}', "a field of a service"),
        ('{id: a, each: "x${service}", steps: [{id: b, wait: 1s}]}', "objects of the estate such as"),
        ('{id: a, each: [1, 1], steps: [{id: b, wait: 1s}]}', "each item once"),
        ('{id: a, each: [1], as: service, steps: [{id: b, wait: 1s}]}', "a name of its own"),
        ('{id: a, each: [1], order: standbys-first, steps: [{id: b, wait: 1s}]}', "the nodes of a database"),
        ('{id: a, each: [1]}', "steps: what is done for each item"),
        ('{id: a, wait: 1s, pace: 1s}', "on each only"),
        ('{id: a, each: [1], at_once: 2, steps: [{id: b, wait: 1s}, {id: c, wait: 1s}]}', "for a loop of one check"),
        ('{id: a, each: [1], steps: [{id: a, wait: 1s}]}', "each id once (first in line 6)"),
        ('{id: next, wait: 1s}', "an id other than"),
        ('{id: a, runbook: nobody}', "a runbook, but there is no other"),
        ('{id: a, runbook: case}', "does not lead back: case → case"),
        ('{id: a, wait: 1s, when: {check: service.healty, with: {service: shop}}}', "did you mean 'service.healthy'?"),
        ('{id: a, wait: 1s, when: {check: service.healthy, with: {service: shpo}}}', "did you mean 'shop'?"),
        ('{id: a, wait: 1s, when: {HEALTHY, unknown: continue}}', "nothing goes on"),
        ('{id: a, wait: 1s, when: {HEALTHY, passed: pause}}', "not all mean the same"),
        ('{id: a, wait: 1s, when: {HEALTHY, failed: next}}', "or the id of a later"),
        ('{id: a, wait: 1s, when: {HEALTHY, failed: a}}', "or the id of a later"),
        ('{id: a, parallel: [{id: b, wait: 1s, when: {HEALTHY}}]}', "when on the group"),
        ('{id: a, each: [1], steps: [{id: b, decide: {question: Q, options: {x: a}}}]}', "the id of a later"),
    ],
)  # fmt: skip
def test_what_lint_refuses(steps: str, message: str) -> None:
    written = steps.replace("HEALTHY", HEALTHY)
    assert message in problem(f"{HEAD}  - {written}\n")


def test_loops_have_an_end_and_so_has_their_depth() -> None:
    inner = "{id: c, wait: 1s}, {id: d, wait: 1s}, {id: e, wait: 1s}"
    assert "at most 200 steps" in problem(f"{HEAD}  - {nested(2, inner)}\n")
    assert "at most 5 runbooks and loops" in problem(f"{HEAD}  - {nested(6, inner)}\n")


def nested(depth: int, body: str) -> str:
    for level in range(depth):
        body = f"{{id: l{level}, as: i{level}, each: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], steps: [{body}]}}"
    return body if depth < 3 else body.replace("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "[1]")


def test_what_lint_says_of_runbooks_inside() -> None:
    inner = lint(INNER)
    call = HEAD + "  - {id: a, runbook: inner, with: {WITH}}\n"
    assert "did you mean 'balancer'?" in problem(call.replace("WITH", "balancr: e1"), inner=inner)
    assert "a balancer of the estate: e1 or w1" in problem(call.replace("WITH", "balancer: e"), inner=inner)
    assert "a balancer, not service" in problem(call.replace("WITH", 'balancer: "${service}"'), inner=inner)
    assert "a balancer, not many values" in problem(
        call.replace("WITH", 'balancer: "${service.balancers}"'), inner=inner
    )
    assert "a value for the parameter 'balancer'" in problem(HEAD + "  - {id: a, runbook: inner}\n", inner=inner)
    assert "did you mean 'inner'?" in problem(HEAD + "  - {id: a, runbook: iner}\n", inner=inner)
    one = Runbook.model_validate(parse_yaml(CALLS.format("one", "two"), "f").data)
    two = Runbook.model_validate(parse_yaml(CALLS.format("two", "one"), "f").data)
    assert "one → two → one" in problem(CALLS.format("one", "two"), one=one, two=two)


@pytest.mark.parametrize(
    ("default", "message"),
    [
        ("${service.balancers}", "one value, not many"),
        ("${service.database}", "a value of kind balancer, not database"),
        ("${service.balancer}", "did you mean 'balancers'?"),
        ("${other}", "does not lead back"),
        ("x${service}", "one name alone"),
    ],
)
def test_what_lint_says_of_derived_defaults(default: str, message: str) -> None:
    params = f'  other: {{kind: balancer, default: "{default}"}}\n'
    use = 'steps:\n  - {id: a, check: backend.floor, with: {balancer: "${other}", backend: shop, at_least: 1}}\n'
    assert message in problem(HEAD.replace("steps:\n", params) + use)


def test_what_an_estate_has_nothing_for_is_no_mistake_in_the_file() -> None:
    text = (
        "runbook: case\ntitle: Case\nparams:\n  service: {kind: service, required: true}\nsteps:\n"
        '  - {id: a, check: database.one-primary, with: {database: "${service.database}"}}\n'
    )
    assert unfit(lint(text, BARE), BARE, {}) == "the estate has no service"
    without = Estate.model_validate({**TREE, "services": {"help": TREE["services"]["help"]}})
    assert unfit(lint(text, without), without, {}) == "no service of the estate has a database"
    assert unfit(lint(text), ESTATES, {}) == ""
    caller = CALLS.format("caller", "case")
    inside = {"case": lint(text, BARE)}
    assert unfit(lint(caller, BARE, **inside), BARE, inside) == "case: the estate has no service"


def test_the_only_name_that_fits_is_the_default_and_of_two_none() -> None:
    text = (
        "runbook: case\ntitle: Case\nparams:\n  service: {kind: service, required: true}\nsteps:\n"
        '  - {id: a, check: service.healthy, with: {service: "${service}"}}\n'
    )
    with pytest.raises(ConfigError, match="a value for the parameter 'service'"):
        laid_out(text)
    only = text + '  - {id: b, check: database.one-primary, with: {database: "${service.database}"}}\n'
    assert laid_out(only).steps[0].step.args == {"service": "shop"}  # help has no database


def test_stand_ins_for_roles_are_nodes() -> None:
    assert any_node(ESTATES)("orders") == "n1"


def test_a_loop_over_nothing_is_refused_or_left_out_as_its_author_says() -> None:
    text = (
        "runbook: case\ntitle: Case\nparams:\n  service: {kind: service, required: true}\nsteps:\n"
        "  - {id: first, wait: 1s}\n"
        "  - id: bases\n    each: ${service.databases}\n    IF\n    steps:\n"
        '      - {id: one, check: database.one-primary, with: {database: "${item}"}}\n'
        "  - {id: last, wait: 1s}\n"
    )
    skips, refuses = text.replace("IF", "if_none: skip"), text.replace("    IF\n", "")
    assert ids(laid_out(skips, service="help")) == ["first", "last"]
    assert ids(laid_out(skips, service="shop")) == ["first", "bases.orders.one", "last"]
    with pytest.raises(ConfigError, match="something to go over, but there is none"):
        laid_out(refuses, service="help")
    without = Estate.model_validate({**TREE, "services": {"help": TREE["services"]["help"]}})
    assert unfit(lint(refuses, without), without, {}) == "no service of the estate has a databases"
    assert unfit(lint(skips, without), without, {}) == "", "what may be left out is not asked for"
    only = skips.replace("  - {id: first, wait: 1s}\n", "").replace("  - {id: last, wait: 1s}\n", "")
    with pytest.raises(ConfigError, match="at least one step"):
        laid_out(only, service="help")


def test_what_is_derived_is_asked_for_only_where_something_uses_it() -> None:
    text = (
        "runbook: case\ntitle: Case\nservice: ${service}\nparams:\n"
        '  service: {kind: service, default: "${database.service}"}\n'
        "  database: {kind: database, required: true}\n"
        'steps:\n  - {id: a, check: database.one-primary, with: {database: "${database}"}}\n'
        "  - id: works\n    each: ${service}\n    if_none: skip\n    steps:\n"
        '      - {id: healthy, check: service.healthy, with: {service: "${item}"}}\n'
    )
    alone = Estate.model_validate({**TREE, "services": {}})
    assert unfit(lint(text, alone), alone, {}) == ""
    found = expand(lint(text, alone), {}, alone, {}, any_node(alone))
    assert (ids(found), found.service) == (["a"], "")
    assert ids(laid_out(text)) == ["a", "works.shop.healthy"]
    used = text + '  - {id: b, check: service.healthy, with: {service: "${service}"}}\n'
    assert unfit(lint(used, alone), alone, {}) == "the estate has no service"


MANY = (
    "runbook: case\ntitle: Case\nparams:\n  servers: {kind: server, many: true, required: true}\nsteps:\n"
    "  - id: all\n    each: ${servers}\n    as: server\n    steps:\n"
    '      - {id: d, title: "One of ${servers}", check: server.drained, '
    'with: {balancer: e1, backend: shop, server: "${server}"}}\n'
)


def test_a_parameter_of_many_names_is_gone_over_by_a_loop() -> None:
    found = laid_out(MANY, servers="blue, green")
    assert ids(found) == ["all.blue.d", "all.green.d"]
    assert [each.step.args["server"] for each in found.steps] == ["blue", "green"]
    assert found.steps[0].step.title == "One of blue, green"
    for wrong, said in (("blue,,green", "one or more names"), ("blue,blue", "each name once"), ("-x", "one or more")):
        with pytest.raises(ConfigError, match=said):
            laid_out(MANY, servers=wrong)
    assert "one server, not many" in problem(MANY.replace('"${server}"}}', '"${servers}"}}'))
    assert "many: for names" in problem(MANY.replace("kind: server, many", "kind: number, many"))
    assert "if_none" in problem(f"{HEAD}  - {{id: a, wait: 1s, if_none: skip}}\n")
