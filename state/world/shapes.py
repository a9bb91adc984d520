"""Whether a reading is what its type says: the gate between adapters and everything that sorts, compares and adds.

What a target answers may be of any kind. A value that is not of its field's type ends here, as the trouble of that one
source, and never in a verdict or a view.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

LARGEST = 1 << 64
"""No count, position or number of a process is as large: arithmetic with larger ones may fail."""

Check = Callable[[Any, Any], str | None]
"""Of a value and the one before: where in it something does not fit, an empty text for itself, None when all fits."""


def misfit(value: Any, before: Any = None) -> str | None:
    """Where a reading does not fit its type, as `alerts[3].fingerprint`; None when it does.

    What is the same object as in the reading before is not looked at again.
    """
    kind: Any = type(value)
    return None if value is before else _check(kind)(value, before)


@cache
def _check(kind: Hashable) -> Check:
    """How values of a type are looked at. Raises TypeError for a type that no reading has."""
    origin, args = get_origin(kind), get_args(kind)
    if kind in _LEAVES:
        fits = _LEAVES[kind]
        return lambda value, before: None if fits(value) else ""
    if origin in (Union, types.UnionType):
        inner = _check(next(each for each in args if each is not type(None)))
        return lambda value, before: None if value is None else inner(value, before)
    if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):
        return _fixed(args)
    if origin in (tuple, frozenset):
        return _sequence(origin, _check(args[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(_check(args[0]), _check(args[1]))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda value, before: None if type(value) is kind else ""
    if is_dataclass(kind) and isinstance(kind, type):
        return _record(kind)
    raise TypeError(f"no reading has values of {kind}")


def _is_text(value: Any) -> bool:
    """Text that can be written: a half of a surrogate pair cannot."""
    if type(value) is not str:
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


def _is_whole(value: Any) -> bool:
    return type(value) is int and -LARGEST < value < LARGEST


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (type(value) is float and not math.isnan(value))


_LEAVES: Mapping[Any, Callable[[Any], bool]] = {
    str: _is_text,
    bool: lambda value: type(value) is bool,
    int: _is_whole,
    float: _is_number,
}


def _fixed(kinds: tuple[Any, ...]) -> Check:
    checks = [_check(each) for each in kinds]

    def look(value: Any, before: Any) -> str | None:
        if type(value) is not tuple or len(value) != len(checks):
            return ""
        found = ((place, check(each, None)) for place, (check, each) in enumerate(zip(checks, value, strict=True)))
        return next((f"[{place}]{where}" for place, where in found if where is not None), None)

    return look


def _sequence(kind: Any, check: Check) -> Check:
    def look(value: Any, before: Any) -> str | None:
        if type(value) is not kind:
            return ""
        known = {id(each) for each in before} if type(before) is kind else ()
        for place, each in enumerate(value):
            if id(each) not in known and (where := check(each, None)) is not None:
                return f"[{place}]{where}"
        return None

    return look


def _mapping(key: Check, check: Check) -> Check:
    def look(value: Any, before: Any) -> str | None:
        if not isinstance(value, Mapping):
            return ""
        had = before if isinstance(before, Mapping) else {}
        for name, each in value.items():
            if (known := had.get(name)) is each and each is not None:
                continue
            if key(name, None) is not None:
                return "{a name}"
            if (where := check(each, known)) is not None:
                return f"{{{name}}}{where}"
        return None

    return look


def _record(kind: type) -> Check:
    hints = get_type_hints(kind)
    checks = [(each.name, _check(hints[each.name])) for each in fields(kind) if each.init]

    def look(value: Any, before: Any) -> str | None:
        if type(value) is not kind:
            return ""
        had = before if type(before) is kind else None
        for name, check in checks:
            each, known = getattr(value, name), None if had is None else getattr(had, name)
            if (each is not known or each is None) and (where := check(each, known)) is not None:
                return f".{name}{where}"
        return None

    return look
