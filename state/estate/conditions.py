"""Conditions on answers, as data: which status, which field, which value. What does not fit is not fulfilled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
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
    one_of: tuple[Value, ...] = ()
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
        if value is None or no_number(value):
            return False
        if self.equals is not None and not _same(self.equals, value):
            return False
        if self.one_of and not any(_same(each, value) for each in self.one_of):
            return False
        bounds = {name: _beside(limit, value) for name in BOUNDS if (limit := getattr(self, name)) is not None}
        if not bounds:
            return True
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return False
        held = {
            "above": lambda limit: value > limit,
            "at_least": lambda limit: value >= limit,
            "below": lambda limit: value < limit,
            "at_most": lambda limit: value <= limit,
        }
        return all(held[name](limit) for name, limit in bounds.items())

    def __str__(self) -> str:
        said = [
            f"{name.replace('_', ' ')} {_written(limit)}"
            for name in BOUNDS
            if (limit := getattr(self, name)) is not None
        ]
        if self.equals is not None:
            said.append(f"equals {self.equals}")
        if self.one_of:
            said.append(f"one of {', '.join(map(str, self.one_of))}")
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
        right = status in self.status if self.status else 200 <= status < 300
        return right and (not self.field or self.fits(found(data, self.field)))

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


def all_fit(condition: Limits, values: Iterable[Any]) -> bool:
    """Whether every value fulfils it; no value fulfils nothing."""
    known = list(values)
    return bool(known) and all(condition.fits(value) for value in known)


def _same(wanted: Any, value: Any) -> bool:
    """Equal, and of one kind: a number never equals a text or a truth value."""
    kinds = (bool, str)
    if any(isinstance(wanted, kind) != isinstance(value, kind) for kind in kinds):
        return False
    return bool(_beside(wanted, value) == value)


def no_number(value: Any) -> bool:
    """Whether it is NaN."""
    return value.is_nan() if isinstance(value, Decimal) else isinstance(value, float) and math.isnan(value)


def _beside(wanted: Any, value: Any) -> Any:
    """What is wanted, to be compared with a value: beside a decimal number, `0.1` is the one that was written."""
    return Decimal(repr(wanted)) if isinstance(value, Decimal) and isinstance(wanted, float) else wanted


def _written(limit: Bound) -> str:
    return str(limit) if isinstance(limit, int) else f"{limit:g}"
