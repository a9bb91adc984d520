"""The RTO clock: how much of the objective is used, and when it warns and fails."""

from __future__ import annotations

from collections.abc import Mapping

from state.api.views.header import RtoClock
from state.health import Health

AMBER = 0.75
"""Share of the objective from which the clock warns."""


def elapsed(clock: RtoClock, now_mono: float) -> float:
    """Seconds the service has been impaired, up to its end if it ended."""
    end = now_mono if clock.ended_mono is None else clock.ended_mono
    return max(0.0, end - clock.started_mono)


def remaining(clock: RtoClock, now_mono: float) -> float:
    """Seconds left of the objective; negative when overdue."""
    return clock.target - elapsed(clock, now_mono)


def stage(clock: RtoClock, now_mono: float) -> Health:
    """Pass below 75 % of the objective, warn from there, fail once all of it is used."""
    used = elapsed(clock, now_mono)
    if used >= clock.target:
        return Health.FAIL
    return Health.WARN if used >= AMBER * clock.target else Health.PASS


def most_urgent(clocks: Mapping[str, RtoClock], now_mono: float) -> RtoClock | None:
    """The running clock with the least time left, by name when equal."""
    running = [c for c in clocks.values() if c.ended_mono is None]
    return min(running, key=lambda c: (remaining(c, now_mono), c.service), default=None)
