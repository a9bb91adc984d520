"""What the engine detects and records: services impaired and recovered, split brain, drift of balancers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
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
from state.detection.follow import calm, remembered
from state.estate.model import Estate
from state.health import Health
from state.journal.events import Body, Event, Observation, Recorded
from state.journal.needed import About
from state.journal.projection import FoldSetting, Projection
from state.ports.target import Setting
from state.runs.events import EffectAmended, EffectEnded, EffectIntended, StepEnded
from state.verdicts.drift import Difference, SettingKey, difference, drifts, key_of
from state.verdicts.replication import ClusterVerdict
from state.verdicts.service import ServiceVerdict
from state.verdicts.split_brain import split_resolved
from state.world.balancer_parts import BalancerReading
from state.world.observed import Observed
from state.world.readings import Reading

STEADY = 3
"""Verdicts in a row before a service counts as impaired or recovered."""
READINGS = 2.0
"""Intervals of polling that they must span: one reading may be wrong, and is judged several times."""
FLAPS = 30.0
"""Seconds: a service that fails again sooner after its recovery flaps, it was not recovered; its clock goes on."""


class Detector:
    """Folds its own events, so clocks survive a restart; judges the world on every tick.

    What is kept of services and balancers outlives an estate that does not name them; what is shown is of the estate
    in force. `drifts` holds per balancer and backend what differs from the settings that confirmed effects left.
    While an effect is under way on a target, no drift is reported there; afterwards only readings taken after its
    outcome was recorded count.
    """

    def __init__(self, setting: FoldSetting) -> None:
        self._judge, self._actor = setting.judge, setting.actor
        self._mono, self._boot = setting.mono, setting.boot
        self._clocks: dict[str, RtoClock] = {}
        self._failing: dict[str, float] = {}
        self.splits: dict[str, SplitBrainDetected] = {}
        self._drifts: dict[str, Mapping[str, str]] = {}
        self._expected: dict[SettingKey, tuple[Setting, float]] = {}
        self._under_way: dict[str, tuple[str, ...]] = {}
        self._differences: dict[str, dict[SettingKey, Difference]] = {}
        self._recorded_drifts: dict[tuple[str, str], dict[str, Difference]] = {}
        self._processes: dict[str, str] = {}
        self._streaks: dict[str, tuple[Health, int, float]] = {}
        self._returns: dict[str, int] = {}
        self._calmed: dict[str, float] = {}
        self._turns: dict[tuple[str, ...], deque[float]] = {}
        self._untold: dict[tuple[str, str], int] = {}
        self._healths: dict[str, Health] = {}
        self.urgent = False
        """Whether a verdict differs from the last tick."""
        self._pending: list[Event] = []

    @property
    def clocks(self) -> dict[str, RtoClock]:
        """The clocks of the services in the estate in force, against its objectives."""
        services = self._judge.estate.services
        return {n: replace(c, target=services[n].rto) for n, c in self._clocks.items() if n in services}

    @property
    def shown(self) -> dict[str, RtoClock]:
        """The same as people see them: the clock of a service that passes again stands, while it has only to stay so
        for some time until that is recorded. It goes on from its beginning when the service fails before."""
        found = self.clocks
        for name, (health, count, since) in self._streaks.items():
            clock = found.get(name)
            good = health in (Health.PASS, Health.WARN) and count >= STEADY
            if good and clock is not None and clock.ended_mono is None:
                found[name] = replace(clock, ended_mono=max(clock.started_mono, since))
        return found

    @property
    def drifts(self) -> dict[str, Mapping[str, str]]:
        """What differs on the balancers in the estate in force, in words by backend."""
        balancers = self._judge.estate.balancers
        return {name: changed for name, changed in self._drifts.items() if name in balancers}

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry."""
        if not recorded.erased:
            self._take(recorded.body, recorded)
        elif recorded.kind == EffectEnded.kind:
            self._forget(f"{recorded.event.run}/{recorded.event.step}")

    def _forget(self, effect: str) -> None:
        """An outcome was erased: the effect is over. Retention erases intents first, and only where later effects say
        what the settings are now; where the intent is still there, those of its targets are not known any more."""
        targets = self._under_way.pop(effect, ())
        self._expected = {k: v for k, v in self._expected.items() if "/".join(k[0][:2]) not in targets}

    @singledispatchmethod
    def _take(self, body: Body, recorded: Recorded) -> None:
        raise TypeError(f"the detector does not read {recorded.kind}")

    @_take.register
    def _(self, body: ServiceImpaired, recorded: Recorded) -> None:
        self._turned(recorded, "service", body.service)
        since = self._failing[body.service] = self._mono(recorded) - body.since
        self._clocks[body.service] = RtoClock(body.service, since, body.target, None)

    @_take.register
    def _(self, body: ServiceRecovered, recorded: Recorded) -> None:
        self._turned(recorded, "service", body.service)
        self._failing.pop(body.service, None)
        clock = self._clocks.get(body.service)
        if clock is not None:
            self._clocks[body.service] = replace(clock, ended_mono=clock.started_mono + body.seconds)

    @_take.register
    def _(self, body: EffectIntended, recorded: Recorded) -> None:
        self._under_way[body.effect] = body.targets

    @_take.register
    def _(self, body: EffectEnded, recorded: Recorded) -> None:
        self._under_way.pop(body.effect, None)
        if body.finding is Finding.NOT_DONE:
            return  # it left nothing of its own
        self._expect(body.leaves, recorded)

    @_take.register
    def _(self, body: EffectAmended, recorded: Recorded) -> None:
        self._expect(body.leaves, recorded)

    @_take.register
    def _(self, body: StepEnded, recorded: Recorded) -> None:
        self._expect(body.found, recorded)

    def _expect(self, settings: tuple[Setting, ...], recorded: Recorded) -> None:
        for setting in settings:
            if len(setting.place) < 2:
                continue  # of a database: it is judged by its readings, and nothing else is expected of it
            self._recorded_drifts.pop((setting.place[0], setting.place[1]), None)
            self._expected[key_of(setting)] = (setting, self._mono(recorded))

    @_take.register
    def _(self, body: SplitBrainDetected, recorded: Recorded) -> None:
        self._turned(recorded, "split", body.database)
        self.splits[body.database] = body

    @_take.register
    def _(self, body: SplitBrainCleared, recorded: Recorded) -> None:
        self._turned(recorded, "split", body.database)
        self.splits.pop(body.database, None)

    @_take.register
    def _(self, body: DriftDetected, recorded: Recorded) -> None:
        for backend in {each.backend for each in body.differences}:
            self._turned(recorded, "drift", body.balancer, backend)
            self._recorded_drifts[body.balancer, backend] = {each.message: each for each in body.differences}

    def _turned(self, recorded: Recorded, *subject: str) -> None:
        """An earlier engine recorded something about a subject; what this one does was counted when it was noticed."""
        if recorded.boot != self._boot:
            self._turns.setdefault(subject, remembered()).append(self._mono(recorded))

    def _tell(self, body: Observation, now: float, *subject: str) -> None:
        """Have it recorded. A subject that changes all the time is told less often: see `calm`."""
        self._turns.setdefault(subject, remembered()).append(now)
        self._pending.append(Event(body, self._actor))

    def _calm(self, now: float, *subject: str) -> float:
        return calm(self._turns.get(subject, ()), now)

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
        self._differences[name], self._drifts[name] = found, drifts(found.values())
        for backend in new:
            self._untold[name, backend] = self._untold.get((name, backend), 0) + 1
        if whole:
            self._processes[name] = reading.process

    def notice(self, now_mono: float) -> list[Event]:
        """Judge every service and cluster once; returns what is to be recorded since the last tick."""
        judgement = self._judge.at(now_mono)
        self._tell_drifts(judgement.estate, now_mono)
        for name, cluster in judgement.clusters.items():
            self._split_brain(name, cluster, now_mono)
        for name, verdict in judgement.services.items():
            estate = judgement.estate
            self._follow(name, estate.services[name].rto, verdict, now_mono, READINGS * estate.polling.every)
        self._streaks = {n: streak for n, streak in self._streaks.items() if n in judgement.services}
        before, self._healths = self._healths, judgement.healths
        self.urgent = self._healths != before
        noticed, self._pending = self._pending, []
        return noticed

    def _tell_drifts(self, estate: Estate, now_mono: float) -> None:
        """Record the differences that are new, as they are now."""
        for (name, backend), count in list(self._untold.items()):
            turns = self._turns.get(("drift", name, backend))
            if name not in estate.balancers:
                continue
            if turns and now_mono - turns[-1] < self._calm(now_mono, "drift", name, backend):
                continue
            del self._untold[name, backend]
            found = self._differences.get(name, {}).values()
            differences = tuple(dict.fromkeys(each for each in found if each.backend == backend))
            if differences:
                more = f" (changed {count - 1} times more meanwhile)" if count > 1 else ""
                message = f"{name}: {self._drifts[name][backend]}{more}"
                body = DriftDetected(name, message, differences, count - 1)
                self._tell(body, now_mono, "drift", name, backend)

    def _split_brain(self, name: str, cluster: ClusterVerdict, now_mono: float) -> None:
        """Two writers are recorded at once, and each further one; cleared only when all of them answer and at most one
        accepts writes."""
        known, split = self.splits.get(name), cluster.split
        if split is not None and (known is None or not set(split.nodes) <= set(known.nodes)):
            before = known.nodes if known is not None else ()
            one_number = split.one_number or (known is not None and known.one_number)
            body = SplitBrainDetected(name, split.message, tuple(dict.fromkeys((*before, *split.nodes))), one_number)
            self.splits[name] = known = body
            self._tell(body, now_mono, "split", name)
        if known is None:
            return
        named = known.nodes or cluster.facts.nodes
        if cluster.split is not None or not split_resolved(cluster.facts, named, one_number=known.one_number):
            self._calmed.pop(name, None)
        elif now_mono - self._calmed.setdefault(name, now_mono) >= self._calm(now_mono, "split", name):
            del self.splits[name], self._calmed[name]
            cleared = SplitBrainCleared(name, f"{name}: at most one node accepts writes again")
            self._tell(cleared, now_mono, "split", name)

    def _follow(self, name: str, rto: float, verdict: ServiceVerdict, now_mono: float, least: float) -> None:
        """Say once that a service fails, and once that it does no more; what was said may not be recorded yet. Either
        must have lasted for `least` seconds.

        On part of the evidence it has not recovered: the instance that failed may be the silent one.
        """
        health, message = verdict.health, verdict.message
        if verdict.partial and health is not Health.FAIL:
            health = Health.UNKNOWN
        last, count, since = self._streaks.get(name, (Health.UNKNOWN, 0, now_mono))
        began = self._failing.get(name)
        if began is not None and health is Health.FAIL and last is not health:
            self._returns[name] = self._returns.get(name, 0) + 1
        good = health in (Health.PASS, Health.WARN)
        same = health is last or (good and last in (Health.PASS, Health.WARN))
        count, since = (count + 1, since) if same else (1, now_mono)
        self._streaks[name] = (health, count, since)
        if count < STEADY or now_mono - since < least:
            return
        if health is Health.FAIL and began is None:
            former = self._clocks.get(name)
            ended = former.ended_mono if former is not None else None
            flaps = ended is not None and since - ended < FLAPS
            if former is not None and ended is not None and flaps:
                message += f"; it flaps, {max(0.0, since - ended):.0f} s after it recovered: its clock goes on"
                since = former.started_mono
            self._failing[name], self._returns[name] = since, 0
            impaired = ServiceImpaired(name, rto, round(now_mono - since, 3), f"{name}: {message}", flaps)
            self._tell(impaired, now_mono, "service", name)
        elif good and began is not None and now_mono - since >= (wait := self._calm(now_mono, "service", name)):
            del self._failing[name]
            took, more = (since if wait else now_mono) - began, self._returns.pop(name, 0)
            message = f"{name} recovered after {took:.1f} s of {rto:.0f} s"
            message += f" (failed {more} times more meanwhile)" if more else ""
            self._tell(ServiceRecovered(name, round(took, 3), rto, message, more), now_mono, "service", name)


def _subjects(recorded: Recorded) -> Iterator[About]:
    """Of each setting, service and database the newest entry; of an effect its intent, until it has ended."""
    match recorded.body:
        case ServiceImpaired() | ServiceRecovered() as told:
            yield About((recorded.kind, told.service))
        case SplitBrainDetected() | SplitBrainCleared() as told:
            yield About(("split", told.database), closes=isinstance(told, SplitBrainCleared))
        case EffectIntended() as intent:
            yield About(("effect", intent.effect))
        case DriftDetected() as drift:
            yield from (About(("drift", drift.balancer, each.backend)) for each in drift.differences)
        case StepEnded(found=settings):
            yield from (About(("setting", key_of(setting))) for setting in settings)
        case _ if recorded.kind == EffectEnded.kind:
            yield from _ended(recorded)


def _ended(recorded: Recorded) -> Iterator[About]:
    yield About(("effect", f"{recorded.event.run}/{recorded.event.step}"), closes=True)
    ended = recorded.body
    if isinstance(ended, EffectEnded) and ended.finding is not Finding.NOT_DONE:
        yield from (About(("setting", key_of(setting))) for setting in ended.leaves)


DETECTOR = Projection(
    Detector,
    Detector,
    (
        ServiceImpaired,
        ServiceRecovered,
        SplitBrainDetected,
        SplitBrainCleared,
        EffectIntended,
        EffectEnded,
        EffectAmended,
        StepEnded,
        DriftDetected,
    ),
    Detector.fold,
    Detector.on_reading,
    Detector.notice,
    _subjects,
)
