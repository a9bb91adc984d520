"""Prepares a file's data for its model: quantities as text; units, models and references by path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator

from state.config_files.literal_secrets import shown
from state.config_files.paths import Path
from state.config_files.references import Reference
from state.units import parse_duration, parse_ratio, parse_size

UNITS: Mapping[Any, str] = {
    parse_duration: "a duration such as 500ms, 5s, 15m, 1h30m or 1d",
    parse_size: "a size such as 512B, 64kB, 1.5MB or 2GB",
    parse_ratio: "a share from 0 to 100%, such as 1% or 0.01",
}
_BASE_UNIT: Mapping[Any, str] = {parse_duration: "s", parse_size: "B", parse_ratio: ""}
_LONGEST_QUANTITY = 40  # longer texts would overflow a float


@dataclass(slots=True)
class Written:
    """Data ready for its model, and what is expected at a path: a unit, a model, the name of another entry."""

    data: Any = None
    units: dict[Path, str] = field(default_factory=dict)
    models: dict[Path, type[BaseModel]] = field(default_factory=dict)
    references: dict[Path, Reference] = field(default_factory=dict)


ModelOf = Callable[[type[BaseModel], Mapping[str, Any]], type[BaseModel]]
"""The model for a mapping: a subclass of the declared model, if the data says which."""


def _declared(model: type[BaseModel], _: Mapping[str, Any]) -> type[BaseModel]:
    return model


def written_for(
    model: type[BaseModel], data: Any, *, bare_numbers: bool = False, model_of: ModelOf = _declared
) -> Written:
    """The data with every quantity as text, as its parser expects.

    A bare number is refused later by the parser (15 of what?), unless `bare_numbers` says that numbers are in
    the base unit: seconds, bytes, a ratio.
    """
    preparation = _Preparation(bare_numbers, model_of)
    preparation.written.data = preparation.value(model, data, ())
    return preparation.written


class _Preparation:
    """Goes through data and annotations in parallel."""

    def __init__(self, bare_numbers: bool, model_of: ModelOf) -> None:
        self.written = Written()
        self.bare_numbers = bare_numbers
        self.model_of = model_of

    def value(self, kind: Any, value: Any, path: Path, metadata: Sequence[Any] = ()) -> Any:
        for mark in metadata:
            if isinstance(mark, Reference):
                self.written.references[path] = mark
        parser = next((m.func for m in metadata if isinstance(m, BeforeValidator) and m.func in UNITS), None)
        if parser is not None:
            self.written.units[path] = UNITS[parser]
            return _quantity(value, _BASE_UNIT[parser] if self.bare_numbers else "")
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self.value(arguments[0], value, path, arguments[1:])
        if origin is Union or origin is UnionType:
            arms = [arm for arm in arguments if arm is not type(None)]
            return value if value is None or len(arms) != 1 else self.value(arms[0], value, path)
        if isinstance(value, dict):
            return self._mapping(kind, arguments, value, path)
        if isinstance(value, list) and arguments and isclass(origin) and issubclass(origin, Sequence):
            return [self.value(arguments[0], item, (*path, index)) for index, item in enumerate(value)]
        # Python treats true as 1, but `tier: true` in a file is an error.
        return str(value).lower() if isinstance(value, bool) and kind in {int, float} else value

    def _mapping(self, kind: Any, arguments: tuple[Any, ...], value: dict[str, Any], path: Path) -> dict[str, Any]:
        if isclass(kind) and issubclass(kind, BaseModel):
            model = self.written.models[path] = self.model_of(kind, value)
            fields = {f.alias or name: f for name, f in model.model_fields.items()}
            return {
                key: self.value(fields[key].annotation, item, (*path, key), fields[key].metadata)
                if key in fields
                else item
                for key, item in value.items()
            }
        if len(arguments) == 2:
            return {key: self.value(arguments[1], item, (*path, key)) for key, item in value.items()}
        return value


def _quantity(value: Any, base_unit: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return shown((), value)
    text = value if isinstance(value, str) else f"{value}{base_unit}"
    return text if len(text) <= _LONGEST_QUANTITY else f"{text[:_LONGEST_QUANTITY]}…"
