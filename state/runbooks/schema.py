"""The JSON Schema of a runbook file, for editors: keys, kinds of steps and their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from state.estate.schema import DRAFT, AsWritten, tidy
from state.runbooks.kinds import StepKinds
from state.runbooks.model import Runbook

PLACEHOLDER = {"type": "string", "pattern": r"\$\{"}


def runbook_schema(changes: StepKinds, checks: StepKinds) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a runbook with these kinds of changes and checks."""
    schema = tidy(Runbook.model_json_schema(schema_generator=AsWritten))
    definitions = schema["$defs"]
    step, condition = definitions["Step"], definitions["Condition"]
    step["properties"]["change"] = {"enum": sorted(changes)}
    step["allOf"] = [*_arguments("change", changes, definitions), *_arguments("check", checks, definitions)]
    step["properties"]["check"] = condition["properties"]["check"] = {"enum": sorted(checks)}
    condition["allOf"] = _arguments("check", checks, definitions)
    return {"$schema": DRAFT, **schema}


def _arguments(word: str, kinds: StepKinds, definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """For each kind the arguments that `with` has then; each may be a parameter."""
    found = []
    for name, kind in sorted(kinds.items()):
        prefix = f"{name}-"
        args = tidy(kind.args.model_json_schema(schema_generator=AsWritten, ref_template=f"#/$defs/{prefix}{{model}}"))
        definitions.update({prefix + inner: value for inner, value in args.pop("$defs", {}).items()})
        args["properties"] = {n: _or_parameter(value) for n, value in args.get("properties", {}).items()}
        found.append({"if": _is(word, name), "then": {"properties": {"with": args}}})
    return found


def _is(word: str, name: str) -> Mapping[str, Any]:
    return {"properties": {word: {"const": name}}, "required": [word]}


def _or_parameter(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, PLACEHOLDER]}
