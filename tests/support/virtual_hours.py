"""`python -m tests.support.virtual_hours HOURS SEED`: an engine lives through hours of faults and work on virtual time.

The engine, its verdicts, views, runs and its journal on a disk are the product's own; what it reads and acts on is in
memory. A line each tenth of an hour: virtual minutes, resident kB, objects, entries, tasks. The last line says whether
the journal's chain is whole, with the counts of what was done.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.sqlite import SqliteJournal
from console.engine.memory import keep_what_is_there, return_memory, small_heaps
from state.api.requests import PlanChange, PlanRequest, PlanShare, PlanUndo, Stop, Submission
from state.api.run_states import RunState
from state.api.topics import Topic
from state.api.wire import plain
from state.capabilities import topics
from state.engine.engine import Engine
from state.errors import JournalUnavailable, ReadFailure, RecoveryError, Trouble
from state.journal.format import Sealed
from state.planning.library import Library
from state.ports.outside import Outside
from state.runs.fold import HELD, SLACK
from state.world.balancer_parts import BalancerReading
from state.world.readings import AlertsReading, MetricsReading, PostgresReading, Reading
from tests.support.proc_figures import taken
from tests.support.small_estate import COMMANDER, LoopClock
from tests.support.virtual_time import VirtualLoop, run_virtual
from tests.unit.night import alert
from tests.unit.verdict_world import ESTATE, healthy_world, metrics, primary, standby

STORM = 400
"""Alerts of a storm, each with a name that never was."""
EDGES = ("edge-east", "edge-west")
BOUNDED = (HELD + SLACK) // 2
"""Runs before the hours begin: what is bounded is nearly full."""


class Disk(SqliteJournal):
    """The real journal, on a disk that may be full."""

    full = False

    def append(self, entries: Any) -> None:
        if self.full:
            raise JournalUnavailable("disk full")
        rows: list[Sealed] = list(entries)
        super().append(rows)


@dataclass
class Source:
    """Says each second what is told of its key; nothing while it is silent."""

    key: str
    told: Callable[[str], Reading | None]
    every: float = 1.0
    deadline: float = 0.9
    limit: float = 3.0

    async def read(self) -> Reading:
        found = self.told(self.key)
        if found is None:
            raise ReadFailure(Trouble.TIMEOUT, "no answer")
        return found

    async def close(self) -> None:
        return


@dataclass
class Edge:
    """A balancer in memory as a source; a restart is another process."""

    balancer: MemoryBalancer
    silent: set[str]
    every: float = 1.0
    deadline: float = 0.9
    limit: float = 3.0
    restarts: int = 0

    @property
    def key(self) -> str:
        return f"balancer:{self.balancer.name}"

    async def read(self) -> BalancerReading:
        if self.key in self.silent:
            raise ReadFailure(Trouble.TIMEOUT, "no answer")
        found = await self.balancer.read(deadline=0.5)
        return replace(found, process=f"{self.restarts}@1", started_at=found.started_at + self.restarts)

    async def close(self) -> None:
        return


@dataclass
class Hours:
    """The engine, what it reads, and who works."""

    place: Path
    chance: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    silent: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        world = healthy_world()
        self.readings: dict[str, Reading] = {
            key: seen.value for key, seen in world.observed.items() if seen.value is not None and "balancer" not in key
        }
        self.readings["alerts:alertmanager"] = AlertsReading((), watchdog=True)
        self.edges = {n: MemoryBalancer(n, {"checkout": {"blue": 100, "green": 0}}) for n in EDGES}
        self.polled = [Edge(balancer, self.silent) for balancer in self.edges.values()]
        self.disk = Disk(self.place / "journal.db")

    def told(self, key: str) -> Reading | None:
        return None if key in self.silent else self.readings[key]

    def engine_on(self) -> Engine:
        sources = [*(Source(key, self.told) for key in self.readings), *self.polled]
        policies = ESTATE.policies.model_copy(update={"delivery": 0.2})
        estate = ESTATE.model_copy(update={"policies": policies})
        outside = Outside(sources, self.edges, {})
        return Engine(estate, outside, self.disk, LoopClock(), Library({}, estate, {}), node="t", pid=1, uid=0)

    async def move(self) -> None:
        """Each second somebody has written, and figures are a little other ones."""
        position = 90_000_000
        while True:
            await asyncio.sleep(1.0)
            position += self.chance.randrange(40_000)
            self._set("postgres:orders/n1", primary("n1", position))
            for node in ("n2", "n3"):
                self._set(f"postgres:orders/{node}", standby(node, position - self.chance.randrange(3_000)))
            for monitor in ("prometheus", "apps"):
                self._set(f"metrics:{monitor}", metrics(0.0, 50 + self.chance.random(), 0.05))

    def _set(self, key: str, now: PostgresReading | MetricsReading) -> None:
        self.readings[key] = now

    async def faults(self) -> None:
        """One after the other: a source silent, a storm of alerts, a full disk, a balancer started anew."""
        kinds = [self._silence, self._silence, self._storm, self._full, self._restart]
        while True:
            await asyncio.sleep(self.chance.uniform(5, 60))
            kind = self.chance.choice(kinds)
            self.counts[kind.__name__] += 1
            await kind()

    async def _silence(self) -> None:
        keys = self.chance.sample([*self.readings, *(edge.key for edge in self.polled)], self.chance.randint(1, 3))
        self.silent.update(keys)
        await asyncio.sleep(self.chance.uniform(4, 90))
        self.silent.difference_update(keys)

    async def _storm(self) -> None:
        mark = self.chance.randrange(1 << 30)
        self.readings["alerts:alertmanager"] = AlertsReading(tuple(alert(f"{mark}-{n}") for n in range(STORM)), True)
        await asyncio.sleep(self.chance.uniform(4, 60))
        self.readings["alerts:alertmanager"] = AlertsReading((), watchdog=True)

    async def _full(self) -> None:
        self.disk.full = True
        await asyncio.sleep(self.chance.uniform(2, 20))
        self.disk.full = False

    async def _restart(self) -> None:
        self.chance.choice(self.polled).restarts += 1

    async def work(self, engine: Engine, runs: int | None = None, pause: float = 20.0) -> None:
        """Changes and undos, so many or without end; refusals are what happens too."""
        done = 0
        while runs is None or done < runs:
            try:
                await self._one(engine)
            except (RecoveryError, JournalUnavailable) as refused:
                self.counts[type(refused).__name__] += 1
            done += 1
            await asyncio.sleep(self.chance.uniform(0, pause))

    async def _one(self, engine: Engine) -> None:
        edge, to = self.chance.choice(EDGES), self.chance.choice(("blue", "green"))
        place = {"balancer": edge, "backend": "checkout"}
        requests: list[PlanRequest] = [
            PlanChange("server.weight", {**place, "server": to, "weight": self.chance.randint(1, 100)}),
            PlanChange("backend.flip", {**place, "to": to}),
            PlanShare(service="checkout", to=to, percent=self.chance.randint(1, 99)),
        ]
        run = await self._begin(engine, self.chance.choice(requests))
        if self.chance.random() < 0.2:
            self.counts["undos"] += 1
            await self._begin(engine, PlanUndo(run))

    async def _begin(self, engine: Engine, request: PlanRequest) -> str:
        card = await engine.preview(COMMANDER, request)
        await asyncio.sleep(card.confirmation.arm)
        accepted = await engine.submit(COMMANDER, Submission(card.plan, card.fingerprint, card.confirmation.typed))
        self.counts["runs"] += 1
        for turn in range(600):
            found = engine.history.runs.get(accepted.run)
            if found is None or found.ended:
                return accepted.run
            if turn % 60 == 59 or found.shown_state() is RunState.PAUSED:  # what nobody goes on with is ended
                await engine.control(COMMANDER, accepted.run, Stop("it does not go on"))
            await asyncio.sleep(0.5)
        self.counts["runs left open"] += 1
        return accepted.run

    async def look(self, engine: Engine) -> None:
        """Somebody looks at every screen each second, as it goes over the wire."""
        named: Mapping[str, Topic] = topics()
        while True:
            await asyncio.sleep(1.0)
            for name in named:
                json.dumps(plain(engine.view(name)))


async def live(hours: float, seed: int, place: Path) -> bool:
    """Live through so many virtual hours; whether the chain of the journal is whole."""
    small_heaps()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    it = Hours(place, random.Random(seed))
    engine = it.engine_on()
    await engine.start()
    keep_what_is_there()
    moving = asyncio.create_task(it.move())
    await asyncio.sleep(5)
    await it.work(engine, BOUNDED, 0.1)
    others = (it.faults(), it.work(engine), it.look(engine), return_memory())
    tasks = [moving, *(asyncio.create_task(each) for each in others)]
    began = loop.time()
    while loop.time() - began < hours * 3600:
        await asyncio.sleep(360)
        gc.collect()
        objects = len(gc.get_objects()) + gc.get_freeze_count()
        figures = (taken(os.getpid()).rss, objects, it.disk.head()[0], len(asyncio.all_tasks()))
        print(int((loop.time() - began) / 60), *figures, flush=True)
        for task in tasks:
            if task.done():
                task.result()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    it.disk.full = False
    await asyncio.sleep(60)
    problem = (await engine.journal_verify()).problem
    await engine.stop()
    print(problem or "whole", dict(it.counts), flush=True)
    return not problem


def main() -> int:
    with tempfile.TemporaryDirectory() as place:
        whole = run_virtual(live(float(sys.argv[1]), int(sys.argv[2]), Path(place)))
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
