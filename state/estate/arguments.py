"""Parameters of an estate's own commands, calls and statements: typed values, and the texts they become part of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field, StrictFloat, StrictInt, StrictStr, field_validator

from state.config_files.explain import NAME_PATTERN, NAME_RULE
from state.config_files.suggestions import nearest, one_of
from state.estate.entry import Entry

Value = StrictStr | StrictInt | StrictFloat
"""A value as it is written; true and false are none."""
ArgKind = Literal["choice", "name", "number", "text"]
LONGEST = 2000
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}?")


class ArgSpec(Entry):
    """One parameter: its kind and its valid values; without a default, a value must be given.

    `pattern` is a regular expression for the whole value. `dash`: in a command's argument that begins with it, the
    value may begin with a dash; else that is refused, as it would be read as an option.
    """

    kind: ArgKind
    title: str = Field(default="", max_length=120)
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    default: Value | None = None
    dash: bool = False

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"a regular expression ({error})") from None
        return pattern

    @property
    def expected(self) -> str:
        """What a valid value is."""
        if self.choices:
            return one_of(self.choices)
        kinds = {"number": "a number", "name": NAME_RULE, "choice": "one of its choices"}
        return f"text like {self.pattern}" if self.pattern else kinds.get(self.kind, "text")


class UnfitValue(ValueError):
    """A value that a parameter cannot have; `place` is the parameter, `nearest` the valid name it may mean."""

    def __init__(self, place: str, expected: str, close: str = "") -> None:
        super().__init__(f"{place}: expected {expected}" + (f"; did you mean {close!r}?" if close else ""))
        self.place, self.expected, self.nearest = place, expected, close


def unfit_values(specs: Mapping[str, ArgSpec], given: Mapping[str, Any]) -> Iterator[UnfitValue]:
    """Every value that is unknown, missing or not valid."""
    for name in given:
        if name not in specs:
            yield UnfitValue(name, f"a parameter: {one_of(specs) or 'there is none'}", nearest(name, specs))
    for name, spec in specs.items():
        value = given.get(name, spec.default)
        wrong = "a value" if value is None else _wrong(spec, value)
        if wrong:
            yield UnfitValue(name, wrong, nearest(str(value), spec.choices))


def valid_values(specs: Mapping[str, ArgSpec], given: Mapping[str, Any]) -> dict[str, Value]:
    """The value of each parameter, defaults filled in. Raises UnfitValue."""
    for problem in unfit_values(specs, given):
        raise problem
    values = {name: given.get(name, spec.default) for name, spec in specs.items()}
    return {name: _number(value) if specs[name].kind == "number" else str(value) for name, value in values.items()}


def _wrong(spec: ArgSpec, value: Any) -> str:
    """What was expected, empty for a valid value."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return spec.expected
    text = str(value)
    if "\0" in text:
        return "text without NUL"
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        return "text in UTF-8"
    if len(text) > LONGEST:
        return f"at most {LONGEST} characters"
    fits = not spec.choices or text in spec.choices
    if spec.kind == "name":
        fits = fits and re.fullmatch(NAME_PATTERN, text) is not None
    elif spec.kind == "number":
        fits = fits and _number(value) is not None
    elif spec.kind == "choice":
        fits = fits and bool(spec.choices)
    if spec.pattern is not None:
        fits = fits and re.fullmatch(spec.pattern, text) is not None
    return "" if fits else spec.expected


def _number(value: Any) -> Any:
    """A number as it was written, None for what is none."""
    if isinstance(value, int | float):
        return value if isfinite(value) else None
    if not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", str(value)):
        return None
    return float(value) if "." in value else int(value)


def placeholders(template: Any) -> list[str]:
    """The name in every `${name}` of a template; an unclosed `${` counts as one."""
    if isinstance(template, str):
        return _PLACEHOLDER.findall(template)
    if isinstance(template, Mapping):
        return [name for item in template.values() for name in placeholders(item)]
    return [name for item in template for name in placeholders(item)] if isinstance(template, list | tuple) else []


def filled(template: Any, values: Mapping[str, Value]) -> Any:
    """Data with its parameters: alone, `${name}` keeps the value's type; inside a text it is text."""
    if isinstance(template, str):
        alone = _PLACEHOLDER.fullmatch(template)
        if alone:
            return values[alone[1]]
        return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), template)
    if isinstance(template, Mapping):
        return {key: filled(item, values) for key, item in template.items()}
    return [filled(item, values) for item in template] if isinstance(template, list | tuple) else template


def filled_path(template: str, values: Mapping[str, Value]) -> str:
    """An address with its parameters, each of them percent-encoded: it is one segment or one value of the query.
    Raises UnfitValue for a value that would lead elsewhere."""
    for name in placeholders(template):
        if str(values[name]) in ("", ".", ".."):
            raise UnfitValue(name, "a value that is a part of an address, not empty, . or ..")
    return _PLACEHOLDER.sub(lambda found: quote(str(values[found[1]]), safe=""), template)


def filled_argv(argv: Sequence[str], specs: Mapping[str, ArgSpec], values: Mapping[str, Value]) -> tuple[str, ...]:
    """A command's arguments. Raises UnfitValue where a value would be read as an option."""
    made: list[str] = []
    for index, template in enumerate(argv):
        text = str(filled(template, values))
        first = _PLACEHOLDER.match(template)
        if first is not None and text.startswith("-") and "--" not in argv[:index]:
            leading = next(n for n in placeholders(template) if str(values[n]))
            if not specs[leading].dash:
                raise UnfitValue(leading, "a value that does not begin with a dash: it would be read as an option")
        made.append(text)
    return tuple(made)
