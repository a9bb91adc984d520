"""Parameters that follow others: recomputed over any number of them, in whatever order they are declared."""

from __future__ import annotations

from typing import Any

import pytest

from state.api.views.runbooks import Param, value_of
from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.config_files.located import Located
from state.errors import ConfigError, UnsuitableArgument
from state.estate.model import Estate
from state.planning.library import Library
from state.runbooks.parse import lint_runbook
from state.runbooks.related import any_node
from tests.support.small_estate import ESTATE, runbook


def _database(nodes: tuple[str, ...]) -> dict[str, Any]:
    return {"kind": "patroni", "rpo": "1MB", "nodes": {n: {"site": "east"} for n in nodes}}


def _service(database: str, **more: Any) -> dict[str, Any]:
    return {**ESTATE["services"]["shop"], "depends_on": [database], **more}


TREE = {
    **ESTATE,
    "services": {
        "shop": _service("orders"),
        "help": _service("tickets", traffic={"balancers": ["edge"], "backend": "desk"}),
    },
    "databases": {"orders": _database(("o1", "o2")), "tickets": _database(("t1", "t2"))},
}
STEPS = [
    {"id": "c", "check": "database.leader", "with": {"database": "${database}", "node": "${node}"}},
    {"id": "h", "check": "service.healthy", "with": {"service": "${service}"}},
]
PARAMS: dict[str, Any] = {
    "service": {"kind": "service", "default": "shop"},
    "database": {"kind": "database", "of": "service"},
    "node": {"kind": "node", "of": "database", "default": "o1", "required": True},
}


@pytest.fixture(scope="module")
def estate() -> Estate:
    return Estate.model_validate(TREE)


def book(order: list[str]) -> dict[str, Any]:
    params = {name: PARAMS[name] for name in order}
    return {"runbook": "case", "title": "Case", "service": "${service}", "params": params, "steps": STEPS}


@pytest.mark.parametrize("order", [[*PARAMS], [*reversed(PARAMS)], ["node", "service", "database"]])
def test_what_follows_is_recomputed_whatever_the_order(estate: Estate, order: list[str]) -> None:
    made = lint_runbook(Located(book(order), "case.yaml"), estate, change_kinds(), check_kinds())[0]
    library = Library({"case": made}, estate, {})

    def leads(**given: str) -> tuple[str, str]:
        args = library.draft("case", given, any_node(estate)).steps[0].args
        return args["database"], args["node"]

    assert leads() == ("orders", "o1")
    assert leads(service="help", node="t2") == ("tickets", "t2")
    with pytest.raises(ConfigError, match="node: a node of tickets: t1 or t2"):
        leads(service="help")
    with pytest.raises(ConfigError, match="node: a node of tickets: t1 or t2"):
        leads(service="help", node="o2")
    with pytest.raises(ConfigError, match="database: a database of help: tickets"):
        leads(service="help", database="orders")


def test_forms_and_completion_know_the_names_that_belong(estate: Estate) -> None:
    rows = Library({"case": runbook(book([*reversed(PARAMS)]))}, estate, {}).rows()["case"].params
    params = {param.name: param for param in rows}
    assert [params[name].default for name in ("service", "database", "node")] == ["shop", "orders", "o1"]
    assert params["database"].names("help") == ("tickets",)
    assert params["node"].names("tickets") == ("t1", "t2")
    assert [value_of(params, {"service": "help"}, n) for n in ("service", "database", "node")] == [
        "help",
        "tickets",
        "",
    ]
    assert value_of(params, {"service": "help", "node": "t2"}, "node") == "t2"
    assert value_of(params, {}, "of nobody") == ""


def test_a_name_that_follows_nothing_has_all_names() -> None:
    assert Param("zone", "zone", "", ("a", "b"), False).names("") == ("a", "b")


@pytest.mark.parametrize(("given", "refused"), [("-5", True), ("0", True), ("1", False)])
def test_a_check_that_could_never_be_asked_is_refused_with_the_plan(estate: Estate, given: str, refused: bool) -> None:
    data = {
        "runbook": "case",
        "title": "Case",
        "params": {"remain": {"kind": "number", "default": 1}},
        "steps": [
            {
                "id": "f",
                "check": "backend.floor",
                "with": {"balancer": "edge", "backend": "shop", "at_least": "${remain}"},
            }
        ],
    }
    library = Library({"case": runbook(data)}, estate, {})
    if refused:
        with pytest.raises(UnsuitableArgument, match=r"backend\.floor: at_least: .* greater than or equal to 1"):
            library.draft("case", {"remain": given}, any_node(estate))
    else:
        assert library.draft("case", {"remain": given}, any_node(estate)).steps[0].args["at_least"] in (1, "1")
