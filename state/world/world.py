"""The world: the latest observation of every source, and short trends. Pure values; the poller writes, views read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeVar

from state.world.observed import Observed
from state.world.readings import Reading

R = TypeVar("R")

TREND = 60
"""Points kept per trend; at one poll per second that is one minute."""


@dataclass(slots=True)
class World:
    """Observations by source key (`role:name`) and the trends derived from them."""

    observed: dict[str, Observed[Reading]] = field(default_factory=dict)
    trends: dict[str, deque[float]] = field(default_factory=dict)

    def of(self, key: str, kind: type[R]) -> Observed[R] | None:
        """The observation of a source if its value has that type (or has no value yet)."""
        seen = self.observed.get(key)
        if seen is None or not (seen.value is None or isinstance(seen.value, kind)):
            return None
        return seen  # type: ignore[return-value]

    def fresh(self, key: str, kind: type[R], now_mono: float) -> R | None:
        """The value of a source if it is younger than its limit, else None; verdicts use only this."""
        seen = self.of(key, kind)
        return None if seen is None else seen.fresh_value(now_mono)

    def push(self, trend: str, value: float) -> None:
        """Add a point to a trend."""
        self.trends.setdefault(trend, deque(maxlen=TREND)).append(value)

    def trend(self, name: str) -> tuple[float, ...]:
        """A trend's points, oldest first."""
        return tuple(self.trends.get(name, ()))

    def keys(self, role: str) -> tuple[str, ...]:
        """The source keys of one role, e.g. `postgres`."""
        return tuple(k for k in self.observed if k.startswith(role + ":"))
