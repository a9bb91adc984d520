"""A night that is watched by the projections of the engine: readings, clocks and a journal, all in memory."""

from __future__ import annotations

from dataclasses import replace

from state.api.views.causes import Cause
from state.api.views.overview import Suppression
from state.capabilities import load_events
from state.detection.detector import Detector
from state.detection.past import REMEMBRANCE, Remembrance
from state.detection.slots import SlotMemory
from state.detection.watch import NightWatch
from state.engine.life import Life
from state.errors import Trouble
from state.estate.model import Estate
from state.journal.events import Event, Observation, Recorded
from state.journal.format import Sealer, unseal
from state.journal.projection import FoldSetting
from state.verdicts.evidence import rank
from state.verdicts.judge import Judge
from state.world.balancer_parts import BalancerReading
from state.world.observed import Observed, ReadError
from state.world.readings import (
    Alert,
    AlertsReading,
    MetricsReading,
    PatroniReading,
    PostgresReading,
    Reading,
    ServiceTraffic,
)
from state.world.world import World
from tests.unit.verdict_world import ESTATE, SCRAPED, WALL, primary, standby

LIMIT = 3.0
ALERTS, METRICS, EDGE = "alerts:alertmanager", "metrics:prometheus", "balancer:edge-east"


class Hands:
    """Clocks that are set by hand."""

    def __init__(self) -> None:
        self.now, self.ahead = 1000.0, WALL

    def mono(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.ahead


class Night:
    """A world whose sources are read once a second, and the projections that watch it `ticks` times a second."""

    def __init__(self, estate: Estate = ESTATE) -> None:
        self.clock, self.estate, self.boot = Hands(), estate, 0
        self.journal: list[Recorded] = []
        self.mark, self.ticks = 0, 4
        self.readings: dict[str, Reading | None] = {}
        self.full = False
        self.unrecorded: list[Event] = []
        self.restart()

    def restart(self) -> None:
        """Another engine on the same journal: it has read nothing yet."""
        self.boot += 1
        self.world = World()
        self.unrecorded.clear()
        self.judge = Judge(self.estate, self.world)
        setting = FoldSetting(self.estate, self.judge, self.clock, f"boot{self.boot}", "engine@test")
        self.states = (Detector(setting), NightWatch(setting), Life(setting), SlotMemory(setting))
        self.remembrance = Remembrance(setting)
        for key in self.readings:
            self.world.observed[key] = Observed(key, LIMIT)
        for entry in self.journal:
            self._fold(entry)

    def _fold(self, entry: Recorded) -> None:
        detector, watch, life, slots = self.states
        watch.fold(entry)
        life.fold(entry)
        slots.fold(entry)
        if isinstance(entry.body, REMEMBRANCE.kinds):
            self.remembrance.fold(entry)
        if entry.kind.startswith(("service.im", "service.re", "split", "drift")):
            detector.fold(entry)

    def record(self, body: Observation) -> None:
        """Durable, and read back from its bytes as after a restart."""
        event = Event(body, "engine@test")
        sealer = Sealer("n", f"boot{self.boot}")
        sealed = sealer.seal(
            event, seq=len(self.journal) + 1, previous=bytes(32), at=self.clock.wall(), mono=self.clock.now
        )
        self.journal.append(unseal(sealed))
        self._fold(self.journal[-1])

    def sleep(self, seconds: float) -> None:
        """Time passes; sources that answer are read once a second."""
        for tick in range(round(seconds * self.ticks)):
            self.clock.now += 1 / self.ticks
            if tick % self.ticks == self.ticks - 1:
                self.poll()
            self.unrecorded += [event for state in self.states for event in state.notice(self.clock.now)]
            while self.unrecorded and not self.full:
                self.record(self.unrecorded.pop(0).body)  # type: ignore[arg-type]

    def poll(self) -> None:
        for key, reading in self.readings.items():
            before = self.world.observed.get(key) or Observed(key, LIMIT)
            if reading is None:
                now = before.failed(ReadError(Trouble.TIMEOUT, "no answer within 0.9 s", self.clock.wall()))
            else:
                now = before.succeeded(reading, self.clock.wall(), self.clock.now)
            self.world.observed[key] = now

    def put(self, key: str, reading: Reading | None) -> None:
        """What a source answers from now on; None = it does not."""
        self.readings[key] = reading

    def causes(self, name: str = "orders") -> list[Cause]:
        """What is wrong with a database now, the worst first."""
        found = [c for c in self.judge.at(self.clock.now).causes if c.name == name]
        return sorted(found, key=lambda c: -rank(c.health))

    def bodies(self, *kinds: type[Observation]) -> list[Observation]:
        """What was recorded since the evening."""
        wanted = self.journal[self.mark :]
        return [e.body for e in wanted if isinstance(e.body, kinds or (Observation,))]  # type: ignore[misc]

    def kinds(self) -> list[str]:
        return [e.kind for e in self.journal[self.mark :]]


def cluster(leader: str = "n1", timeline: int = 1, position: int = 1000) -> dict[str, PostgresReading]:
    """Three nodes that follow one."""
    made = {n: replace(standby(n, position), timeline=timeline) for n in ("n1", "n2", "n3") if n != leader}
    return {**made, leader: primary(leader, position, timeline)}


def patroni(node: str, role: str) -> PatroniReading:
    return PatroniReading(node, "orders", role, "running", 1, 1000, "7", "4", False, False, False, 0.1)


def alert(fingerprint: str, state: str = "active", severity: str = "critical") -> Alert:
    silence = Suppression("silenced", "ada", None, "") if state == "suppressed" else None
    return Alert(f"Alert{fingerprint}", state, severity, WALL, "it burns", fingerprint, suppressed=silence)


def figures(errors: float) -> MetricsReading:
    return MetricsReading({"checkout": ServiceTraffic("checkout", 50.0, errors, 0.1, scraping=SCRAPED)})


def calm_night() -> Night:
    """Everything answers, and what was first recorded in the evening is past."""
    load_events()
    night = Night()
    for node, reading in cluster().items():
        night.put(f"postgres:orders/{node}", reading)
        night.put(f"patroni:orders/{node}", patroni(node, "primary" if node == "n1" else "replica"))
    night.put(ALERTS, AlertsReading((), True))
    night.put(METRICS, MetricsReading({}))
    night.put(EDGE, BalancerReading("edge-east", "2", "10:1", WALL, {}))
    night.sleep(20)
    assert night.kinds() == ["leader.changed", "service.unknown"], "the first leader, and services without figures"
    night.mark = 2
    return night
