"""What must hold when things go wrong between the lines: half a group fails, two people act at once, a disk fills."""

import asyncio

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import Decide, PlanRetry, PlanRunbook, Skip, Stop
from state.errors import EffectRefused, JournalUnavailable, Refused
from state.journal.format import unseal
from state.ports.target import Receipt
from state.runs.events import (
    DecisionAsked,
    EffectAnswered,
    EffectEnded,
    EffectIntended,
    LeaseTaken,
    RunPaused,
    RunStopRequested,
    StepSkipped,
)
from tests.support.small_estate import COMMANDER, RESPONDER, flip, small

pytestmark = pytest.mark.virtual_time

SHOP = {"balancer": "edge", "backend": "shop"}


class Told(MemoryBalancer):
    """Remembers what it was told; `before` may delay or refuse one server's weight."""

    def __init__(self, **servers: int) -> None:
        super().__init__("edge", {"shop": servers or {"blue": 100, "green": 0}})
        self.told: list[tuple[str, int]] = []
        self.slow: dict[str, float] = {}
        self.refuses: set[str] = set()

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Receipt:
        self.told.append((server, weight))
        if server in self.refuses:
            raise EffectRefused("not now", "refused")
        await asyncio.sleep(self.slow.get(server, 0.0))
        return await super().set_weight(backend, server, weight, deadline=deadline)


class Fuse(MemoryJournal):
    """Refuses the first batch that holds an entry of `kind` (and `step`), then works again."""

    def __init__(self, kind: str, step: str = "", times: int = 1) -> None:
        super().__init__()
        self.kind, self.step, self.times = kind, step, times

    def append(self, entries):
        for entry in map(unseal, entries):
            event = entry.event
            if self.times and event.kind == self.kind and event.step.startswith(self.step):
                self.times -= 1
                raise JournalUnavailable("disk full")
        super().append(entries)


def weight(step: str, server: str, to: int, **more):
    return {"id": step, "change": "server.weight", "with": {**SHOP, "server": server, "weight": to}, **more}


def book(*steps, name: str = "book"):
    return {"runbook": name, "title": name.capitalize(), "steps": list(steps)}


def group(*steps):
    return {"id": "both", "parallel": list(steps)}


async def started(lab, name: str = "book") -> str:
    return (await lab.submit(await lab.preview(PlanRunbook(name)))).run


def of_kind(lab, kind: str) -> list[str]:
    """The step instances an entry of a kind was recorded for."""
    return [r.step for r in lab.engine.journal_rows(0, 10_000) if r.kind == kind]


async def until(holds, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


async def test_half_a_group_losing_the_journal_does_not_leave_the_other_half_acting_unseen():
    balancer, store = Told(), Fuse(EffectAnswered.kind, "one")
    balancer.slow["green"] = 1.6
    runbook = book(group(weight("one", "blue", 90), weight("two", "green", 5)))
    async with small(runbook, balancer=balancer, store=store) as lab:
        run = await started(lab)
        assert await lab.ended(run, 10) == "done"
        assert sorted(balancer.told) == [("blue", 90), ("green", 5)]
        assert sorted(of_kind(lab, EffectEnded.kind)) == ["one#1", "two#1"]


async def test_retrying_one_step_of_a_group_does_not_send_its_failed_neighbour_again():
    balancer = Told()
    balancer.refuses = {"blue", "green"}
    runbook = book(group(weight("one", "blue", 90), weight("two", "green", 5)))
    async with small(runbook, balancer=balancer) as lab:
        run = await started(lab)
        assert await lab.ended(run, 10) == "paused"
        balancer.refuses = set()
        await lab.submit(await lab.preview(PlanRetry(run, "one")))
        await until(lambda: lab.engine.history.runs[run].latest("one").state == "done", 8)
        assert await lab.ended(run, 10) == "paused"
        assert balancer.told.count(("green", 5)) == 1
        assert of_kind(lab, EffectIntended.kind).count("two#1") == 1


async def test_a_crash_after_the_last_word_of_a_failed_step_still_applies_its_policy():
    balancer = Told()
    balancer.refuses = {"green"}
    store = Fuse(RunPaused.kind)
    async with small(book(weight("w", "green", 5)), balancer=balancer, store=store) as lab:
        run = await started(lab)
        await until(lambda: lab.engine.history.runs[run].latest("w").seconds is not None, 8)
        assert await lab.ended(run, 10) == "paused"


def asking(options: dict[str, str], *after):
    return book({"id": "q", "decide": {"question": "Go on?", "options": options}}, *after)


async def test_an_answer_is_what_its_option_means_whatever_signs_it_holds():
    async with small(asking({"no: too risky": "stop", "go": "continue"}, weight("w", "green", 3))) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "waiting"
        await lab.engine.control(COMMANDER, run, Decide("no: too risky"))
        await until(lambda: lab.engine.history.runs[run].ended)
        assert lab.engine.history.runs[run].state == "stopped"
        assert (await lab.weights())["green"] == 0


@pytest.mark.parametrize(
    ("choice", "lost", "green"), [("no", RunStopRequested.kind, 0), ("later", StepSkipped.kind, 0)]
)
async def test_what_was_decided_holds_when_the_journal_fails_right_after_the_answer(choice, lost, green):
    runbook = asking({"no": "stop", "later": "z"}, weight("w", "green", 3), {"id": "z", "wait": "50ms"})
    async with small(runbook, store=Fuse(lost)) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "waiting"
        await lab.engine.control(COMMANDER, run, Decide(choice))
        await until(lambda: lab.engine.history.runs[run].ended, 8)
        assert (await lab.weights())["green"] == green


async def test_of_two_answers_at_once_the_first_counts_and_the_second_is_told_so():
    async with small(asking({"go": "continue", "no": "stop"}, weight("w", "green", 3))) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "waiting"
        answers = await asyncio.gather(
            lab.engine.control(COMMANDER, run, Decide("no")),
            lab.engine.control(RESPONDER, run, Decide("go")),
            return_exceptions=True,
        )
        assert "ada chose: no" in str(answers[1])
        await until(lambda: lab.engine.history.runs[run].ended)
        assert (await lab.weights())["green"] == 0


async def test_two_questions_at_once_each_wait_for_their_own_answer():
    questions = [{"id": i, "decide": {"question": f"{i}?", "options": {"go": "continue"}}} for i in ("a", "b")]
    async with small(book(group(*questions), weight("w", "green", 3))) as lab:
        run = await started(lab)
        await until(lambda: len(of_kind(lab, DecisionAsked.kind)) == 2)
        await lab.engine.control(COMMANDER, run, Decide("go", "a"))
        await asyncio.sleep(0.2)
        assert lab.engine.view("runbooks").runs[run].question == "b?"
        assert (await lab.weights())["green"] == 0
        with pytest.raises(Refused, match="asks at b"):
            await lab.engine.control(COMMANDER, run, Decide("go", "a"))
        with pytest.raises(Refused, match="does not say to which question"):
            await lab.engine.control(COMMANDER, run, Decide("go"))
        await lab.engine.control(COMMANDER, run, Decide("go", "b#1"))
        await until(lambda: lab.engine.history.runs[run].ended)
        assert (await lab.weights())["green"] == 3


async def test_skipping_names_the_step_that_was_seen():
    runbook = book(weight("one", "blue", 90), weight("two", "green", 5))
    balancer = Told()
    balancer.refuses = {"blue"}
    async with small(runbook, balancer=balancer) as lab:
        run = await started(lab)
        assert await lab.ended(run, 10) == "paused"
        with pytest.raises(Refused, match=r"two of R-1 cannot be skipped now\. These can be: one#1"):
            await lab.engine.control(COMMANDER, run, Skip("two", "not needed"))


async def paused_after_refusal(lab, balancer) -> str:
    balancer.refuses = {"green"}
    run = await started(lab)
    assert await lab.ended(run, 10) == "paused"
    return run


async def test_two_people_retrying_one_step_send_it_once():
    balancer = Told()
    async with small(book(weight("w", "green", 5)), balancer=balancer) as lab:
        run = await paused_after_refusal(lab, balancer)
        balancer.refuses, balancer.told = set(), []
        balancer.slow["green"] = 0.3
        cards = [await lab.preview(PlanRetry(run), who) for who in (COMMANDER, RESPONDER)]
        answers = await asyncio.gather(lab.submit(cards[0]), lab.submit(cards[1], RESPONDER), return_exceptions=True)
        assert [type(a) for a in answers].count(Refused) == 1
        await until(lambda: lab.engine.history.runs[run].ended, 8)
        assert balancer.told == [("green", 5)]
        assert [s.key for s in lab.engine.history.runs[run].instances["w"]] == ["w#1", "w#2"]


async def test_a_retry_confirmed_after_the_run_ended_does_not_bring_it_back():
    balancer = Told()
    async with small(book(weight("w", "green", 5)), balancer=balancer) as lab:
        run = await paused_after_refusal(lab, balancer)
        card = await lab.preview(PlanRetry(run))
        await lab.engine.control(COMMANDER, run, Stop())
        await until(lambda: lab.engine.history.runs[run].ended)
        with pytest.raises(Refused, match="has ended"):
            await lab.submit(card)
        assert lab.engine.history.open() == []


async def test_a_run_that_was_refused_for_want_of_a_journal_does_not_exist():
    store = Fuse(LeaseTaken.kind)
    async with small(store=store) as lab:
        with pytest.raises(JournalUnavailable):
            await lab.submit(await lab.preview(flip("green")))
        assert lab.engine.history.open() == []
        await until(lambda: lab.engine.view("header").effects == "")
        run = (await lab.submit(await lab.preview(flip("green")))).run
        assert await lab.ended(run) == "done"


async def test_stop_of_everything_reaches_a_plan_on_its_way_to_becoming_a_run():
    class SlowEyes(MemoryBalancer):
        pause = 0.0

        async def identify(self, *, deadline):
            await asyncio.sleep(self.pause)
            return await super().identify(deadline=deadline)

    balancer = SlowEyes("edge", {"shop": {"blue": 100, "green": 0}})
    async with small(balancer=balancer) as lab:
        card = await lab.preview(flip("green"))
        balancer.pause = 0.4
        submitting = asyncio.create_task(lab.submit(card))
        await asyncio.sleep(0.1)
        await lab.engine.stop_all(COMMANDER)
        with pytest.raises(Refused, match="stopped"):
            await submitting
        assert await lab.weights() == {"blue": 100, "green": 0}
