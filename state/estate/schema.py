"""The JSON Schema of an estate, for editors: completion and a first check while typing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import BeforeValidatorFunctionSchema

from state.estate.model import Estate, Kinds
from state.estate.parse import ADAPTED
from state.units import parse_duration, parse_ratio, parse_size

_QUANTITIES: dict[Any, JsonSchemaValue] = {
    parse_duration: {
        "type": "string",
        "pattern": r"^\s*([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+\s*$",
        "description": "A duration: 500ms, 5s, 15m, 1h30m, 1d",
    },
    parse_size: {
        "type": "string",
        "pattern": r"^\s*[0-9]+(\.[0-9]+)? ?[kKMGT]?B\s*$",
        "description": "A size, decimal: 512B, 64kB, 1.5MB, 2GB",
    },
    parse_ratio: {
        "anyOf": [
            {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)? ?%?\s*$"},
            {"type": "number", "minimum": 0, "maximum": 1},
        ],
        "description": "A share: 1% or 0.01",
    },
}


class AsWritten(GenerateJsonSchema):
    """Quantities as people write them; defaults of quantities are in base units and left out."""

    def function_before_schema(self, schema: BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        quantity = _QUANTITIES.get(schema["function"]["function"])
        return dict(quantity) if quantity else super().function_before_schema(schema)

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


DRAFT = "https://json-schema.org/draft/2020-12/schema"


def estate_schema(kinds: Kinds) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of an estate file with the options of these adapters."""
    schema = Estate.model_json_schema(schema_generator=AsWritten)
    definitions = schema["$defs"]
    for common in ADAPTED.values():
        variants = list(_variants(common.section, kinds, definitions))
        if variants:
            description = definitions[common.__name__].get("description", "")
            definitions[common.__name__] = {"description": description, "oneOf": variants}
    return {"$schema": DRAFT, **tidy(schema)}


def tidy(node: Any) -> Any:
    """Without limits in base units, which do not apply to text; keys of mappings must be names."""
    if isinstance(node, list):
        return [tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {k: tidy(v) for k, v in node.items() if not (k in {"gt", "ge", "lt", "le"} and isinstance(v, int | float))}
    return {**kept, "additionalProperties": False} if "patternProperties" in kept else kept


def _variants(section: str, kinds: Kinds, definitions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entry of every adapter of the section."""
    for (role, kind), model in sorted(kinds.items(), key=lambda item: item[0]):
        if role != section:
            continue
        prefix = f"{section}-{kind}-"
        entry = model.model_json_schema(schema_generator=AsWritten, ref_template=f"#/$defs/{prefix}{{model}}")
        definitions.update({prefix + name: value for name, value in entry.pop("$defs", {}).items()})
        entry["properties"]["kind"] = {"const": kind}
        del entry["title"]
        yield entry
