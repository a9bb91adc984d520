"""Suites on demand: run while a step waits, never polled; before and after a switch, beside it and never in its way."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from state.api.run_states import StepState
from state.changes.model import ChangeSpec, Finding
from state.checks.integrity import SHOWN, IntegrityArgs, sound, suite_key, summary
from state.engine.suites import AGAIN, ASKED_FOR, KEEPING, LOOKS, Suites
from state.errors import JournalUnavailable, ReadFailure, Trouble
from state.health import Health
from state.journal.events import Event, Instant
from state.ports.outside import Outside
from state.runs.events import EffectIntended, SwitchVerified
from state.runs.model import Run, StepRun
from state.runs.steps import PlannedStep
from state.verdicts.evidence import WAITING
from state.world.integrity_parts import IntegrityLine, IntegrityReading
from state.world.observed import Observed
from state.world.world import World
from tests.support.small_estate import LoopClock
from tests.unit.verdict_world import ESTATE, NOW, put

pytestmark = pytest.mark.virtual_time
FINE = IntegrityLine("writer", "cluster", Health.PASS, "n1 alone accepts writes")
BAD = IntegrityLine("indexes", "n1/shop/twice", Health.FAIL, "index is invalid", "REINDEX it")
WARNED = IntegrityLine("slots", "n1/idle", Health.WARN, "slot has no consumer", "drop it")
BLIND = IntegrityLine("amcheck", "n1/shop", Health.UNKNOWN, "no index was read", "grant it")
SWITCH = ChangeSpec("database.switchover", {"database": "orders", "to": "n2"})


class Suite:
    """Answers with what it is told to, after `takes` seconds. Fulfils CanLookWhole."""

    def __init__(self, *answers: tuple[IntegrityLine, ...] | ReadFailure | Exception, takes: float = 0.0) -> None:
        self.answers, self.takes = list(answers), takes
        self.looks, self.ended, self.kept, self.forgotten = 0, 0, list[str](), list[str]()

    async def look(self, *, skip: Collection[str], within: float) -> IntegrityReading:
        self.looks += 1
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.ended += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return IntegrityReading("orders", answer, tuple(skip))

    async def keep(self, effect: str, *, deadline: float) -> None:
        await asyncio.sleep(self.takes)
        self.kept.append(effect)

    async def since(self, effect: str, *, within: float) -> IntegrityReading:
        return await self.look(skip=("amcheck",), within=within)

    def forget(self, effect: str) -> None:
        self.forgotten.append(effect)


def suites(suite: Suite | None, record: Any = None) -> Suites:
    async def nothing(event: Event) -> None:
        return

    outside = Outside((), {}, {}, integrity={} if suite is None else {"orders": suite})
    return Suites(lambda: (ESTATE, outside), World(), LoopClock(), record or nothing)


def step(**args: Any) -> PlannedStep:
    given = {"database": "orders", **args}
    return PlannedStep("a", 0, "check", "Sound", 60.0, what="database.integrity", args=given)


async def answer(of: Suites, since: float, **args: Any) -> Any:
    while (found := of.ask(step(**args), since)).health is Health.UNKNOWN and "not ended" in found.evidence[0]:
        await asyncio.sleep(0.25)
    return found


async def test_a_suite_is_run_once_while_it_is_asked_for_and_again_for_younger_readings() -> None:
    suite = Suite((FINE,), (FINE, BAD), takes=3.0)
    of, began = suites(suite), LoopClock().mono()
    found = await answer(of, began, skip=["amcheck"])
    assert (found.health, suite.looks) == (Health.PASS, 1)
    assert found.evidence == ("1 pass", "left out: amcheck")
    assert of.ask(step(skip=["amcheck"]), began).health is Health.PASS
    assert suite.looks == 1, "what is young enough is not asked for again"
    await asyncio.sleep(1)
    now = LoopClock().mono()
    assert of.ask(step(skip=["amcheck"]), now).health is Health.UNKNOWN, "an old pass is none"
    again = await answer(of, now, skip=["amcheck"])
    assert (again.health, suite.looks) == (Health.FAIL, 2)
    assert "fail: n1/shop/twice: index is invalid" in again.evidence
    await of.close()


async def test_nobody_waits_any_more_then_it_is_ended() -> None:
    suite = Suite((FINE,), takes=1000.0)
    of = suites(suite)
    assert of.ask(step(), LoopClock().mono()).health is Health.UNKNOWN
    await asyncio.sleep(ASKED_FOR + 3)
    assert suite.ended == 1
    await of.close()


@pytest.mark.parametrize("error", [ReadFailure(Trouble.DENIED, "no right"), ValueError("x")])
async def test_what_cannot_be_run_is_unknown(error: Exception) -> None:
    of = suites(Suite(error))
    began = LoopClock().mono()
    of.ask(step(), began)
    await asyncio.sleep(0.1)
    assert of.ask(step(), began).health is Health.UNKNOWN
    await of.close()
    none = suites(None)
    none.ask(step(), began)
    await asyncio.sleep(0.1)
    found = none.ask(step(), began)
    assert (found.health, "cannot be asked" in found.evidence[0]) == (Health.UNKNOWN, True)
    await none.close()


@pytest.mark.parametrize(
    ("lines", "health"),
    [
        ((FINE,), Health.PASS),
        ((FINE, WARNED), Health.PASS),
        ((FINE, BLIND), Health.UNKNOWN),
        ((FINE, BLIND, BAD), Health.FAIL),
        ((), Health.UNKNOWN),
    ],
)
def test_the_answer(lines: tuple[IntegrityLine, ...], health: Health) -> None:
    args, world = IntegrityArgs(database="orders"), World()
    put(world, suite_key(args), IntegrityReading("orders", lines))
    found = sound(args, world, ESTATE, NOW)
    assert found.health is health
    assert not lines or summary(lines) == found.evidence[0]
    many = tuple(IntegrityLine("slots", f"n1/{n}", Health.FAIL, "lost") for n in range(SHOWN + 7))
    put(world, suite_key(args), IntegrityReading("orders", many))
    assert "and 7 more" in sound(args, world, ESTATE, NOW).evidence
    world.observed[suite_key(args)] = Observed(suite_key(args), 1.0)
    assert sound(args, world, ESTATE, NOW).evidence == (f"orders: the suite has not ended yet, {WAITING}",)


async def events_of(suite: Suite, *, refuse: bool = False, wait: float = sum(LOOKS) + 5) -> list[Event]:
    told: list[Event] = []

    async def record(event: Event) -> None:
        if refuse:
            raise JournalUnavailable("full")
        told.append(event)

    of = suites(suite, record)
    of.before(SWITCH, "R-1/a#1")
    await of.kept("R-1/a#1")
    of.after(SWITCH, "R-1", "a#1", "ada", "R-1/a#1")
    await asyncio.sleep(wait)
    await of.close()
    return told


async def test_a_switch_is_looked_at_until_nothing_is_found_and_it_is_recorded_with_its_run() -> None:
    suite = Suite((FINE, BAD), (FINE, WARNED))
    (event,) = await events_of(suite)
    assert isinstance(event.body, SwitchVerified)
    assert (event.run, event.step, event.actor, event.body.verdict) == ("R-1", "a#1", "ada", "warn")
    assert [each[0] for each in event.body.lines] == ["warn", "pass"]
    assert (suite.kept, suite.forgotten, suite.looks) == (["R-1/a#1"], ["R-1/a#1"], 2)
    assert "left out: amcheck" in event.body.message


async def test_what_stays_wrong_is_recorded_as_it_is_and_what_cannot_be_looked_at_as_unknown() -> None:
    (event,) = await events_of(Suite((FINE, BAD)))
    assert isinstance(event.body, SwitchVerified)
    assert event.body.verdict == "fail"
    (blind,) = await events_of(Suite(ValueError("x")))
    assert isinstance(blind.body, SwitchVerified)
    assert (blind.body.verdict, blind.body.lines) == ("unknown", ())
    assert await events_of(Suite((FINE,)), refuse=True) == []


async def test_a_slow_look_before_does_not_hold_up_the_switch() -> None:
    of = suites(Suite((FINE,), takes=600.0))
    began = LoopClock().mono()
    of.before(SWITCH, "R-1/a#1")
    await of.kept("R-1/a#1")
    assert LoopClock().mono() - began <= KEEPING + 0.1
    of.left("R-1/a#1")
    other = ChangeSpec("database.drop-slot", {"database": "orders", "node": "n1", "slot": "s"})
    of.before(other, "R-2/a#1")
    of.after(other, "R-2", "a#1", "ada", "R-2/a#1")
    await of.kept("R-2/a#1")
    await of.close()


def switched(at: float, **facts: Any) -> Run:
    """A run whose one step was a switchover, with its outcome recorded at a wall time."""
    planned = PlannedStep("a", 0, "change", "Switch over", 60.0, what=SWITCH.kind, args=SWITCH.args)
    intent = EffectIntended("R-1/a#1", 1, SWITCH, ("database/orders",), {}, {}, (), None, "switch")
    done = {"finding": Finding.DONE, "outcome": Instant(at, at, "boot"), **facts}
    run = Run("R-1", "Switch over", "ada", (planned,), Instant(at, at, "boot"), at)
    run.instances["a"] = [StepRun(planned, 1, StepState.DONE, effect="R-1/a#1", intent=intent, **done)]
    return run


@pytest.mark.parametrize(
    ("ago", "facts", "looks", "verdicts"),
    [
        (40.0, {}, 1, ["pass"]),
        (40.0, {"integrity_said": "integrity of orders after the switch: 1 pass"}, 0, []),
        (40.0, {"sent": False}, 0, []),
        (40.0, {"outcome": None, "finding": None}, 0, []),
        (AGAIN + 60.0, {}, 0, ["unknown"]),
        (-AGAIN - 60.0, {}, 0, ["unknown"]),
    ],
)
async def test_an_engine_that_starts_looks_after_a_switch_that_nobody_looked_after(
    ago: float, facts: dict[str, Any], looks: int, verdicts: list[str]
) -> None:
    told: list[Event] = []

    async def record(event: Event) -> None:
        told.append(event)

    suite = Suite((FINE,))
    of = suites(suite, record)
    await of.recall([switched(LoopClock().wall() - ago, **facts)], "engine@t")
    await asyncio.sleep(LOOKS[0] + 1)
    await of.close()
    assert (suite.looks, [e.body.verdict for e in told if isinstance(e.body, SwitchVerified)]) == (looks, verdicts)
    assert all((e.run, e.step) == ("R-1", "a#1") for e in told)


async def test_without_servers_to_ask_it_is_told_that_nobody_looked() -> None:
    told: list[Event] = []

    async def record(event: Event) -> None:
        told.append(event)

    of = suites(None, record)
    await of.recall([switched(LoopClock().wall() - 40.0)], "engine@t")
    (event,) = told
    assert isinstance(event.body, SwitchVerified)
    assert (event.actor, event.body.verdict) == ("engine@t", "unknown")
    assert "nobody looked" in event.body.message
