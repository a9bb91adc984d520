"""Restore points that were written, with their places in the WAL: no server tells them later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from state.changes.model import Finding
from state.changes.restore_point import KIND
from state.journal.events import WORDS, Body, Event, Recorded, event
from state.journal.needed import About
from state.journal.projection import FoldSetting, Projection
from state.restoring.targets import LSN, parse_target
from state.runs.events import EffectEnded, EffectIntended
from state.verdicts.past import KEPT_POINTS, PointPast

MOST_OPEN = 1000
"""Effects under way that are followed at once; older ones are forgotten."""


@event("database.restore-point")
@dataclass(frozen=True, slots=True)
class RestorePointMade(Body):
    """A restore point of a database is in its WAL, and ends at `lsn` (bytes) on a timeline. `effect` wrote it."""

    database: str
    point: str
    lsn: int
    timeline: int
    effect: str
    message: str = field(metadata=WORDS)


class RestorePoints:
    """Follows the changes that write them, and hands what is durable to the judge."""

    def __init__(self, setting: FoldSetting) -> None:
        self._setting = setting
        self._open: dict[str, tuple[str, str]] = {}
        self._done: dict[str, RestorePointMade] = {}
        self._recorded: set[str] = set()

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry; of an erased one nothing is known."""
        body = recorded.body
        if recorded.erased:
            return
        if isinstance(body, EffectIntended) and body.change.kind == KIND:
            args = body.change.args
            self._open[body.effect] = str(args.get("database", "")), str(args.get("point", ""))
            while len(self._open) > MOST_OPEN:
                self._open.pop(next(iter(self._open)))
        elif isinstance(body, EffectEnded) and body.effect in self._open:
            database, point = self._open.pop(body.effect)
            if body.finding is Finding.DONE and body.effect not in self._recorded:
                made = _made(database, point, body.effect, body.figures)
                if made is not None:
                    self._done[body.effect] = made
        elif isinstance(body, RestorePointMade):
            self._recorded.add(body.effect)
            self._done.pop(body.effect, None)
            self._setting.judge.pointed(body.database, PointPast(body.point, body.lsn, body.timeline, recorded.at))

    def notice(self, now_mono: float) -> list[Event]:
        """Each point once."""
        found = [Event(made, self._setting.actor) for made in self._done.values()]
        self._done.clear()
        return found


def _made(database: str, point: str, effect: str, figures: Mapping[str, Any]) -> RestorePointMade | None:
    where, timeline = figures.get("lsn"), figures.get("timeline")
    if not isinstance(where, str) or not LSN.fullmatch(where) or not isinstance(timeline, int | float):
        return None
    said = f"restore point {point} of {database} ends at {where} on timeline {int(timeline)}"
    return RestorePointMade(database, point, parse_target(where).lsn, int(timeline), effect, said)


def _subjects(recorded: Recorded) -> Iterator[About]:
    """The newest points of each database."""
    if isinstance(recorded.body, RestorePointMade):
        yield About(("restore-point", recorded.body.database), newest=KEPT_POINTS)


POINTS = Projection(
    RestorePoints,
    RestorePoints,
    (EffectIntended, EffectEnded, RestorePointMade),
    RestorePoints.fold,
    notice=RestorePoints.notice,
    subjects=_subjects,
)
