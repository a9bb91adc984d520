"""Around one effect: what a plan is confirmed as, half-done flips, standstills, restarts, and steps taken away."""

import asyncio
import json

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import Pause, PlanRunbook, PlanUndo, Resume, Submission
from state.errors import EffectRefused, NotFound, Refused
from state.journal.events import Event, read_body
from state.journal.format import Sealer, unseal
from state.runs.events import StepSkipped
from tests.support.small_estate import COMMANDER, RESPONDER, LoopClock, change, flip, small

pytestmark = pytest.mark.virtual_time

SHOP = {"balancer": "edge", "backend": "shop"}


class Halfway(MemoryBalancer):
    """Refuses to let blue go while `stuck`."""

    stuck = True

    async def set_weight(self, backend, server, weight, *, deadline):
        if self.stuck and (server, weight) == ("blue", 0):
            raise EffectRefused("Permission denied", "denied")
        return await super().set_weight(backend, server, weight, deadline=deadline)


def halfway() -> Halfway:
    return Halfway("edge", {"shop": {"blue": 100, "green": 0}})


async def test_a_flip_refused_half_way_is_not_called_refused_and_can_be_undone():
    balancer = halfway()
    async with small(balancer=balancer) as lab:
        run = (await lab.submit(await lab.preview(flip("green")))).run
        assert await lab.ended(run, 10) == "failed"
        answered = next(r.message for r in lab.engine.journal_rows(0, 999) if r.kind == "effect.answered")
        assert answered.startswith("half-way: ")
        assert "no reliable answer" not in answered, "it is known how it ended"
        assert lab.engine.history.runs[run].latest("change").message.startswith("partly done")
        assert lab.engine.view("runbooks").runs[run].next_actions == ("undo",)
        back = (await lab.submit(await lab.preview(PlanUndo(run)))).run
        assert await lab.ended(back, 10) == "done"
        assert await lab.weights() == {"blue": 100, "green": 0}


async def test_a_runbook_that_undoes_takes_a_half_done_flip_back_under_its_own_lease():
    runbook = {
        "runbook": "book",
        "title": "Book",
        "steps": [{"id": "f", "change": "backend.flip", "with": {**SHOP, "to": "green"}, "on_failure": "undo"}],
    }
    async with small(runbook, balancer=halfway()) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("book")))).run
        assert await lab.ended(run, 10) == "failed"
        await asyncio.sleep(0.1)
        assert await lab.ended("R-2", 10) == "done"
        assert await lab.weights() == {"blue": 100, "green": 0}
        assert lab.engine.history.runs["R-2"].epoch == lab.engine.history.epoch


async def test_a_change_that_only_an_earlier_step_makes_real_counts_in_how_a_plan_is_confirmed():
    runbook = {
        "runbook": "book",
        "title": "Book",
        "steps": [
            {"id": "w", "change": "server.weight", "with": {**SHOP, "server": "green", "weight": 5}},
            {"id": "f", "change": "backend.flip", "with": {**SHOP, "to": "blue"}},
        ],
    }
    async with small(runbook) as lab:
        card = await lab.preview(PlanRunbook("book"))
        assert (card.risk, card.confirmation.how) == ("B2", "nonce")


async def test_after_a_standstill_no_confirmation_counts_whoever_is_first():
    class Jumping(LoopClock):
        ahead = 0.0

        def mono(self) -> float:
            return super().mono() + self.ahead

    async with small() as lab:
        clock = lab.engine.clock = lab.engine.plans._clock = Jumping()
        card = await lab.preview(flip("green"))
        await asyncio.sleep(card.confirmation.arm)
        clock.ahead = 10.0
        with pytest.raises(Refused, match="plan-open"):
            await lab.engine.submit(COMMANDER, Submission(card.plan, card.fingerprint, card.confirmation.typed))


def with_risk(store: MemoryJournal, **risks: str) -> MemoryJournal:
    """The same journal, its steps pinned with other risk classes; sealed anew."""
    other = MemoryJournal()
    for entry in store.rows():
        kept = unseal(entry)
        body = json.loads(json.dumps(kept.body.as_json()))
        for step in body.get("steps", ()):
            step["risk"] = risks.get(step["id"], step["risk"])
        event = kept.event
        again = Event(read_body(kept.kind, body), event.actor, event.session, "", event.run, event.step)
        seq, head = other.head()
        sealer = Sealer(kept.node, kept.boot)
        other.append([sealer.seal(again, seq=seq + 1, previous=head, at=kept.at, mono=kept.mono)])
    return other


async def test_after_a_restart_a_b3_change_waits_for_a_commander_also_within_a_group():
    def weight(step: str, server: str, to: int):
        return {"id": step, "change": "server.weight", "with": {**SHOP, "server": server, "weight": to}}

    runbook = {
        "runbook": "book",
        "title": "Book",
        "steps": [
            {"id": "rest", "wait": "300ms"},
            weight("first", "green", 1),
            {"id": "both", "parallel": [weight("small", "green", 2), weight("grave", "blue", 90)]},
        ],
    }
    balancer, store = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}}), MemoryJournal()
    async with small(runbook, balancer=balancer, store=store) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("book")))).run
        await lab.engine.control(RESPONDER, run, Pause())
    async with small(runbook, balancer=balancer, store=with_risk(store, grave="B3")) as lab:
        await lab.engine.control(RESPONDER, run, Resume())
        await asyncio.sleep(0.5)
        assert await lab.ended(run, 10) == "paused"
        assert await lab.weights() == {"blue": 100, "green": 1}
        with pytest.raises(Refused, match="commander"):
            await lab.engine.control(RESPONDER, run, Resume())
        await lab.engine.control(COMMANDER, run, Resume())
        await asyncio.sleep(0.2)
        assert await lab.ended(run, 10) == "done"
        assert await lab.weights() == {"blue": 90, "green": 2}


async def test_an_effect_in_doubt_whose_target_left_the_estate_stays_in_doubt_without_flooding_the_journal():
    balancer, store = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}}), MemoryJournal()

    def kill(point: str) -> None:
        if point == "after_effect":
            raise asyncio.CancelledError

    async with small(balancer=balancer, store=store, reach=kill) as lab:
        run = (await lab.submit(await lab.preview(flip("green")))).run
        await asyncio.sleep(0.3)
    async with small(balancer=balancer, store=store) as lab:

        def gone(spec):
            raise NotFound("no balancer edge")

        lab.engine.executor._effects._build = gone
        await asyncio.sleep(2.5)
        before = lab.engine.journal.seq
        await asyncio.sleep(2.2)
        assert lab.engine.journal.seq == before
        assert lab.engine.history.runs[run].shown_state() == "unknown"


async def test_a_step_skipped_while_its_target_is_read_is_not_sent():
    class SlowEyes(MemoryBalancer):
        pause = 0.0

        async def identify(self, *, deadline):
            await asyncio.sleep(self.pause)
            return await super().identify(deadline=deadline)

    balancer = SlowEyes("edge", {"shop": {"blue": 100, "green": 0}})
    async with small(balancer=balancer) as lab:
        card = await lab.preview(change("server.weight", server="green", weight=5))
        balancer.pause = 0.2
        run = (await lab.submit(card)).run
        await asyncio.sleep(0.1)
        skipped = Event(StepSkipped("a slow disk"), "ada", run=run, step="change#1")
        await lab.engine.journal.append(skipped)
        assert await lab.ended(run) == "done"
        assert (await lab.weights())["green"] == 0
