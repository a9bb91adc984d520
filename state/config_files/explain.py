"""Pydantic's findings as messages for people, each with its place in the file."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from state.config_files.literal_secrets import shown
from state.config_files.located import Located
from state.config_files.paths import Path, at
from state.config_files.quantities import UNITS, Written
from state.config_files.suggestions import nearest, one_of
from state.errors import Problem
from state.units import parse_duration

DAY = 86_400.0
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
NAME_RULE = "a name of letters, digits, dot, dash and underscore, at most 63 characters"
OBJECT_PATTERN = r"^[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,254}$"
"""Names that a balancer gives to its backends and servers (HAProxy configuration manual 2.2); none begins with a dash,
which would be an option of a command."""
OBJECT_RULE = "a name as the balancer has it: letters, digits, dot, dash, underscore and colon, at most 255 characters"
TABLE_PATTERN = r"^[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,126}(/[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,126})?$"
"""Names of stick tables: of one in a section `peers` behind the section's (HAProxy configuration manual, `table`)."""
TABLE_RULE = "a table's name as `show table` has it: the proxy's, or PEERS/TABLE"
_NAME_RULES = {NAME_PATTERN: NAME_RULE, OBJECT_PATTERN: OBJECT_RULE, TABLE_PATTERN: TABLE_RULE}


def explain(
    located: Located, error: ValidationError, written: Written, under: Path = (), open_at: Collection[Path] = ()
) -> list[tuple[Path, Problem]]:
    """Pydantic's findings as messages, with path and place. `under` is the path of the model's data in the file. Below
    the paths `open_at` the valid keys are not known, so no key there is reported as unknown."""
    found = error.errors(include_url=False)
    if open_at:
        found = [e for e in found if e["type"] != "extra_forbidden" or not _below(e["loc"], open_at)]
    told: list[tuple[Path, Problem]] = []
    wanted: dict[Path, list[str]] = {}
    for each in found:
        path = _written_at(located, each, under)
        if path is None:
            told.append(_explain_one(located, each, written, under))
        else:
            wanted.setdefault(path, []).append(_expected(each, None)[0])
    return told + [(path, _of_one_kind(located, path, kinds)) for path, kinds in wanted.items()]


def _written_at(located: Located, error: ErrorDetails, under: Path) -> Path | None:
    """Where the value is that fits none of several kinds; None for other findings. The path of such a finding ends with
    the kind."""
    path: Path = (*under, *error["loc"])
    if error["type"] not in _SHAPES or not path or not isinstance(path[-1], str):
        return None
    around = at(located.data, path[:-1])
    return None if around is None or (isinstance(around, dict) and path[-1] in around) else path[:-1]


def _of_one_kind(located: Located, path: Path, kinds: list[str]) -> Problem:
    """One finding in place of one for each kind."""
    names = dict.fromkeys("text" if each.startswith("text") else each for each in kinds)
    if "a number" in names:
        names.pop("a whole number", None)
    *others, last = names
    expected = f"{', '.join(others)} or {last}" if others else last
    return located.problem(path, shown(path, at(located.data, path)), expected)


def _below(path: Path, places: Collection[Path]) -> bool:
    return any(path[: len(place)] == place for place in places)


def _explain_one(located: Located, error: ErrorDetails, written: Written, under: Path) -> tuple[Path, Problem]:
    at_key = bool(error["loc"]) and error["loc"][-1] == "[key]"
    inner: Path = error["loc"][:-1] if at_key else error["loc"]
    path = (*under, *inner)
    kind, last = error["type"], str(inner[-1]) if inner else ""
    if kind == "extra_forbidden":
        model = written.models.get(inner[:-1])
        names = {f.alias or name for name, f in model.model_fields.items()} if model else set()
        return path, located.problem(
            path, f"key {last!r}", f"one of the keys {one_of(names)}", nearest(last, names), key=True
        )
    if kind == "missing":
        return path, located.problem(path, "", f"the key {last!r}{_inside(path)}")
    if at_key:
        return path, located.problem(path, shown((), inner[-1]), NAME_RULE, key=True)
    expected, choices = _expected(error, written.units.get(inner))
    found = at(located.data, path)
    close = nearest(found, choices) if isinstance(found, str) else ""
    return path, located.problem(path, shown(path, found), expected, close)


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


def _limit(value: Any, unit: str | None) -> str:
    """A limit as it would be written in the file."""
    if unit == UNITS[parse_duration] and value >= DAY:
        return f"{value / DAY:g}d"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _expected(error: ErrorDetails, unit: str | None) -> tuple[str, list[str]]:
    """The expected value as text, and the valid names where it is a choice."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _SHAPES:
        return _SHAPES[kind], []
    if kind in _LIMITS:
        name, message = _LIMITS[kind]
        limit = message.format(_limit(context[name], unit))
        return (f"{unit}, {limit}" if unit else limit), []
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", context["expected"])
        return f"{one_of(names)}", names
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return _NAME_RULES.get(pattern, f"text like {pattern}"), []
    if unit:
        return unit, []
    return str(context.get("error", error["msg"])).removeprefix("Input should be "), []
