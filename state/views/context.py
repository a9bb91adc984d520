"""What views are built from, and what each capability adds to the screens of other capabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from state.api.views.causes import Cause, NextStep, SubjectKind
from state.api.views.header import ConsoleRow, DataRisk, EstateChange, WaitingRun
from state.api.views.restore import RestoreRow
from state.api.views.runbooks import RunbookRow
from state.capabilities import parts
from state.detection.detector import Detector
from state.detection.onsets import Onsets
from state.health import Health
from state.journal.projection import Folds
from state.releases.ledger import Ledger
from state.runs.fold import RunHistory
from state.verdicts.evidence import rank
from state.verdicts.judge import Judgement
from state.verdicts.releases import ReleasesVerdict
from state.verdicts.replication import ClusterVerdict
from state.verdicts.service import ServiceVerdict
from state.views.memory import Memory
from state.views.situation import Picture, picture
from state.world.world import World

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class JournalState:
    """The state of the journal: `unavailable` and `doubt` are empty when it is fine."""

    seq: int = 0
    head: str = ""
    unavailable: str = ""
    doubt: str = ""
    verified: str = ""
    verified_seq: int = 0
    erased: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that must be seen on every screen, in whole words, and what a person does about it."""

    message: str
    next: NextStep | None = None


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one capability adds to every screen.

    `alarms` must be seen on every screen, besides the causes that the readings show; `running` names the open runs;
    `risks` is what a failover now could lose; `waiting` the runs that need a person; `estate_change` files that are not
    loaded.
    """

    alarms: tuple[Alarm, ...] = ()
    running: tuple[str, ...] = ()
    risks: tuple[DataRisk, ...] = ()
    estate_change: EstateChange | None = None
    waiting: tuple[WaitingRun, ...] = ()


class ViewContext:
    """Everything the engine knows at one instant. Verdicts are computed once and used by all views.

    `reads` records what a view used, so that it is built again only when that has changed.
    """

    def __init__(
        self,
        judgement: Judgement,
        folds: Folds,
        journal: JournalState,
        library: Mapping[str, RunbookRow],
        memory: Memory,
        consoles: Mapping[str, ConsoleRow] | None = None,
        failed: tuple[str, ...] = (),
    ) -> None:
        self.consoles = consoles or {}
        """The attached consoles."""
        self._failed = failed
        self.estate, self.library, self.memory = judgement.estate, library, memory
        self._judgement, self._folds, self._journal = judgement, folds, journal
        self.reads = Reads()

    @property
    def now_mono(self) -> float:
        """The instant of this look, in monotonic seconds; a view of it is another one with every version."""
        self.reads.world = True
        return self._judgement.now_mono

    @property
    def wall(self) -> float | None:
        """The engine's own clock at this look, epoch seconds."""
        self.reads.world = True
        return self._judgement.wall

    @property
    def world(self) -> World:
        """What was read from outside."""
        self.reads.world = True
        return self._judgement.world

    @property
    def journal(self) -> JournalState:
        """The state of the journal."""
        self.reads.journal = True
        return self._journal

    def of(self, state: type[S]) -> S:
        """The state of one projection."""
        self.reads.states.add(state)
        return self._folds.of(state)

    @property
    def clusters(self) -> Mapping[str, ClusterVerdict]:
        """The verdicts on all clusters."""
        self.reads.world = True
        return self._judgement.clusters

    @property
    def services(self) -> Mapping[str, ServiceVerdict]:
        """The verdicts on all services."""
        self.reads.world = True
        return self._judgement.services

    @property
    def restores(self) -> Mapping[str, RestoreRow]:
        """To what every database can be restored."""
        self.reads.world = True
        return self._judgement.restores

    @property
    def releases(self) -> Mapping[str, ReleasesVerdict]:
        """The verdicts on the releases of every service that has any."""
        self.reads.world = True
        self.reads.states.add(Ledger)
        return self._judgement.releases

    @property
    def healths(self) -> Mapping[str, Health]:
        """The health of every database and service."""
        self.reads.world = True
        return self._judgement.healths

    @property
    def picture(self) -> Picture:
        """What is wrong now, in the order to deal with it."""
        self.reads.world = True
        self.reads.states |= {Detector, Onsets, RunHistory}
        return self._picture

    @cached_property
    def _picture(self) -> Picture:
        of = self._folds.of
        return picture(self._judgement, of(Detector), of(Onsets), of(RunHistory), self.library)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Everything that is wrong, the worst first: what the readings show, views that could not be built, and the
        alarms of every capability."""
        found = self.picture.causes
        told = [as_cause(Alarm(each)) for each in self._failed]
        told += [as_cause(alarm) for each in self.contributions for alarm in each.alarms]
        loud, quiet = [c for c in found if c.loud], [c for c in found if not c.loud]
        return tuple(sorted((*loud, *told, *quiet), key=lambda cause: -rank(cause.health)))

    @property
    def contributions(self) -> tuple[Contribution, ...]:
        """What every capability adds, in the order of their registration."""
        self.reads.everything = True
        return self._contributions

    @cached_property
    def _contributions(self) -> tuple[Contribution, ...]:
        return tuple(contribute(self) for contribute in parts("contributions"))


def as_cause(alarm: Alarm) -> Cause:
    """What is reported in whole words."""
    key, said = f"alarm/{alarm.message}", alarm.message
    return Cause(key, SubjectKind.OTHER, "", Health.WARN, None, said, said, (), None, alarm.next, (), True)


@dataclass(slots=True)
class Reads:
    """What one view has used."""

    world: bool
    journal: bool
    everything: bool
    states: set[type[Any]]

    def __init__(self) -> None:
        self.world = self.journal = self.everything = False
        self.states = set()
