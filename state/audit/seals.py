"""What of the journal is sealed, by its own entries."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from state.audit.events import AnchorLost, AnchorRestored, JournalKeyed, JournalSealed, JournalUnsealed
from state.journal.events import Recorded
from state.journal.needed import About
from state.journal.projection import FoldSetting, Projection
from state.verdicts.cause_parts import hand
from state.views.context import Alarm, Contribution, ViewContext


class Seals:
    """The period that goes on with its key, and the last entry that a seal names. `failing` is why none was made since;
    `at` when the newest one was, on this engine's clock."""

    def __init__(self, setting: FoldSetting) -> None:
        self._mono = setting.mono
        self.period = self.sealed = 0
        self.public = self.failing = ""
        self.at = float("-inf")

    def fold(self, recorded: Recorded) -> None:
        """Take in one more entry."""
        body = recorded.body
        if isinstance(body, JournalKeyed):
            self.period, self.public, self.failing = body.period, body.public, ""
        elif isinstance(body, JournalSealed):
            self.period, self.public, self.sealed = body.period + 1, body.next, body.last
            self.at, self.failing = self._mono(recorded), ""
        elif isinstance(body, JournalUnsealed):
            self.failing = body.reason


class AnchorOutages:
    """The places that do not take anchors, as the journal says: by place, the newest entry about it."""

    def __init__(self, setting: FoldSetting) -> None:
        self._setting = setting
        self.lost: dict[str, AnchorLost] = {}
        self._since: dict[str, float] = {}

    def fold(self, recorded: Recorded) -> None:
        """Take in one more entry."""
        body = recorded.body
        if isinstance(body, AnchorLost):
            self.lost[body.place] = body
            self._since[body.place] = self._setting.mono(recorded) - max(0.0, recorded.at - body.since)
        elif isinstance(body, AnchorRestored):
            self.lost.pop(body.place, None)

    def silent(self, places: Collection[str], now_mono: float) -> float | None:
        """For how many seconds none of these places has taken an anchor; None while one does, or without any."""
        if not places or not set(places) <= set(self.lost):
            return None
        return now_mono - max(self._since[place] for place in places)


def contribute(context: ViewContext) -> Contribution:
    """An alarm while nothing can be sealed, and for each place that is configured and takes no anchors."""
    alarms: list[Alarm] = []
    if failing := context.of(Seals).failing:
        steps = "By hand: make `ssh-keygen` work for the engine's account; it is tried again every minute."
        alarms.append(Alarm(f"the journal is not sealed: {failing}", hand("by hand", steps)))
    for place, lost in context.of(AnchorOutages).lost.items():
        if place in context.estate.anchors:
            steps = f"By hand: make anchors.{place} reachable; the newest entry is sent again every minute."
            alarms.append(Alarm(f"anchors.{place} does not take anchors: {lost.reason}", hand("by hand", steps)))
    return Contribution(alarms=tuple(alarms))


def _seal(recorded: Recorded) -> Iterable[About]:
    yield About(recorded.kind)


def _outage(recorded: Recorded) -> Iterable[About]:
    body = recorded.body
    if isinstance(body, AnchorLost | AnchorRestored):
        yield About(body.place, closes=isinstance(body, AnchorRestored))


SEALS = Projection(Seals, Seals, (JournalKeyed, JournalSealed, JournalUnsealed), Seals.fold, subjects=_seal)
OUTAGES = Projection(AnchorOutages, AnchorOutages, (AnchorLost, AnchorRestored), AnchorOutages.fold, subjects=_outage)
