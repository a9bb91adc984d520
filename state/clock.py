"""Time, injectable."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time, injectable: monotonic for durations, wall (seconds since the epoch) for people."""

    def mono(self) -> float: ...
    def wall(self) -> float: ...
