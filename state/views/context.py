"""What views are built from, and what each capability adds to the screens of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from state.api.views.header import DataRisk, RtoClock
from state.api.views.runbooks import RunbookRow
from state.capabilities import parts
from state.estate.model import Estate
from state.journal.projection import Folds
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.service import ServiceVerdict, service_verdicts
from state.views.memory import Memory
from state.world.world import World

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class JournalState:
    """How the journal stands: `unavailable` and `doubt` are empty when all is well."""

    seq: int = 0
    head: str = ""
    unavailable: str = ""
    doubt: str = ""
    verified: str = ""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one capability adds to header, banner and advice.

    `alarms` must be seen from every screen, gravest first; `running` names what is under way; `clocks` are running
    objectives; `risks` what a failover now could lose; `advice` what to recover first, and why.
    """

    alarms: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    clocks: tuple[RtoClock, ...] = ()
    risks: tuple[DataRisk, ...] = ()
    advice: str = ""


class ViewContext:
    """One look at everything the engine knows, at one instant. Verdicts are made once and shared by all views.

    `reads` notes what a view looked at, so that it is built again only when that has moved.
    """

    def __init__(
        self,
        estate: Estate,
        world: World,
        now_mono: float,
        folds: Folds,
        journal: JournalState,
        library: Mapping[str, RunbookRow],
        memory: Memory,
    ) -> None:
        self.estate, self.now_mono, self.library, self.memory = estate, now_mono, library, memory
        self._world, self._folds, self._journal = world, folds, journal
        self._clusters: dict[str, ClusterVerdict] = {}
        self.reads = Reads()

    @property
    def world(self) -> World:
        """What was read from outside."""
        self.reads.world = True
        return self._world

    @property
    def journal(self) -> JournalState:
        """How the journal stands."""
        self.reads.journal = True
        return self._journal

    def of(self, state: type[S]) -> S:
        """The state of one projection."""
        self.reads.states.add(state)
        return self._folds.of(state)

    def cluster(self, name: str) -> ClusterVerdict:
        """The verdict on one database cluster."""
        found = self._clusters.get(name)
        if found is None:
            found = cluster_verdict(name, self.estate.databases[name], self.world, self.now_mono)
            self._clusters[name] = found
        self.reads.world = True
        return found

    @property
    def clusters(self) -> dict[str, ClusterVerdict]:
        """The verdicts on all clusters."""
        return {name: self.cluster(name) for name in self.estate.databases}

    @property
    def services(self) -> Mapping[str, ServiceVerdict]:
        """The verdicts on all services."""
        self.reads.world = True
        return self._services

    @property
    def contributions(self) -> tuple[Contribution, ...]:
        """What every capability adds, in the order of their registration."""
        self.reads.everything = True
        return self._contributions

    @cached_property
    def _services(self) -> Mapping[str, ServiceVerdict]:
        databases = {name: cluster.health for name, cluster in self.clusters.items()}
        return service_verdicts(self.estate, self.world, self.now_mono, databases)

    @cached_property
    def _contributions(self) -> tuple[Contribution, ...]:
        return tuple(contribute(self) for contribute in parts("contributions"))


@dataclass(slots=True)
class Reads:
    """What one view looked at."""

    world: bool
    journal: bool
    everything: bool
    states: set[type[Any]]

    def __init__(self) -> None:
        self.world = self.journal = self.everything = False
        self.states = set()
