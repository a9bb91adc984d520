"""Answers from outside, read as JSON; and what reading one of another shape than expected may raise."""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import Any, NoReturn

from state.text import clean

MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, csv.Error, RecursionError)
"""An answer that is not as its product's manual has it: the trouble of that target, and of nothing else."""


class Ambiguous(ValueError):
    """JSON that cannot be taken at its word: readers differ in what it says."""


def read_json(raw: bytes | str) -> Any:
    """JSON as its standard has it. Raises ValueError; Ambiguous for NaN and Infinity, for an object with a key twice,
    and for what is nested too deeply."""
    try:
        return json.loads(raw, parse_constant=_no_number, object_pairs_hook=_object)
    except RecursionError:
        raise Ambiguous("its JSON is nested too deeply") from None


def _no_number(name: str) -> NoReturn:
    raise Ambiguous(f"its JSON has {name}, which is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise Ambiguous(f"its JSON has the key {clean(twice, 60)} twice")
    return made
