"""Answers from outside, read as JSON; and what reading one of another shape than expected may raise."""

from __future__ import annotations

import csv
import json
from typing import Any, NoReturn

MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, csv.Error, RecursionError)
"""An answer that is not as its product's manual has it: the trouble of that target, and of nothing else."""


def read_json(raw: bytes | str) -> Any:
    """JSON as its standard has it. Raises ValueError, also for NaN and Infinity and for what is nested too deeply."""
    try:
        return json.loads(raw, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
