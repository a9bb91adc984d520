"""All verdicts at one instant, computed once, so that detector, views and header cannot disagree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import is_
from typing import Any

from state.api.views.causes import Cause
from state.api.views.restore import RestoreRow
from state.estate.model import Estate
from state.health import Health
from state.verdicts.cause_service import PastTrouble
from state.verdicts.causes import find_causes
from state.verdicts.instances import service_truth
from state.verdicts.past import KEPT_POINTS, NO_PAST, DatabasePast, PointPast, ProofTime, SlotPast
from state.verdicts.releases import ReleasesVerdict, has_releases, releases_verdict
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.restore_window import restore_row
from state.verdicts.service import ServiceVerdict, service_verdicts
from state.world.observed import Observed
from state.world.release_parts import Release
from state.world.world import World

SAME_INSTANT = 0.1
"""Seconds for which verdicts on the same readings are kept: ages have hardly changed."""


@dataclass
class Judgement:
    """The verdicts on one world at one instant, each computed when first used."""

    estate: Estate
    world: World
    now_mono: float
    past: Mapping[str, PastTrouble] = field(default_factory=dict)
    """The last trouble of each database that had one."""
    known: Mapping[str, DatabasePast] = field(default_factory=dict)
    """What the journal tells of each database."""
    proofs: Mapping[str, ProofTime] = field(default_factory=dict)
    """When a restore of each database was last proven."""
    points: Mapping[str, tuple[PointPast, ...]] = field(default_factory=dict)
    """The restore points of each database, the oldest first."""
    released: Mapping[str, tuple[Release, ...]] = field(default_factory=dict)
    """The releases of each service that pipelines recorded, the oldest first."""
    asked: float = 0.0
    """Seconds for which the sources have been asked."""
    wall: float | None = None
    """The engine's own clock, epoch seconds."""

    @cached_property
    def clusters(self) -> Mapping[str, ClusterVerdict]:
        """The verdicts on all database clusters."""
        return {
            name: cluster_verdict(
                name, entry, self.world, self.now_mono, self.known.get(name, NO_PAST), self.asked, self.wall
            )
            for name, entry in self.estate.databases.items()
        }

    @cached_property
    def services(self) -> Mapping[str, ServiceVerdict]:
        """The verdicts on all services."""
        databases = {name: cluster.health for name, cluster in self.clusters.items()}
        return service_verdicts(self.estate, self.world, self.now_mono, databases)

    @cached_property
    def restores(self) -> Mapping[str, RestoreRow]:
        """To what every database can be restored."""
        return {
            name: restore_row(
                cluster.facts,
                self.estate.databases[name].backups,
                self.world,
                self.now_mono,
                self.proofs.get(name),
                self.points.get(name, ()),
            )
            for name, cluster in self.clusters.items()
        }

    @cached_property
    def releases(self) -> Mapping[str, ReleasesVerdict]:
        """The verdicts on the releases of every service that has any."""
        truths = {
            name: service_truth(self.estate, name, self.world, self.now_mono, self.released.get(name, ()))
            for name in self.estate.services
            if has_releases(self.estate, name, self.released)
        }
        return {
            name: releases_verdict(self.estate, name, self.world, self.now_mono, self.released, truths)
            for name in truths
        }

    @cached_property
    def causes(self) -> tuple[Cause, ...]:
        """What is wrong, at its root; in no order, and with the instants that readings tell by themselves."""
        return find_causes(
            self.estate,
            self.world,
            self.now_mono,
            self.clusters,
            self.services,
            self.past,
            self.restores,
            self.releases,
        )

    @property
    def healths(self) -> dict[str, Health]:
        """The health of every database and service."""
        clusters = {name: cluster.health for name, cluster in self.clusters.items()}
        return clusters | {name: verdict.health for name, verdict in self.services.items()}


class Judge:
    """Judges one world by the `estate` in force, again only after a new reading or some time."""

    def __init__(self, estate: Estate, world: World, wall: Callable[[], float] | None = None) -> None:
        """`wall` tells the engine's own clock, epoch seconds."""
        self.estate, self._world, self._wall = estate, world, wall
        self._readings: list[Observed[Any]] = []
        self._last: Judgement | None = None
        self._past: dict[str, PastTrouble] = {}
        self._known: dict[str, DatabasePast] = {}
        self._proofs: dict[str, ProofTime] = {}
        self._points: dict[str, tuple[PointPast, ...]] = {}
        self._released: dict[str, tuple[Release, ...]] = {}
        self._began: float | None = None

    def remember(self, database: str, past: DatabasePast) -> None:
        """What the journal tells of a database from now on."""
        slots = self._known.get(database, NO_PAST).slots
        self._known, self._last = self._known | {database: replace(past, slots=slots)}, None

    def missed(self, database: str, slots: tuple[SlotPast, ...]) -> None:
        """The slots that a change of the writer of a database has cost, from now on."""
        past = replace(self._known.get(database, NO_PAST), slots=slots)
        self._known, self._last = self._known | {database: past}, None

    def proven(self, database: str, at: float, mono: float, said: str = "") -> None:
        """A restore of a database was proven at this time."""
        self._proofs, self._last = self._proofs | {database: ProofTime(at, mono, said)}, None

    def pointed(self, database: str, point: PointPast) -> None:
        """A restore point of a database was written."""
        known = (*self._points.get(database, ()), point)[-KEPT_POINTS:]
        self._points, self._last = self._points | {database: known}, None

    def released(self, service: str, releases: tuple[Release, ...]) -> None:
        """The releases of a service that are known from now on, the oldest first."""
        self._released, self._last = self._released | {service: releases}, None

    def renew(self, estate: Estate) -> None:
        """Judge by another estate from now on."""
        self.estate, self._last = estate, None

    def at(self, now_mono: float) -> Judgement:
        """The judgement now (monotonic seconds)."""
        last, readings = self._last, list(self._world.observed.values())
        young = last is not None and 0 <= now_mono - last.now_mono <= SAME_INSTANT
        same = young and len(readings) == len(self._readings) and all(map(is_, readings, self._readings))
        if last is None or not same:
            self._began = now_mono if self._began is None else self._began
            asked = now_mono - self._began
            last = self._last = Judgement(
                self.estate,
                self._world,
                now_mono,
                self._past,
                self._known,
                self._proofs,
                self._points,
                self._released,
                asked,
                None if self._wall is None else self._wall(),
            )
            self._readings = readings
            for name, cluster in last.clusters.items():
                if cluster.trouble:
                    self._past[name] = PastTrouble(name, cluster.trouble, now_mono)
        return last
