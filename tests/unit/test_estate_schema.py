"""The JSON Schema for editors: current, true to the example, and as strict as the models about keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.files.read import read_yaml
from adapters.registry import kinds
from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.estate.parse import parse_estate
from state.estate.schema import estate_schema
from state.runbooks.schema import runbook_schema

CONFIG = Path(__file__).parents[2] / "config"
TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
    "number": (int, float),
}  # fmt: skip


class Checker:
    """As much of JSON Schema as an estate's schema uses. Yields the paths of what does not fit."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root

    def errors(self, schema: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
        if "$ref" in schema:
            yield from self.errors(self.root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, path)
        for key, fits in (("anyOf", lambda n: n > 0), ("oneOf", lambda n: n == 1)):
            if key in schema and not fits(sum(not [*self.errors(each, value)] for each in schema[key])):
                yield f"{path} {key}"
        yield from (f"{path} {rule}" for rule, holds in self.scalar_rules(schema, value) if not holds)
        for each in schema.get("allOf", ()):
            if not [*self.errors(each["if"], value)]:
                yield from self.errors(each["then"], value, path)
        if isinstance(value, dict):
            yield from self.object_errors(schema, value, path)
        if isinstance(value, list) and isinstance(schema.get("items"), dict):
            for index, item in enumerate(value):
                yield from self.errors(schema["items"], item, f"{path}[{index}]")

    def scalar_rules(self, schema: dict[str, Any], value: Any) -> Iterator[tuple[str, bool]]:
        wanted = schema.get("type")
        yield (
            "type",
            wanted is None or (isinstance(value, TYPES[wanted]) and (value is not True or wanted == "boolean")),
        )
        yield "enum", value in schema.get("enum", [value])
        yield "const", value == schema.get("const", value)
        if isinstance(value, str):
            yield "pattern", re.search(schema.get("pattern", ""), value) is not None
        if isinstance(value, int | float):
            yield "range", schema.get("minimum", value) <= value <= schema.get("maximum", value)

    def object_errors(self, schema: dict[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
        known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        yield from (f"{path}.{name} missing" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            named = [s for pattern, s in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
            if name in known or named:
                yield from self.errors(known.get(name) or named[0], item, f"{path}.{name}")
            elif isinstance(more, dict):
                yield from self.errors(more, item, f"{path}.{name}")
            elif not more:
                yield f"{path}.{name} unknown"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return estate_schema(kinds())


def test_the_shipped_schema_is_current(schema: dict[str, Any]) -> None:
    shipped = (CONFIG / "schema.json").read_text()
    assert json.loads(shipped) == schema, "write it anew with: recovery schema > config/schema.json"


def test_the_example_is_valid(schema: dict[str, Any]) -> None:
    located = read_yaml(CONFIG / "recovery.yaml")
    assert [*Checker(schema).errors(schema, located.data)] == []
    assert parse_estate(located, kinds()).estate == "eu-shop"


@pytest.mark.parametrize(
    ("section", "key", "value", "finding"),
    [
        ("services", "checkout", {"teir": 1}, ".services.checkout.teir unknown"),
        ("services", "checkout", {"tier": "1", "rto": 15, "rpo": "1"}, ".services.checkout.rto type"),
        ("services", "checkout", {"rpo": "lots"}, ".services.checkout.rpo pattern"),
        ("balancers", "edge-east", {"kind": "haproxy", "site": "east"}, ".balancers.edge-east oneOf"),
        ("people", "u1", {"roles": ["boss"]}, ".people.u1.roles[0] enum"),
        ("polling", "every", 1, ".polling.every type"),
        ("sites", "no name", {}, ".sites.no name unknown"),
    ],
)
def test_mistakes_show_while_typing(
    schema: dict[str, Any], section: str, key: str, value: object, finding: str
) -> None:
    data = read_yaml(CONFIG / "recovery.yaml").data
    data[section][key] = value
    assert finding in [*Checker(schema).errors(schema, data)]


@pytest.fixture(scope="module")
def of_runbooks() -> dict[str, Any]:
    return runbook_schema(change_kinds(), check_kinds())


def test_the_shipped_schema_of_runbooks_is_current(of_runbooks: dict[str, Any]) -> None:
    shipped = (CONFIG / "runbook.schema.json").read_text()
    wanted = "write it anew with: recovery schema --runbook > config/runbook.schema.json"
    assert json.loads(shipped) == of_runbooks, wanted


@pytest.mark.parametrize("path", sorted((CONFIG / "runbooks").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_runbooks_are_valid(of_runbooks: dict[str, Any], path: Path) -> None:
    assert [*Checker(of_runbooks).errors(of_runbooks, read_yaml(path).data)] == []


@pytest.mark.parametrize(
    ("step", "finding"),
    [
        ({"id": "a", "check": "service.healty"}, ".check enum"),
        ({"id": "a", "check": "service.healthy", "with": {"servce": "x"}}, ".with.servce unknown"),
        ({"id": "a", "change": "server.weight", "with": {"balancer": "b", "weight": "many"}}, ".with.weight anyOf"),
        ({"id": "a", "wait": 5}, ".wait anyOf"),
        ({"id": "a", "wate": "5s"}, ".wate unknown"),
        ({"id": "a", "each": ["x"], "steps": [{"id": "b", "check": "nothing"}]}, ".check enum"),
        ({"id": "a", "wait": "5s", "when": {"check": "service.healthy", "with": {"x": 1}}}, ".when"),
    ],
)
def test_mistakes_in_runbooks_show_while_typing(
    of_runbooks: dict[str, Any], step: dict[str, Any], finding: str
) -> None:
    found = [*Checker(of_runbooks).errors(of_runbooks, {"runbook": "r", "title": "R", "steps": [step]})]
    assert any(finding in each for each in found), found


def test_every_reference_leads_somewhere(schema: dict[str, Any], of_runbooks: dict[str, Any]) -> None:
    for each in (schema, of_runbooks):
        named = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(each)))
        assert named <= set(each["$defs"])
