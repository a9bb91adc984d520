"""What the engine itself notices and records: services impaired and recovered, split brain, lost runtime state."""

from __future__ import annotations

from dataclasses import replace

from state.api.views.header import RtoClock
from state.errors import JournalUnavailable
from state.estate.model import Estate
from state.health import Health
from state.journal.events import Event, EventKind, Recorded
from state.journal.writer import Journal
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.service import service_verdicts
from state.verdicts.split_brain import split_resolved
from state.verdicts.traffic import drift, process_key
from state.world.observed import Observed
from state.world.readings import BalancerReading, Reading
from state.world.world import World

STEADY = 3
"""Verdicts in a row before a service counts as impaired or recovered; one sample may lie."""


class Detector:
    """Folds its own events, so clocks survive a restart; evaluates the world on every tick."""

    def __init__(self, estate: Estate, world: World, actor: str) -> None:
        self._estate, self._world, self._actor = estate, world, actor
        self.clocks: dict[str, RtoClock] = {}
        self.splits: dict[str, tuple[str, ...]] = {}
        self.drifts: dict[str, str] = {}
        self.expected: dict[str, int | str] = {}
        self._streaks: dict[str, tuple[Health, int, float]] = {}
        self._pending: list[Event] = []

    def fold(self, recorded: Recorded, mono: float) -> None:
        """Apply one entry; `mono` is its instant on this engine's clock."""
        event, body = recorded.event, recorded.event.body
        match event.kind:
            case EventKind.SERVICE_IMPAIRED:
                since = mono - float(body["since"])
                self.clocks[body["service"]] = RtoClock(body["service"], since, float(body["target"]), None)
            case EventKind.SERVICE_RECOVERED:
                clock = self.clocks.get(body["service"])
                if clock is not None:
                    self.clocks[body["service"]] = replace(clock, ended_mono=mono)
            case EventKind.OUTCOME_RECORDED if body["state"] == "done":
                self.expected.update(body["figures"].get("expected", {}))
            case _:
                return

    def heard(self, before: Observed[Reading], now: Observed[Reading]) -> None:
        """Compare a balancer with what confirmed effects left there; say so once when it differs."""
        old, new = before.value, now.value
        if not isinstance(new, BalancerReading) or now.error is not None:
            return
        message = drift(old if isinstance(old, BalancerReading) else None, new, self.expected)
        if not message:
            self.drifts.pop(new.name, None)
            self.expected[process_key(new.name)] = new.process
        elif new.name not in self.drifts:
            self.drifts[new.name] = message
            body = {"balancer": new.name, "words": f"{new.name}: {message}"}
            self._pending.append(Event(EventKind.DRIFT_DETECTED, self._actor, body=body))

    def tick(self, now_mono: float) -> None:
        """Judge every service and cluster once."""
        databases: dict[str, Health] = {}
        for name, entry in self._estate.databases.items():
            cluster = cluster_verdict(name, entry, self._world, now_mono)
            databases[name] = cluster.health
            self._split_brain(name, cluster)
        for name, verdict in service_verdicts(self._estate, self._world, now_mono, databases).items():
            self._judge(name, self._estate.services[name].rto, verdict.health, verdict.message, now_mono)

    def _split_brain(self, name: str, cluster: ClusterVerdict) -> None:
        """Two writers are recorded at once; cleared only when each of them speaks and at most one writes."""
        known = self.splits.get(name)
        if cluster.split is not None and known is None:
            self.splits[name] = cluster.split.nodes
            body = {"database": name, "words": cluster.split.message}
            self._pending.append(Event(EventKind.SPLIT_BRAIN_DETECTED, self._actor, body=body))
        elif cluster.split is None and known is not None and split_resolved(cluster.facts, known):
            del self.splits[name]
            body = {"database": name, "words": f"{name}: one node takes writes again"}
            self._pending.append(Event(EventKind.SPLIT_BRAIN_CLEARED, self._actor, body=body))

    def _judge(self, name: str, rto: float, health: Health, message: str, now_mono: float) -> None:
        last, count, since = self._streaks.get(name, (Health.UNKNOWN, 0, now_mono))
        count, since = (count + 1, since) if health is last else (1, now_mono)
        self._streaks[name] = (health, count, since)
        clock = self.clocks.get(name)
        running = clock is not None and clock.ended_mono is None
        if count != STEADY:
            return
        if health is Health.FAIL and not running:
            body = {
                "service": name,
                "target": rto,
                "since": round(now_mono - since, 3),
                "words": f"{name}: {message}",
            }
            self._pending.append(Event(EventKind.SERVICE_IMPAIRED, self._actor, body=body))
        elif health in (Health.PASS, Health.WARN) and running and clock is not None:
            took = now_mono - clock.started_mono
            said = f"{name} recovered after {took:.1f} s of {rto:.0f} s"
            body = {"service": name, "seconds": round(took, 3), "target": rto, "words": said}
            self._pending.append(Event(EventKind.SERVICE_RECOVERED, self._actor, body=body))

    async def record(self, journal: Journal) -> None:
        """Write down what was noticed; what cannot be written now is tried again on the next tick."""
        while self._pending:
            event = self._pending[0]
            try:
                await journal.append(event)
            except JournalUnavailable:
                return
            self._pending.pop(0)
