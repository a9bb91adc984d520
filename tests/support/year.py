"""A journal as a busy year leaves it: heartbeats, observations and runs, by the bodies of the product."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from state.api.run_states import RunState, StepState
from state.changes.model import ChangeSpec, Finding
from state.detection.events import (
    DriftDetected,
    ServiceImpaired,
    ServiceRecovered,
    SplitBrainCleared,
    SplitBrainDetected,
)
from state.detection.observations import (
    AlertFired,
    AlertResolved,
    BegunCause,
    CauseBegan,
    CauseEnded,
    EndedAlert,
    EndedCause,
    FiringAlert,
    LeaderChanged,
    LostNode,
    NodeAgain,
    NodeBack,
    NodeLost,
    ReadAgain,
    SilentSource,
    SourceBack,
    SourceSilent,
    WriterBack,
    WriterLost,
)
from state.engine.events import Heartbeat
from state.journal.events import Body, Event
from state.journal.format import GENESIS, Sealed, Sealer
from state.ports.target import Setting
from state.runs.events import (
    EffectAnswered,
    EffectEnded,
    EffectIntended,
    LeaseTaken,
    RunEnded,
    RunStarted,
    StepEnded,
    StepStarted,
)
from state.runs.steps import PlannedStep
from state.verdicts.drift import Difference

EVERY = 31.0
"""Seconds between two entries: a million in a year."""
BEGAN = 1.7e9


class Year:
    """Makes entry after entry, chained; of one seed always the same but for the salts."""

    def __init__(self, seed: int = 1, every: float = EVERY, began: float = BEGAN) -> None:
        self._random, self._every, self._at = Random(seed), every, began
        self._sealer, self._head, self.seq, self.runs = Sealer("year", "boot-0"), GENESIS, 0, 0
        self._open: list[Iterator[Event]] = []
        self._waiting: list[Event] = []

    def entries(self, count: int) -> Iterator[Sealed]:
        """The next entries."""
        for _ in range(count):
            yield self._seal(self._next())

    def finish(self) -> Iterator[Sealed]:
        """The ends of all runs that are open."""
        for run in self._open:
            for event in run:
                yield self._seal(event)
        self._open.clear()

    def _seal(self, event: Event) -> Sealed:
        self.seq += 1
        self._at += self._every * self._random.random() * 2
        if self._random.random() < 0.0005:
            self._sealer = Sealer("year", f"boot-{self.seq}")
        entry = self._sealer.seal(event, seq=self.seq, previous=self._head, at=self._at, mono=self._at - 1.6e9)
        self._head = entry.hash
        return entry

    def _next(self) -> Event:
        dice = self._random.random()
        if dice < 0.1 and len(self._open) < 3 and self._random.random() < 0.1:
            self._open.append(self._run())
        if self._open and dice < 0.15:
            run = self._random.choice(self._open)
            event = next(run, None)
            if event is not None:
                return event
            self._open.remove(run)
        if not self._waiting and dice < 0.25:
            self._waiting = [Event(body, "engine@year") for body in self._observed()]
        return self._waiting.pop(0) if self._waiting and dice < 0.3 else Event(Heartbeat("running"), "engine@year")

    def _observed(self) -> list[Body]:
        name, other = f"n{self._random.randrange(4)}", f"n{self._random.randrange(4)}"
        at = self._at
        role = self._random.choice(("primary", "standby"))
        drifted = Difference("shop", f"{name} differs", "outside")
        alert = f"{self._random.randrange(1 << 40):x}"
        second = f"{self._random.randrange(1 << 40):x}"
        fired = tuple(FiringAlert(f, "High", "page", "firing", at, "it is high", ("am",)) for f in (alert, second))
        pairs: list[list[Body]] = [
            [ServiceImpaired(f"s{name}", 300.0, 2.0, "fails"), ServiceRecovered(f"s{name}", 20.0, 300.0, "recovered")],
            [SplitBrainDetected("db", "two", (name, other)), SplitBrainCleared("db", "one")],
            [AlertFired("alerts", fired), AlertResolved("over", (EndedAlert(alert, "High", 30.0, 0),))],
            [AlertResolved("over", (EndedAlert(second, "High", 30.0, 0),))],
            [LeaderChanged("db", other, name, 3, "leads")],
            [
                NodeLost("lost", (LostNode("db", name, role, 3, at, 2.0, "", ""),)),
                NodeBack("back", (NodeAgain("db", name, "standby", 3, 9.0, 0),)),
            ],
            [
                CauseBegan("fails", (BegunCause("db", f"{name}/archiver", "fail", "the archiver fails", at),)),
                CauseEnded("over", (EndedCause("db", f"{name}/archiver", "the archiver fails", 9.0, 0),)),
            ],
            [WriterLost("db", name, at - 5, "lost"), WriterBack("db", other, 9.0, "back")],
            [
                SourceSilent("silent", (SilentSource(name, at, 9.0, 5.0, "timeout", "no answer"),)),
                SourceBack("back", (ReadAgain(name, 9.0, 0),)),
            ],
            [DriftDetected(f"b{self._random.randrange(2)}", "drift", (drifted,))],
        ]
        chosen = self._random.choice(pairs)
        return chosen if self._random.random() < 0.8 else chosen[:1]

    def _run(self) -> Iterator[Event]:
        self.runs += 1
        run, number = f"R-{self.runs}", self.runs
        steps = tuple(
            PlannedStep(f"s{n}", n, "change", "weight", 10.0, "server.weight", {"balancer": f"b{n % 2}"}, risk="B1")
            for n in range(1 + number % 3)
        )
        undoes = number > 5 and self._random.random() < 0.1
        request = {"do": "undo", "run": f"R-{number - 1 - self._random.randrange(4)}"} if undoes else {"do": "change"}
        book = f"book-{number % 7}"
        yield Event(
            RunStarted("weights", book, f"{number % 9:064x}", "shop", 60.0, ("b0/shop",), request, steps, "starts"),
            "ada",
            run=run,
        )
        yield Event(LeaseTaken(number, ("b0/shop",)), "ada", run=run)
        for step in steps:
            key, effect = f"{step.id}#1", f"{run}/{step.id}#1"
            change = ChangeSpec(step.what, step.args)
            place = (f"b{step.index % 2}", "shop", f"w{self._random.randrange(5)}")
            left = (Setting(place, "weight", str(number % 100)),)
            yield Event(StepStarted("begins"), "ada", run=run, step=key)
            yield Event(
                EffectIntended(effect, number, change, ("b0/shop",), {"pid": "1"}, {"n": 1}, ("1 → 2",), change, "m"),
                "ada",
                run=run,
                step=key,
            )
            yield Event(EffectAnswered("ok", "answered", False, ()), "ada", run=run, step=key)
            yield Event(
                EffectEnded(effect, StepState.DONE, Finding.DONE, ("weight 2",), {}, 1.5, "done", left),
                "ada",
                run=run,
                step=key,
            )
            yield Event(StepEnded(StepState.DONE, "done", ("weight 2",)), "ada", run=run, step=key)
        yield Event(RunEnded(RunState.DONE, "every step is done and verified"), "ada", run=run)
