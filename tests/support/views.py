"""Rows of views for tests that care for a few of their fields."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin

from state.api.wire import columns

T = TypeVar("T")


def made(view: type[T], /, **given: Any) -> T:
    """A row with these fields; the others are empty, None, or the first value of their kind."""
    filled = {name: given.get(name, _empty(hint)) for name, hint in columns(view).items()}
    return view(**{**filled, **given})


def _empty(hint: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return None if type(None) in get_args(hint) else _empty(get_args(hint)[0])
    if origin is tuple:
        return ()
    if origin is not None and issubclass(origin, Mapping):
        return {}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    return made(hint) if is_dataclass(hint) else hint()
