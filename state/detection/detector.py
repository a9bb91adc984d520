"""What the engine detects and records: services impaired and recovered, split brain, drift of balancers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import singledispatchmethod

from state.api.views.header import RtoClock
from state.changes.model import Finding
from state.detection.events import (
    DriftDetected,
    ServiceImpaired,
    ServiceRecovered,
    SplitBrainCleared,
    SplitBrainDetected,
)
from state.health import Health
from state.journal.events import Body, Event, Recorded
from state.journal.projection import FoldSetting, Projection
from state.ports.target import Setting
from state.runs.events import EffectEnded, EffectIntended
from state.verdicts.drift import Difference, SettingKey, difference, drifts, key_of
from state.verdicts.replication import ClusterVerdict
from state.verdicts.split_brain import split_resolved
from state.world.observed import Observed
from state.world.readings import BalancerReading, Reading

STEADY = 3
"""Verdicts in a row before a service counts as impaired or recovered; one sample may be wrong."""


class Detector:
    """Folds its own events, so clocks survive a restart; judges the world on every tick.

    `drifts` holds per balancer and backend what differs from the settings that confirmed effects left. While an
    effect is under way on a target, no drift is reported there; afterwards only readings taken after its outcome was
    recorded count.
    """

    def __init__(self, setting: FoldSetting) -> None:
        self._estate, self._judge, self._actor = setting.estate, setting.judge, setting.actor
        self._mono = setting.mono
        self.clocks: dict[str, RtoClock] = {}
        self._failing: dict[str, float] = {}
        self.splits: dict[str, tuple[str, ...]] = {}
        self.drifts: dict[str, Mapping[str, str]] = {}
        self._expected: dict[SettingKey, tuple[Setting, float]] = {}
        self._under_way: dict[str, tuple[str, ...]] = {}
        self._differences: dict[str, dict[SettingKey, Difference]] = {}
        self._recorded_drifts: dict[tuple[str, str], dict[str, Difference]] = {}
        self._processes: dict[str, str] = {}
        self._streaks: dict[str, tuple[Health, int, float]] = {}
        self._healths: dict[str, Health] = {}
        self.urgent = False
        """Whether a verdict differs from the last tick."""
        self._pending: list[Event] = []

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry."""
        if not recorded.erased:
            self._take(recorded.body, recorded)
        elif recorded.kind == EffectEnded.kind:
            self._forget(f"{recorded.event.run}/{recorded.event.step}")

    def _forget(self, effect: str) -> None:
        """An outcome was erased: the effect is over, and the settings of its targets are no longer known."""
        targets = self._under_way.pop(effect, None)
        kept = {k: v for k, v in self._expected.items() if targets and "/".join(k[0][:2]) not in targets}
        self._expected = kept

    @singledispatchmethod
    def _take(self, body: Body, recorded: Recorded) -> None:
        raise TypeError(f"the detector does not read {recorded.kind}")

    @_take.register
    def _(self, body: ServiceImpaired, recorded: Recorded) -> None:
        since = self._failing[body.service] = self._mono(recorded) - body.since
        self.clocks[body.service] = RtoClock(body.service, since, body.target, None)

    @_take.register
    def _(self, body: ServiceRecovered, recorded: Recorded) -> None:
        self._failing.pop(body.service, None)
        clock = self.clocks.get(body.service)
        if clock is not None:
            self.clocks[body.service] = replace(clock, ended_mono=clock.started_mono + body.seconds)

    @_take.register
    def _(self, body: EffectIntended, recorded: Recorded) -> None:
        self._under_way[body.effect] = body.targets

    @_take.register
    def _(self, body: EffectEnded, recorded: Recorded) -> None:
        self._under_way.pop(body.effect, None)
        if body.finding is Finding.NOT_DONE:
            return  # it left nothing of its own
        for setting in body.leaves:
            self._recorded_drifts.pop((setting.place[0], setting.place[1]), None)
            self._expected[key_of(setting)] = (setting, self._mono(recorded))

    @_take.register
    def _(self, body: DriftDetected, recorded: Recorded) -> None:
        for backend in {each.backend for each in body.differences}:
            self._recorded_drifts[body.balancer, backend] = {each.message: each for each in body.differences}

    def on_reading(self, now: Observed[Reading]) -> None:
        """Compare a balancer with what confirmed effects left there; each new difference is recorded once."""
        reading, read_at = now.value, now.mono
        if not isinstance(reading, BalancerReading) or now.error is not None or read_at is None or now.at is None:
            return
        name, started = reading.name, reading.started_at - (now.at - read_at)
        process = self._processes.get(name, "")
        before, found, whole = dict(self._differences.get(name, {})), dict[SettingKey, Difference](), True
        busy = {target for targets in self._under_way.values() for target in targets}
        for key, (setting, since) in self._expected.items():
            if setting.place[0] != name:
                continue
            known = before.get(key)
            if "/".join(setting.place[:2]) in busy or since >= read_at:
                whole, differs = False, known  # this reading proves nothing about it: keep the known difference
            else:
                restarted = process != reading.process if process else started > since
                differs = difference(reading, setting, restarted=restarted, known=known)
                if differs is not None and not process:  # the first reading: an earlier engine may have recorded it
                    earlier = self._recorded_drifts.get((name, differs.backend), {}).get(differs.message)
                    if earlier is not None:
                        before[key] = differs = earlier
            if differs is not None:
                found[key] = differs
        new = {each.backend: None for key, each in found.items() if before.get(key) != each}
        self._differences[name], self.drifts[name] = found, drifts(found.values())
        for backend in new:
            differences = tuple(dict.fromkeys(each for each in found.values() if each.backend == backend))
            body = DriftDetected(name, f"{name}: {self.drifts[name][backend]}", differences)
            self._pending.append(Event(body, self._actor))
        if whole:
            self._processes[name] = reading.process

    def notice(self, now_mono: float) -> list[Event]:
        """Judge every service and cluster once; returns what is to be recorded since the last tick."""
        judgement = self._judge.at(now_mono)
        for name, cluster in judgement.clusters.items():
            self._split_brain(name, cluster)
        for name, verdict in judgement.services.items():
            self._follow(name, self._estate.services[name].rto, verdict.health, verdict.message, now_mono)
        before, self._healths = self._healths, judgement.healths
        self.urgent = self._healths != before
        noticed, self._pending = self._pending, []
        return noticed

    def _split_brain(self, name: str, cluster: ClusterVerdict) -> None:
        """Two writers are recorded at once; cleared only when each of them answers and at most one accepts writes."""
        known = self.splits.get(name)
        if cluster.split is not None and known is None:
            self.splits[name] = cluster.split.nodes
            self._pending.append(Event(SplitBrainDetected(name, cluster.split.message), self._actor))
        elif cluster.split is None and known is not None and split_resolved(cluster.facts, known):
            del self.splits[name]
            body = SplitBrainCleared(name, f"{name}: at most one node accepts writes again")
            self._pending.append(Event(body, self._actor))

    def _follow(self, name: str, rto: float, health: Health, message: str, now_mono: float) -> None:
        """Say once that a service fails, and once that it does no more; what was said may not be recorded yet."""
        last, count, since = self._streaks.get(name, (Health.UNKNOWN, 0, now_mono))
        count, since = (count + 1, since) if health is last else (1, now_mono)
        self._streaks[name] = (health, count, since)
        if count < STEADY:
            return
        began = self._failing.get(name)
        if health is Health.FAIL and began is None:
            self._failing[name] = since
            impaired = ServiceImpaired(name, rto, round(now_mono - since, 3), f"{name}: {message}")
            self._pending.append(Event(impaired, self._actor))
        elif health in (Health.PASS, Health.WARN) and began is not None:
            del self._failing[name]
            took = now_mono - began
            message = f"{name} recovered after {took:.1f} s of {rto:.0f} s"
            self._pending.append(Event(ServiceRecovered(name, round(took, 3), rto, message), self._actor))


DETECTOR = Projection(
    Detector,
    Detector,
    (ServiceImpaired, ServiceRecovered, EffectIntended, EffectEnded, DriftDetected),
    Detector.fold,
    Detector.on_reading,
    Detector.notice,
)
