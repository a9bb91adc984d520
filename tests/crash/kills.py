"""An engine that is killed at random instants of a change, and what the next one says of it, held against the truth."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import median

from adapters.lab.client import LabClient
from state.api.requests import Stop
from state.errors import Refused
from state.runs.events import EffectAnswered, EffectEnded, EffectIntended
from tests.crash.lanes import Lane, Order
from tests.crash.recorder import Recorder
from tests.crash.targets import Truth
from tests.crash.trials import recorded
from tests.support.nursery import Nursery
from tests.support.real_engine import RealEngine, Starter, as_program, engine_home, lab_estate

AS_PROGRAM = 0.1
"""The share of engines that are started as people do; the others are forked, which is quicker."""
AGAIN = 0.35
"""How often the next engine is killed too, while it finds out."""
EARLY = 0.4
"""The share of kills while the effect is sent, the shortest part of a change; the others are spread over all of it."""
PHASES = ("nothing durable", "intended", "answered", "ended")
"""What the journal held of the change when the engine was killed."""


@dataclass
class Tally:
    """What was counted at one kind of target.

    `starts` are the seconds until the next engine served; `seconds` those from then until the run was settled, or, if
    that is later, from when the target could be read and, of what is not done, could no longer do it.
    """

    kills: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    starts: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    slowest: str = ""
    """What was settled last of all."""

    def add(self, other: Tally) -> None:
        """Count another one's in."""
        if max(other.seconds, default=0.0) > max(self.seconds, default=0.0):
            self.slowest = other.slowest
        self.kills += other.kills
        self.phases += other.phases
        self.states += other.states
        self.starts += other.starts
        self.seconds += other.seconds

    def __str__(self) -> str:
        found = ", ".join(f"{state} {n}" for state, n in self.states.most_common())
        held = ", ".join(f"{phase} {self.phases[phase]}" for phase in PHASES)
        return (
            f"{self.kills} kills; killed with: {held}; {len(self.seconds)} changes found: {found}; "
            f"served after {_spread(self.starts)}; settled after {_spread(self.seconds)}, the last: {self.slowest}"
        )


def _spread(seconds: list[float]) -> str:
    return f"{median(seconds):.1f} s (median), {max(seconds):.1f} s (longest)" if seconds else "-"


class Ledger:
    """What a journal holds of effects, read as it grows. No effect has two intents or two outcomes."""

    def __init__(self, engine: RealEngine) -> None:
        self._engine, self._seq = engine, 0
        self.intents: list[str] = []
        self.outcomes: list[str] = []
        self.runs: Counter[tuple[str, str]] = Counter()
        """Entries of a run, by kind."""
        self.until: dict[str, float] = {}
        """Until when, by the wall clock, the target of a run may carry out what it was asked for."""

    def read(self) -> None:
        """What is new."""
        for entry in self._engine.entries(self._seq):
            self._seq, body, run = entry.seq, entry.body, entry.event.run or ""
            self.runs[run, entry.kind] += 1
            if isinstance(body, EffectIntended):
                assert body.effect not in self.intents
                self.intents.append(body.effect)
            elif isinstance(body, EffectEnded):
                assert body.effect not in self.outcomes
                self.outcomes.append(body.effect)
            elif isinstance(body, EffectAnswered) and body.until is not None:
                self.until[run] = body.until

    def phase(self, run: str) -> str:
        """How far the change of a run has come."""
        self.read()
        kinds = (EffectIntended.kind, EffectAnswered.kind, EffectEnded.kind)
        return PHASES[max((n for n, kind in enumerate(kinds, 1) if self.runs[run, kind]), default=0)]


@dataclass
class Killing:
    """One lane with its engine: orders, kills, and the proof after each."""

    lane: Lane
    engine: RealEngine
    recorder: Recorder
    chance: random.Random
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._ledger = Ledger(self.engine)
        self._early: list[str] = []
        self.recorder.on_effect = self._sent

    def _sent(self, command: str) -> None:
        self._ledger.read()
        if len(self._ledger.intents) != len(self._ledger.outcomes) + 1:
            self._early.append(command)

    async def go_on(self, kills: int) -> None:
        """Until so many kills are done."""
        await self.engine.start()
        while self.tally.kills < kills:
            await self._one(kills - self.tally.kills)
        self.engine.end()
        assert self.engine.chain() == ""
        assert self._early == [], f"sent without a durable intent of their own: {self._early}"
        assert self.engine.kinds().count("engine.started") == self.tally.kills + 1

    async def _one(self, most: int) -> None:
        order = await self.lane.order(self.chance)
        self.recorder.effects.clear()
        run = await self._begin(order)
        early = self.chance.random() < EARLY
        await self._kill(run, self.lane.sending if early else self.lane.longest)
        while most > 1 and self.chance.random() < AGAIN:
            most -= 1
            await self._kill(run, self.lane.again)
        state, seconds, message = await self._settled(run)
        if seconds > max(self.tally.seconds, default=0.0):
            self.tally.slowest = f"{order.kind} {state}, {message}"
        self.tally.seconds.append(seconds)
        await self._judge(run, order, state)
        self.tally.states[state] += 1
        row = await self.engine.row(run)
        if row.state not in ("done", "failed", "stopped"):
            await self.engine.client.control(run, Stop("the kills go on"))
            await self.engine.settled(run, 60.0)

    async def _begin(self, order: Order) -> str:
        """Submit it; on a busy machine the target may not be read in time, then nothing was begun."""
        end = time.monotonic() + 120
        while True:
            try:
                return await self.engine.act(order.kind, **order.args)
            except Refused:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.5)

    async def _kill(self, run: str, longest: float) -> None:
        """Kill it somewhere in the next seconds, start the next one."""
        await asyncio.sleep(self.chance.uniform(0.0, longest))
        self.engine.kill()
        self.tally.kills += 1
        self.tally.phases[self._ledger.phase(run)] += 1
        began = time.monotonic()
        await self.engine.start()
        self.tally.starts.append(time.monotonic() - began)

    async def _settled(self, run: str) -> tuple[str, float, str]:
        """Wait for it; the state, how long it took since everything needed was there, and since when that was."""
        served = time.time()
        blind = [served]

        async def look() -> None:
            while True:
                at = time.time()
                if not await self.lane.readable():
                    blind.append(at)
                await asyncio.sleep(0.2)

        looking = asyncio.create_task(look())
        try:
            await self.engine.settled(run, 240.0)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        over = time.time()
        self._ledger.read()
        state = str((await self.engine.step(run)).state)
        until = served if state == "done" else max(served, self._ledger.until.get(run, 0.0))
        message = (
            f"settled {over - served:.1f} s after the start, readable after {blind[-1] - served:.1f} s, "
            f"final after {until - served:.1f} s"
        )
        return state, max(0.0, over - max(blind[-1], until)), message

    async def _judge(self, run: str, order: Order, state: str) -> None:
        """The step's state against the target, and what was sent."""
        now, sent = await self.lane.truth(), self.recorder.effects
        self._ledger.read()
        intended = bool(self._ledger.runs[run, EffectIntended.kind])
        right = {
            "done": now == order.after,
            "not-done": now == order.before,
            "failed": now not in (order.before, order.after) if intended else now == order.before and not sent,
            "pending": now == order.before and not sent and not intended,
        }
        assert right[state], f"{run} says {state} while it went from {order.before} to {now}, wanted {order.after}"
        assert max(self.recorder.counts.values(), default=0) <= 1, f"sent twice: {sent}"
        assert len(self._ledger.intents) == len(self._ledger.outcomes)


def some_as_program(nursery: Nursery, chance: random.Random) -> Starter:
    """Most engines are forked, some are started as people start them."""
    return lambda argv, environment, said: (
        as_program(argv, environment, said) if chance.random() < AS_PROGRAM else nursery.start(argv, environment, said)
    )


async def killing(lab: LabClient, truth: Truth, nursery: Nursery, lane: Lane, kills: int, seed: int) -> Tally:
    """So many kills at one target, over one journal."""
    chance, recorder, tree = random.Random(seed), Recorder(), lab_estate(lab, *lane.sections)
    await lane.restore()
    try:
        async with recorded(truth, tree, recorder):
            with engine_home(tree, some_as_program(nursery, chance)) as engine:
                work = Killing(lane, engine, recorder, chance)
                await work.go_on(kills)
    finally:
        await lane.restore()
    return work.tally
