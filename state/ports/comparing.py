"""Comparing two databases, as the engine asks for it."""

from __future__ import annotations

from typing import Protocol

from state.comparing.request import CompareRequest, OnProgress
from state.comparing.results import Comparison


class CanCompare(Protocol):
    """Compares two databases of the estate and only reads."""

    async def compare(self, request: CompareRequest, progress: OnProgress) -> Comparison:
        """Compare; `progress` is called on the caller's loop, a few times a second at most. Cancelling ends its
        sessions before it is over. Raises NotFound, Refused, ConfigError and ReadFailure."""
