"""Findings about several values of one model, each at the place of its value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from state.config_files.paths import Path

Finding = tuple[Path, Any, str]
"""The path to a value inside the model, the value, and what was expected there."""


def refuse(model: type, findings: Iterable[Finding]) -> None:
    """Raise pydantic's ValidationError with every finding, or do nothing when there is none.

    For validators of a whole model: a ValueError would have the place of the model, not of the value.
    """
    details = [
        InitErrorDetails(type=PydanticCustomError("together", "{error}", {"error": expected}), loc=path, input=value)
        for path, value, expected in findings
    ]
    if details:
        raise ValidationError.from_exception_data(model.__name__, details)
