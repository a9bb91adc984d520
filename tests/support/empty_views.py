"""Views that hold nothing, for fronts that are asked about a topic they were given no view of."""

from __future__ import annotations

import types
from collections.abc import Hashable
from enum import Enum
from typing import Any, Union, get_args, get_origin

from state.api.wire import columns, is_table
from state.capabilities import topics


def empty_view(topic: str) -> Any:
    """The view of a topic without rows, texts and figures. Raises KeyError for an unknown topic."""
    kind = topics()[topic].view_type
    return kind(**{name: _nothing(each) for name, each in columns(kind).items()})


def _nothing(kind: Hashable) -> Any:
    origin = get_origin(kind) or kind
    if is_table(kind):
        return {}
    if origin in (Union, types.UnionType):
        return None if type(None) in get_args(kind) else _nothing(get_args(kind)[0])
    if isinstance(origin, type) and issubclass(origin, Enum):
        return list(origin)[-1]
    return origin()
