"""Watches everything the engine reads and records what changes: the night as it was seen, apart from decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from state.detection.alerts import Alerts
from state.detection.causes import Causes
from state.detection.families import Family, Look
from state.detection.follow import NORMAL
from state.detection.nodes import Leaders, Nodes, Standbys, Writers
from state.detection.restarts import Restarts
from state.detection.sources import Sources, Unjudged
from state.journal.events import Body, Event, Recorded
from state.journal.needed import About
from state.journal.projection import FoldSetting, Projection

FAMILIES: tuple[type[Family], ...] = (Nodes, Leaders, Writers, Standbys, Causes, Sources, Unjudged, Alerts)
"""All but the balancers, which have one more thing to know."""
WITH_BALANCERS: tuple[type[Family], ...] = (*FAMILIES, Restarts)
FAMILY_OF: Mapping[type[Body], type[Family]] = {body: each for each in WITH_BALANCERS for body in each.bodies}


class NightWatch:
    """Folds its own events, so that a restart neither doubles nor loses any.

    At most one batch of each family waits for the journal: while it cannot be written, what changes is followed, and
    told once as it is then.
    """

    def __init__(self, setting: FoldSetting) -> None:
        self._setting = setting
        self._began = setting.clock.mono()
        self._restarts = Restarts()
        self._families: tuple[Family, ...] = (*(each() for each in FAMILIES), self._restarts)
        self._by_body: dict[type[Body], Family] = {body: family for family in self._families for body in family.bodies}
        self._waiting: dict[Family, int] = dict.fromkeys(self._families, 0)

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry."""
        if recorded.boot != self._setting.boot and recorded.at > (self._restarts.ended or 0.0):
            self._restarts.ended = recorded.at
        family = self._by_body.get(type(recorded.body))
        if family is not None:
            self._waiting[family] = max(0, self._waiting[family] - 1)
            family.follower.recorded(family.told(recorded.body, recorded.at), self._setting.mono(recorded))

    def notice(self, now_mono: float) -> list[Event]:
        """What has changed for good since the last look."""
        clock = self._setting.clock
        look = Look(self._setting.judge.at(now_mono), now_mono, clock.wall(), now_mono - self._began)
        noticed: list[Event] = []
        for family in self._families:
            bodies = family.notice(look, hold=self._waiting[family] > 0)
            self._waiting[family] += len(bodies)
            noticed += [Event(body, self._setting.actor) for body in bodies]
        return noticed


def _subjects(recorded: Recorded) -> Iterator[About]:
    """What was told last of each subject, until that is what is normal."""
    family = FAMILY_OF.get(type(recorded.body))
    if family is not None:
        for told in family().told(recorded.body, recorded.at):
            yield About((family.__name__, told.subject), closes=told.value == NORMAL)


WATCH = Projection(NightWatch, NightWatch, (), NightWatch.fold, notice=NightWatch.notice, subjects=_subjects)
