"""What the journal tells of every database, for the verdicts: who led, who was lost while it wrote, an open split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import singledispatchmethod

from state.detection.events import SplitBrainCleared, SplitBrainDetected
from state.detection.observations import LeaderChanged, NodeBack, NodeLost, WriterBack, WriterLost
from state.journal.events import Body, Recorded
from state.journal.needed import About
from state.journal.projection import FoldSetting, Projection
from state.verdicts.past import NO_PAST, DatabasePast
from state.verdicts.votes import PRIMARY


class Remembrance:
    """Folds what is recorded of databases and hands it to the judge, also of those that the estate does not name."""

    def __init__(self, setting: FoldSetting) -> None:
        self._setting = setting
        self._known: dict[str, DatabasePast] = {}

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry; of an erased one nothing is known."""
        if not recorded.erased:
            self._take(recorded.body, recorded)

    def _keep(self, database: str, **facts: object) -> None:
        past = replace(self._known.get(database, NO_PAST), **facts)  # type: ignore[arg-type]
        self._known[database] = past
        self._setting.judge.remember(database, past)

    def _mono(self, at: float | None, recorded: Recorded) -> float | None:
        """The monotonic instant of a wall time that an entry tells."""
        return None if at is None else self._setting.mono(recorded) - max(0.0, recorded.at - at)

    @singledispatchmethod
    def _take(self, body: Body, recorded: Recorded) -> None:
        raise TypeError(f"nothing of databases is read in {recorded.kind}")

    @_take.register
    def _(self, body: LeaderChanged, recorded: Recorded) -> None:
        self._keep(body.database, leader=body.leader)

    @_take.register
    def _(self, body: NodeLost, recorded: Recorded) -> None:
        for each in body.nodes:
            if each.role == PRIMARY:
                wrote = self._known.get(each.database, NO_PAST).wrote
                self._keep(each.database, wrote={**wrote, each.node: self._mono(each.read_at, recorded)})

    @_take.register
    def _(self, body: NodeBack, recorded: Recorded) -> None:
        for each in body.nodes:
            wrote = self._known.get(each.database, NO_PAST).wrote
            if each.node in wrote:
                self._keep(each.database, wrote={n: at for n, at in wrote.items() if n != each.node})

    @_take.register
    def _(self, body: WriterLost, recorded: Recorded) -> None:
        self._keep(body.database, unled_mono=self._mono(body.since, recorded))

    @_take.register
    def _(self, body: WriterBack, recorded: Recorded) -> None:
        self._keep(body.database, unled_mono=None)

    @_take.register
    def _(self, body: SplitBrainDetected, recorded: Recorded) -> None:
        self._keep(body.database, split=body.nodes)

    @_take.register
    def _(self, body: SplitBrainCleared, recorded: Recorded) -> None:
        self._keep(body.database, split=())


def _subjects(recorded: Recorded) -> Iterator[About]:
    """A node that was lost while it wrote, until it is back; of the rest the newest."""
    match recorded.body:
        case LeaderChanged(database):
            yield About(("leader", database))
        case NodeLost(_, nodes):
            for each in nodes:
                if each.role == PRIMARY:
                    yield About(("lost", each.database, each.node))
        case NodeBack(_, nodes):
            for again in nodes:
                yield About(("lost", again.database, again.node), closes=True)
        case WriterLost() | WriterBack() as told:
            yield About(("writer", told.database), closes=isinstance(told, WriterBack))
        case SplitBrainDetected() | SplitBrainCleared() as told:
            yield About(("split", told.database), closes=isinstance(told, SplitBrainCleared))


REMEMBRANCE = Projection(
    Remembrance,
    Remembrance,
    (LeaderChanged, NodeLost, NodeBack, WriterLost, WriterBack, SplitBrainDetected, SplitBrainCleared),
    Remembrance.fold,
    subjects=_subjects,
)
