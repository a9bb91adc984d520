"""Parameters of runbooks: their valid values, and typed values from the input."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from state.config_files.explain import NAME_PATTERN, NAME_RULE, OBJECT_PATTERN, OBJECT_RULE
from state.config_files.paths import Path
from state.config_files.quantities import UNITS
from state.config_files.suggestions import one_of
from state.estate.entry import MOST_SECONDS, Entry
from state.units import parse_duration, parse_size

ParamKind = Literal[
    "service",
    "balancer",
    "backend",
    "server",
    "database",
    "node",
    "zone",
    "site",
    "colour",
    "fault",
    "text",
    "number",
    "duration",
    "size",
    "choice",
]
NAMES = frozenset({"service", "balancer", "backend", "server", "database", "node", "zone", "site", "colour", "fault"})
"""Kinds whose values are names, which become part of commands to targets."""
OBJECTS = frozenset({"backend", "server", "colour"})
"""Those of them that a balancer names."""

FOLLOWERS: Mapping[str, frozenset[str]] = {
    "service": frozenset({"backend", "balancer", "colour", "server", "database"}),
    "database": frozenset({"node"}),
}
"""Which kinds of parameter can follow one of a kind."""

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}?")
_QUANTITIES = {"duration": parse_duration, "size": parse_size}
_LONGEST_TEXT = 500


class ParamSpec(Entry):
    """One parameter: its kind, a default as it is written, and the values it may have.

    `required` without a default: a value must be given. Not required and without a default: no value is passed on.
    `of` is the parameter it follows: its value belongs to the service or database that is given there. A default such
    as `${service.backend}` is derived from another parameter. `many`: several names with commas between, for a loop.
    """

    kind: ParamKind
    title: str = Field(default="", max_length=120)
    default: str | int | float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False
    of: str = ""
    many: bool = False

    @model_validator(mode="after")
    def _many_names(self) -> ParamSpec:
        if self.many and (self.kind not in NAMES or self.of or self.choices or self.default is not None):
            raise ValueError("many: for names that are given, without of, choices and default")
        return self

    @property
    def derived(self) -> tuple[str, ...]:
        """The names in its default: `${service.backend}` has one."""
        return tuple(name for _, name in placeholders_in(self.default, ()))

    @property
    def expected(self) -> str:
        """What a valid value is."""
        if self.choices:
            return one_of(self.choices)
        if self.many:
            return f"one or more names, each a {self.kind}, with commas between"
        quantity = _QUANTITIES.get(self.kind)
        if quantity is not None:
            return UNITS[quantity]
        return {"number": "a number", "text": "text", "choice": "one of its choices"}.get(self.kind, f"a {self.kind}")


def convert(spec: ParamSpec, value: Any) -> str | int | float | tuple[str, ...]:
    """The typed value: text, a number, seconds, or many names; a size stays text, as its argument reads it.

    Raises ValueError saying what was expected.
    """
    if spec.many and isinstance(value, str):
        return _names(spec, value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(spec.expected)
    text = str(value)
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"at most {_LONGEST_TEXT} characters")
    if spec.choices and text not in spec.choices:
        raise ValueError(spec.expected)
    if spec.kind == "number":
        return _number(text)
    if spec.kind == "duration":
        return _duration(text)
    if spec.kind == "size":
        return _size(text)
    pattern, rule = _name_rule(spec)
    if spec.kind in NAMES and not re.fullmatch(pattern, text):
        raise ValueError(rule)
    if spec.kind == "choice" and not spec.choices:
        raise ValueError("a parameter that has choices")
    return text


def _name_rule(spec: ParamSpec) -> tuple[str, str]:
    """The pattern and the words of a parameter that is a name."""
    return (OBJECT_PATTERN, OBJECT_RULE) if spec.kind in OBJECTS else (NAME_PATTERN, NAME_RULE)


def _names(spec: ParamSpec, text: str) -> tuple[str, ...]:
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"at most {_LONGEST_TEXT} characters")
    names = [name.strip() for name in text.split(",")]
    pattern, rule = _name_rule(spec)
    if not all(re.fullmatch(pattern, name) for name in names):
        raise ValueError(f"{spec.expected}; {rule}")
    if len(set(names)) < len(names):
        raise ValueError("each name once")
    return tuple(names)


def _size(text: str) -> str:
    try:
        parse_size(text)
    except (ValueError, OverflowError):  # more digits than a float can have
        raise ValueError(UNITS[parse_size]) from None
    return text


def _number(text: str) -> int | float:
    try:
        if not text.isascii() or "_" in text:
            raise ValueError
        value = float(text)
        if not math.isfinite(value):
            raise ValueError
        return int(text) if re.fullmatch(r"[-+]?[0-9]{1,18}", text) else value
    except ValueError:
        raise ValueError("a number") from None


def _duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise ValueError(UNITS[parse_duration]) from None
    if not 0 < seconds <= MOST_SECONDS:
        raise ValueError("a duration above zero, at most 366d")
    return seconds


def placeholders_in(value: Any, path: Path) -> list[tuple[Path, str]]:
    """The name in every `${name}` of a value, with its path; an unclosed `${` counts as one."""
    if isinstance(value, str):
        return [(path, found[1]) for found in _PLACEHOLDER.finditer(value)]
    if isinstance(value, Mapping):
        return [found for key, item in value.items() for found in placeholders_in(item, (*path, key))]
    if isinstance(value, list | tuple):
        return [found for index, item in enumerate(value) for found in placeholders_in(item, (*path, index))]
    return []


def substitute(value: Any, values: Mapping[str, Any]) -> Any:
    """The value with parameters replaced. Alone, `${name}` keeps the parameter's type; inside text it is text.

    The value of a parameter is not searched for parameters. Raises KeyError for a parameter without a value.
    """
    if isinstance(value, str):
        alone = _PLACEHOLDER.fullmatch(value)
        if alone:
            return values[alone[1]]
        return _PLACEHOLDER.sub(lambda found: _as_text(values[found[1]]), value)
    if isinstance(value, Mapping):
        return {key: substitute(item, values) for key, item in value.items()}
    return [substitute(item, values) for item in value] if isinstance(value, list | tuple) else value


def _as_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
