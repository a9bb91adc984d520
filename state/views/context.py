"""What views are built from, and what each capability adds to the screens of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from state.api.views.header import DataRisk, RtoClock
from state.api.views.runbooks import RunbookRow
from state.capabilities import parts
from state.estate.model import Estate
from state.journal.projection import Folds
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.service import ServiceVerdict, service_verdicts
from state.views.memory import Memory
from state.world.world import World


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


@dataclass
class ViewContext:
    """One look at everything the engine knows, at one instant. Verdicts are made once and shared by all views."""

    estate: Estate
    world: World
    now_mono: float
    folds: Folds
    journal: JournalState
    library: Mapping[str, RunbookRow]
    memory: Memory
    _clusters: dict[str, ClusterVerdict] = field(default_factory=dict)

    def cluster(self, name: str) -> ClusterVerdict:
        """The verdict on one database cluster."""
        found = self._clusters.get(name)
        if found is None:
            found = cluster_verdict(name, self.estate.databases[name], self.world, self.now_mono)
            self._clusters[name] = found
        return found

    @property
    def clusters(self) -> dict[str, ClusterVerdict]:
        """The verdicts on all clusters."""
        return {name: self.cluster(name) for name in self.estate.databases}

    @cached_property
    def services(self) -> Mapping[str, ServiceVerdict]:
        """The verdicts on all services."""
        databases = {name: cluster.health for name, cluster in self.clusters.items()}
        return service_verdicts(self.estate, self.world, self.now_mono, databases)

    @cached_property
    def contributions(self) -> tuple[Contribution, ...]:
        """What every capability adds, in the order of their registration."""
        return tuple(contribute(self) for contribute in parts("contributions"))
