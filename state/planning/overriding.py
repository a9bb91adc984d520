"""Reasons for which a commander overrides safety rules and protected windows, by their names."""

from __future__ import annotations

from collections.abc import Container, Mapping

from state.errors import Refused
from state.text import reason_in

LONGEST = 300


def reasons_for(overrides: Mapping[str, object], names: Container[str], shortest: int) -> dict[str, str]:
    """The reasons given for these names, each with so many characters at least. Raises Refused for one without."""
    found: dict[str, str] = {}
    for name, reason in overrides.items():
        if name not in names:
            continue
        said = reason_in(reason, shortest) if isinstance(reason, str) else ""
        if not said:
            fact = f"{name} is to be overridden without a reason"
            raise Refused("reason", fact, f"Give one of {shortest} characters or more; the journal records it")
        found[name] = said[:LONGEST]
    return found
