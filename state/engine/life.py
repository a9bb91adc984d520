"""What happens to the engine's own process and clock: suspensions, and a wall clock that jumps."""

from __future__ import annotations

from collections import deque

from state.engine.events import ClockJumped, EngineSuspended
from state.journal.events import Event, Observation, Recorded
from state.journal.projection import FoldSetting, Projection, about_nothing

GAP = 5.0
"""Seconds between two ticks after which this process counts as suspended; what was read before is then too old."""
JUMP = 2.0
"""Seconds by which the wall clock moves against the monotonic one before that is recorded."""
MOST, WITHIN = 6, 3600.0
"""Entries of one kind within so many seconds; further ones are counted in the next one."""


class Life:
    """Measures both clocks at every tick. While the journal cannot be written, one entry of each kind waits."""

    def __init__(self, setting: FoldSetting) -> None:
        self._clock, self._actor = setting.clock, setting.actor
        self._mono = setting.mono
        self._last: float | None = None
        self._offset = 0.0
        self._told: dict[type[Observation], deque[float]] = {}
        self._more: dict[type[Observation], int] = {}
        self._waiting: set[type[Observation]] = set()

    def fold(self, recorded: Recorded) -> None:
        """Count an entry."""
        if isinstance(recorded.body, Observation):
            self._waiting.discard(type(recorded.body))
            self._told.setdefault(type(recorded.body), deque(maxlen=MOST)).append(self._mono(recorded))

    def notice(self, now_mono: float) -> list[Event]:
        """A suspension or a jump since the last tick."""
        offset, last = self._clock.wall() - self._clock.mono(), self._last
        self._last = now_mono
        if last is None:
            self._offset = offset
            return []
        found: list[Observation] = []
        gap, jump = now_mono - last, offset - self._offset
        if gap > GAP and self._may(EngineSuspended, now_mono):
            message = f"the engine did not run for {gap:.1f} s: suspended, or its host stood still"
            found.append(EngineSuspended(round(gap, 1), message, self._more.pop(EngineSuspended, 0)))
        if abs(jump) > JUMP:
            self._offset = offset
            if self._may(ClockJumped, now_mono):
                where = "forward" if jump > 0 else "back"
                message = f"the wall clock went {where} {abs(jump):.1f} s: it was set, or the host slept"
                found.append(ClockJumped(round(jump, 1), message, self._more.pop(ClockJumped, 0)))
        return [Event(body, self._actor) for body in found]

    def _may(self, kind: type[Observation], now: float) -> bool:
        told = self._told.get(kind, deque[float]())
        if kind in self._waiting or (len(told) == MOST and now - told[0] < WITHIN):
            self._more[kind] = self._more.get(kind, 0) + 1
            return False
        self._waiting.add(kind)
        return True


LIFE = Projection(Life, Life, (EngineSuspended, ClockJumped), Life.fold, notice=Life.notice, subjects=about_nothing)
