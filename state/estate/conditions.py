"""Conditions on answers, as data: which status, which field, which value. What does not fit is not fulfilled."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import StrictBool, StrictInt, model_validator

from state.estate.arguments import Value
from state.estate.entry import Entry

BOUNDS = ("above", "at_least", "below", "at_most")
Bound = StrictInt | float
"""A number as it is written: a large whole one loses nothing."""


class Limits(Entry):
    """What a value must be: every given condition holds. Numbers fulfil the bounds, nothing else does."""

    equals: Value | StrictBool | None = None
    one_of: tuple[Value | StrictBool, ...] = ()
    above: Bound | None = None
    at_least: Bound | None = None
    below: Bound | None = None
    at_most: Bound | None = None

    @property
    def empty(self) -> bool:
        """No condition is given."""
        return self.equals is None and not self.one_of and all(getattr(self, name) is None for name in BOUNDS)

    def fits(self, value: Any) -> bool:
        """Whether a value fulfils them. None, NaN and a value of another type fulfil none."""
        return self.told(value) is True

    def told(self, value: Any) -> bool | None:
        """Whether a value fulfils them; None where it cannot be compared."""
        if self.unlike(value):
            return None
        if self.equals is not None and not _same(self.equals, value):
            return False
        if self.one_of and not any(_same(each, value) for each in self.one_of):
            return False
        held = {
            "above": lambda limit: value > limit,
            "at_least": lambda limit: value >= limit,
            "below": lambda limit: value < limit,
            "at_most": lambda limit: value <= limit,
        }
        return all(held[name](_beside(limit, value)) for name, limit in self._bounds())

    def unlike(self, value: Any) -> str:
        """What the value is where it cannot be compared, `a text, not a number`; empty where it can."""
        groups = [[kind_of(self.equals)] if self.equals is not None else [], [kind_of(each) for each in self.one_of]]
        groups.append([NUMBER] if self._bounds() else [])
        kind = kind_of(value)
        wanted = next((group for group in groups if group and kind not in group), None)
        return "" if wanted is None else f"{kind}, not {' or '.join(dict.fromkeys(wanted))}"

    def _bounds(self) -> list[tuple[str, Bound]]:
        return [(name, limit) for name in BOUNDS if (limit := getattr(self, name)) is not None]

    def __str__(self) -> str:
        said = [f"{name.replace('_', ' ')} {_written(limit)}" for name, limit in self._bounds()]
        if self.equals is not None:
            said.append(f"equals {shown(self.equals)}")
        if self.one_of:
            said.append(f"one of {', '.join(map(shown, self.one_of))}")
        return ", ".join(said)


class ValueCondition(Limits):
    """A condition on a number or a text; at least one is given."""

    @model_validator(mode="after")
    def _something(self) -> ValueCondition:
        if self.empty:
            raise ValueError("a condition: equals, one_of, above, at_least, below or at_most")
        return self


class AnswerCondition(Limits):
    """A condition on an answer over HTTP: one of these statuses (any 2xx where none is given), and where `field` is
    given, its value. A field is a path of keys and places, `status.members.0.state`."""

    status: tuple[int, ...] = ()
    field: str = ""

    @model_validator(mode="after")
    def _field_with_value(self) -> AnswerCondition:
        if bool(self.field) == self.empty:
            raise ValueError("field and a condition on its value together, or neither")
        return self

    def answered(self, status: int, data: Any) -> bool:
        """Whether an answer fulfils it."""
        return self.about(status) and (not self.field or self.fits(found(data, self.field)))

    def about(self, status: int) -> bool:
        """Whether the status is one that it wants."""
        return status in self.status if self.status else 200 <= status < 300

    def __str__(self) -> str:
        which = f"status {' or '.join(map(str, self.status))}" if self.status else "status 2xx"
        return f"{which}, {self.field} {super().__str__()}" if self.field else which


def found(data: Any, field: str) -> Any:
    """The value at a path of keys and places; None where there is none."""
    for key in field.split("."):
        if isinstance(data, Mapping):
            data = data.get(key)
        elif isinstance(data, Sequence) and not isinstance(data, str) and key.isdecimal() and int(key) < len(data):
            data = data[int(key)]
        else:
            return None
    return data


NUMBER = "a number"
KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    ((int, float, Decimal), NUMBER),
    (str, "a text"),
    (Mapping, "a mapping"),
    ((bytes, bytearray), "bytes"),
    (Sequence, "a list"),
    (datetime.timedelta, "an interval"),
    ((datetime.date, datetime.time), "a time"),
)


def kind_of(value: Any) -> str:
    """The kind of a value in words; only values of one kind can be compared."""
    if value is None:
        return "no value"
    if value.is_nan() if isinstance(value, Decimal) else isinstance(value, float) and math.isnan(value):
        return "NaN"
    return next((said for kinds, said in KINDS if isinstance(value, kinds)), f"of type {type(value).__name__}")


def shown(value: Any) -> str:
    """A value as it is written in JSON; a text without quotes where that reads as nothing else."""
    if isinstance(value, str):
        plain = (
            value.strip() == value and value not in ("", "true", "false", "null") and kind_of(_read(value)) != NUMBER
        )
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool | int | float | list | dict | None):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _read(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _same(wanted: Any, value: Any) -> bool:
    """Equal, and of one kind: a number never equals a text or a truth value."""
    return kind_of(wanted) == kind_of(value) and bool(_beside(wanted, value) == value)


def _beside(wanted: Any, value: Any) -> Any:
    """What is wanted, to be compared with a value: beside a decimal number, `0.1` is the one that was written."""
    return Decimal(repr(wanted)) if isinstance(value, Decimal) and isinstance(wanted, float) else wanted


def _written(limit: Bound) -> str:
    return str(limit) if isinstance(limit, int) else f"{limit:g}"
