"""Event bodies as JSON values and back, by the annotations of their dataclasses.

A field may have another name in the journal: `field(metadata={"key": "words"})`. Keys that the type does not know are
ignored, so that an entry of a later version can be read as far as this version knows its keys.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

Decoder = Callable[[Any], Any]


def encode(value: Any) -> Any:
    """A value as JSON-ready data: dataclasses become objects, enums their values."""
    encoder: Decoder = _encoder(type(value))  # type: ignore[arg-type]
    return encoder(value)


@cache
def _encoder(kind: Any) -> Decoder:
    """How values of a type are encoded; found once a type, since every entry passes here."""
    if kind in (str, int, float, bool, type(None)):
        return _as_it_is
    if issubclass(kind, Enum):
        return lambda value: value.value
    if is_dataclass(kind):
        spots = [(_key(f), f.name) for f in fields(kind)]
        return lambda value: {key: encode(getattr(value, name)) for key, name in spots}
    if issubclass(kind, Mapping):
        return lambda value: {str(k): encode(v) for k, v in value.items()}
    if issubclass(kind, str | int | float):
        return _as_it_is
    return lambda value: [encode(v) for v in value]


def _as_it_is(value: Any) -> Any:
    return value


def decode(kind: Any, value: Any) -> Any:
    """Build `kind` from what `encode` made. Raises ValueError, TypeError or KeyError for anything else."""
    return _decoder(kind)(value)


def _key(spot: Field[Any]) -> str:
    return str(spot.metadata.get("key", spot.name))


@cache
def _decoder(kind: Hashable) -> Decoder:
    if kind is Any:
        return lambda value: value
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = _decoder(next(a for a in args if a is not type(None)))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        return _tuple(args)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = _decoder(args[1])
        return lambda value: {str(k): item(v) for k, v in _of(dict, value).items()}
    if is_dataclass(kind):
        return _dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    return _plain(kind)


def _plain(kind: Any) -> Decoder:
    if kind is float:
        return lambda value: float(_of((int, float), value))
    return lambda value: _of(kind, value)


def _of(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{value!r} is not of the expected type")
    return value


def _tuple(args: tuple[Any, ...]) -> Decoder:
    if len(args) == 2 and args[1] is Ellipsis:
        item = _decoder(args[0])
        return lambda value: tuple(item(v) for v in _of(list, value))
    items = [_decoder(a) for a in args]
    return lambda value: tuple(d(v) for d, v in zip(items, _of(list, value), strict=True))


def _dataclass(kind: Any) -> Decoder:
    hints = get_type_hints(kind)
    spots = [(f.name, _key(f), _decoder(hints[f.name]), _optional(f)) for f in fields(kind)]

    def build(value: Any) -> Any:
        data = _of(dict, value)
        made: dict[str, Any] = {}
        for name, key, decoder, optional in spots:
            if key in data:
                made[name] = decoder(data[key])
            elif not optional:
                raise KeyError(key)
        return kind(**made)

    return build


def _optional(spot: Field[Any]) -> bool:
    return spot.default is not MISSING or spot.default_factory is not MISSING
