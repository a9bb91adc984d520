"""Since when each thing is wrong: the first reading that showed it."""

from __future__ import annotations

from collections.abc import Mapping

from state.detection.events import ServiceRecovered
from state.health import Health
from state.journal.events import Event, Recorded
from state.journal.projection import FoldSetting, Projection, about_nothing

GRACE = 5.0
"""Seconds for which a trouble may be absent and still be the same one: a single good sample does not end it."""


def row_key(name: str, health: Health) -> str:
    """The key under which it is kept since when a service or database has a health."""
    return f"row/{name}/{health.value}"


class Onsets:
    """Judges the world at every tick and keeps when each cause and each health began, by the engine's monotonic clock.

    Nothing of it is recorded: after a restart the clocks of failing services come from the journal, the rest begins
    with its first reading.
    """

    def __init__(self, setting: FoldSetting) -> None:
        self._judge = setting.judge
        self._since: dict[str, tuple[float, float]] = {}

    def fold(self, recorded: Recorded) -> None:
        """A service that recovered begins afresh when it fails again."""
        if isinstance(recorded.body, ServiceRecovered):
            self._since.pop(row_key(recorded.body.service, Health.FAIL), None)

    def notice(self, now_mono: float) -> list[Event]:
        """Take in the causes and healths of this instant."""
        judgement = self._judge.at(now_mono)
        begun: dict[str, float | None] = {cause.key: cause.since_mono for cause in judgement.causes}
        begun |= {row_key(name, h): None for name, h in judgement.healths.items() if h is not Health.PASS}
        self._take(begun, now_mono)
        return []

    def _take(self, begun: Mapping[str, float | None], now_mono: float) -> None:
        kept = {key: (since, seen) for key, (since, seen) in self._since.items() if now_mono - seen <= GRACE}
        for key, read in begun.items():
            since = kept[key][0] if key in kept else now_mono
            kept[key] = (since if read is None else min(since, read), now_mono)
        self._since = kept

    def since(self, key: str) -> float | None:
        """When it began, None before the first tick that showed it."""
        found = self._since.get(key)
        return found[0] if found is not None else None


ONSETS = Projection(Onsets, Onsets, (ServiceRecovered,), Onsets.fold, None, Onsets.notice, about_nothing)
