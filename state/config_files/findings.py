"""Findings of a model about its own values together, each at the place it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from state.config_files.paths import Path

Finding = tuple[Path, Any, str]
"""The way to a value inside the model, the value, and what was expected there."""


def refuse(model: type, findings: Iterable[Finding]) -> None:
    """Raise pydantic's ValidationError with every finding, or do nothing when there is none.

    For validators of a whole model: a ValueError would stand at the model and not at the value.
    """
    details = [
        InitErrorDetails(type=PydanticCustomError("together", "{error}", {"error": expected}), loc=path, input=value)
        for path, value, expected in findings
    ]
    if details:
        raise ValidationError.from_exception_data(model.__name__, details)
