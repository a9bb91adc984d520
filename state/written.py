"""What files say against the models: units as text, and pydantic's findings as words with their places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails

from state.errors import Problem
from state.literals import shown
from state.located import Located, Path
from state.near import nearest, one_of
from state.units import parse_duration, parse_ratio, parse_size

UNITS: Mapping[Any, str] = {
    parse_duration: "a duration such as 500ms, 5s, 15m, 1h30m or 1d",
    parse_size: "a size such as 512B, 64kB, 1.5MB or 2GB",
    parse_ratio: "a share from 0 to 100%, such as 1% or 0.01",
}
_BASE_UNIT: Mapping[Any, str] = {parse_duration: "s", parse_size: "B", parse_ratio: ""}
_LONGEST_UNIT = 40  # more digits than any quantity needs would overflow a float
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
NAME_WORDS = "a name of letters, digits, dot, dash and underscore, at most 63 characters"


@dataclass(slots=True)
class Written:
    """Data ready for its model, with the unit expected at a path and the model found at a path."""

    data: Any = None
    units: dict[Path, str] = field(default_factory=dict)
    models: dict[Path, type[BaseModel]] = field(default_factory=dict)


def written_for(model: type[BaseModel], data: Any, *, bare_numbers: bool = False) -> Written:
    """The data with every quantity as text, as its parser wants it.

    A bare number is refused later by the parser (15 of what?), unless `bare_numbers` says that it is in the base
    unit: seconds, bytes, a ratio.
    """
    written = Written()
    written.data = _prepare(written, model, (), data, (), bare_numbers)
    return written


def _prepare(written: Written, kind: Any, metadata: Sequence[Any], value: Any, path: Path, bare: bool) -> Any:
    parser = next((m.func for m in metadata if isinstance(m, BeforeValidator) and m.func in UNITS), None)
    if parser is not None:
        written.units[path] = UNITS[parser]
        return _quantity(value, _BASE_UNIT[parser] if bare else "")
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _prepare(written, arguments[0], arguments[1:], value, path, bare)
    if origin is Union or origin is UnionType:
        arms = [arm for arm in arguments if arm is not type(None)]
        return value if value is None or len(arms) != 1 else _prepare(written, arms[0], (), value, path, bare)
    if isinstance(value, dict):
        return _prepare_mapping(written, kind, arguments, value, path, bare)
    if isinstance(value, list) and arguments and isclass(origin) and issubclass(origin, Sequence):
        return [_prepare(written, arguments[0], (), v, (*path, i), bare) for i, v in enumerate(value)]
    # Python counts true as 1; a file that says `tier: true` is wrong.
    return str(value).lower() if isinstance(value, bool) and kind in {int, float} else value


def _prepare_mapping(
    written: Written, kind: Any, arguments: tuple[Any, ...], value: dict[str, Any], path: Path, bare: bool
) -> Any:
    if isclass(kind) and issubclass(kind, BaseModel):
        written.models[path] = kind
        fields = {f.alias or name: f for name, f in kind.model_fields.items()}
        return {
            key: _prepare(written, fields[key].annotation, fields[key].metadata, item, (*path, key), bare)
            if key in fields
            else item
            for key, item in value.items()
        }
    if len(arguments) == 2:
        return {k: _prepare(written, arguments[1], (), v, (*path, k), bare) for k, v in value.items()}
    return value


def _quantity(value: Any, base_unit: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return shown((), value)
    text = value if isinstance(value, str) else f"{value}{base_unit}"
    return text if len(text) <= _LONGEST_UNIT else f"{text[:_LONGEST_UNIT]}…"


def explain(
    located: Located, error: ValidationError, written: Written, under: Path = (), known: Iterable[str] = ()
) -> list[Problem]:
    """Pydantic's findings in human words, at their places. `under` is where the model's data stands in the file;
    `known` are further keys allowed at its top."""
    return [_explain_one(located, each, written, under, known) for each in error.errors(include_url=False)]


def _explain_one(
    located: Located, error: ErrorDetails, written: Written, under: Path, known: Iterable[str]
) -> Problem:
    at_key = bool(error["loc"]) and error["loc"][-1] == "[key]"
    inner: Path = error["loc"][:-1] if at_key else error["loc"]
    path = (*under, *inner)
    kind, last = error["type"], str(inner[-1]) if inner else ""
    if kind == "extra_forbidden":
        model = written.models.get(inner[:-1])
        names = {f.alias or name for name, f in model.model_fields.items()} if model else set()
        names |= set(known) if len(inner) == 1 else set()
        return located.problem(
            path, f"key {last!r}", f"one of the keys {one_of(names)}", nearest(last, names), key=True
        )
    if kind == "missing":
        return located.problem(path, "", f"the key {last!r}{_inside(path)}")
    if at_key:
        return located.problem(path, shown((), inner[-1]), NAME_WORDS, key=True)
    expected, names = _expected(error, written.units.get(inner))
    found = error["input"]
    close = nearest(found, names) if isinstance(found, str) else ""
    return located.problem(path, shown(path, found), expected, close)


def _inside(path: Path) -> str:
    return f" in {'.'.join(map(str, path[:-1]))}" if len(path) > 1 else ""


_SHAPES = {
    "string_type": "text (numbers and true or false need quotes)",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "model_type": "a mapping of keys and values",
    "model_attributes_type": "a mapping of keys and values",
    "dict_type": "a mapping of keys and values",
    "mapping_type": "a mapping of keys and values",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_unicode": "text",
}
_LIMITS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "at most {}"),
    "string_too_long": ("max_length", "at most {} characters"),
    "string_too_short": ("min_length", "at least {} characters"),
    "too_long": ("max_length", "at most {} entries"),
    "too_short": ("min_length", "at least {} entries"),
}


def _expected(error: ErrorDetails, unit: str | None) -> tuple[str, list[str]]:
    """What belongs there in words, and the valid names where it is a choice."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _SHAPES:
        return _SHAPES[kind], []
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        limit = words.format(f"{context[name]:g}" if isinstance(context[name], float) else context[name])
        return (f"{unit}, {limit}" if unit else limit), []
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", context["expected"])
        return f"{one_of(names)}", names
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return (NAME_WORDS if pattern == NAME_PATTERN else f"text like {pattern}"), []
    if unit:
        return unit, []
    return str(context.get("error", error["msg"])).removeprefix("Input should be "), []
