"""Named points around every effect where tests kill the engine; otherwise reaching one does nothing."""

from __future__ import annotations

from collections.abc import Callable

FAULT_POINTS = (
    "before_intent",
    "after_intent",
    "after_effect",
    "after_receipt",
    "during_read_back",
    "before_outcome",
    "after_outcome",
)

Reach = Callable[[str], None]
"""Called with the name of the point that was reached."""


def ignore_point(point: str) -> None:
    """Do nothing."""
