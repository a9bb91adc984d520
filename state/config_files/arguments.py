"""Arguments of changes and checks: typed values from a runbook, a request or the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from state.config_files.quantities import written_for
from state.errors import UnsuitableArgument

M = TypeVar("M", bound=BaseModel)


def arguments(kind: str, model: type[M], values: Mapping[str, Any]) -> M:
    """The typed arguments; numbers are in the base unit (seconds, bytes). Raises UnsuitableArgument, which
    names the argument.
    """
    try:
        return model.model_validate(written_for(model, dict(values), bare_numbers=True).data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(p) for p in first["loc"]) or "arguments"
        raise UnsuitableArgument(f"{kind}: {place}: {first['msg']}") from error
