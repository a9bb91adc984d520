"""Values read from outside, each with source, time of reading, age limit and last error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from state.errors import Trouble
from state.world.freshness import Freshness, freshness

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReadError:
    """Why the last read failed; `at` is seconds since the epoch."""

    trouble: Trouble
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class Observed(Generic[T]):
    """The last good value of a source, and the last error since.

    `at` is wall time (seconds since the epoch) and `mono` the engine's monotonic clock when the value was
    asked for; `limit` is the age in seconds past which it is stale.
    """

    source: str
    limit: float
    value: T | None = None
    at: float | None = None
    mono: float | None = None
    error: ReadError | None = None

    def age(self, now_mono: float) -> float | None:
        """Seconds since the value was read, or None when there never was one."""
        return None if self.mono is None else max(0.0, now_mono - self.mono)

    def freshness(self, now_mono: float) -> Freshness:
        """Whether the value may still be used."""
        return freshness(self.age(now_mono), self.limit)

    def fresh_value(self, now_mono: float) -> T | None:
        """The value if it is younger than its limit, else None; verdicts use only this."""
        return self.value if self.freshness(now_mono) is Freshness.FRESH else None

    def succeeded(self, value: T, at: float, mono: float) -> Observed[T]:
        """The observation after a good read."""
        return replace(self, value=value, at=at, mono=mono, error=None)

    def failed(self, error: ReadError) -> Observed[T]:
        """The observation after a failed read: the last value stays, the error is added."""
        return replace(self, error=error)
