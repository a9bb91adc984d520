"""Conditions and loops of runs: what answers lead to, what counts as proven, how many items may fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from console.card_text import plain_card
from state.api.requests import PlanRetry, PlanRunbook, Skip
from state.errors import EffectRefused, ReadFailure, Trouble
from tests.support.run_books import SHOP, book, check, started, told, until, weight
from tests.support.small_estate import COMMANDER, Small, small

pytestmark = pytest.mark.virtual_time


class Edge(MemoryBalancer):
    """Says nothing about its servers while it is blind, and refuses changes of some."""

    def __init__(self) -> None:
        super().__init__("edge", {"shop": {"blue": 100, "a": 0, "b": 0, "c": 0}})
        self.blind, self.refused = False, set[str]()

    async def read(self, *, deadline: float) -> Any:
        if self.blind:
            raise ReadFailure(Trouble.TIMEOUT, "no answer")
        return await super().read(deadline=deadline)

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Any:
        if server in self.refused:
            raise EffectRefused("not now")
        return await super().set_weight(backend, server, weight, deadline=deadline)


@asynccontextmanager
async def lab_of(*steps: Any, edge: Edge | None = None) -> AsyncIterator[Small]:
    async with small(book(*steps), balancer=edge or Edge()) as lab:
        yield lab


def when(server: str, **meanings: str) -> dict[str, Any]:
    return {"check": "server.serving", "with": {**SHOP, "server": server}, "for": "1s", "every": "100ms", **meanings}


PROOF = check("proof", "server.serving", "blue", **{"for": "3s"})


async def ended(lab: Small, run: str) -> tuple[str, str]:
    await until(lambda: lab.engine.history.runs[run].ended, 20)
    row = lab.engine.view("runbooks").runs[run]
    return row.word, row.message


async def test_a_passed_condition_goes_on_and_a_failed_one_leaves_out_what_it_is_about() -> None:
    yes = weight("yes", "a", 5, when=when("blue", failed="skip"))
    no = weight("no", "b", 5, when=when("b", failed="skip"))
    async with lab_of(yes, no, PROOF) as lab:
        run = await started(lab)
        word, message = await ended(lab, run)
        assert told(lab, run) == ("yes.when#1 done, yes#1 done, no.when#1 done, no#1 skipped, proof#1 done")
        assert (word, message) == ("done", "every step is done and verified; 1 left out, as conditions say")
        assert await lab.weights() == {"blue": 100, "a": 5, "b": 0, "c": 0}
        assert lab.kinds().count("condition.answered") == 2


@pytest.mark.parametrize("unknown", ["pause", "skip", "stop"])
async def test_an_unknown_condition_never_goes_on(unknown: str) -> None:
    edge = Edge()
    edge.blind = True
    step = {"id": "w", "wait": "100ms", "when": when("blue", unknown=unknown)}
    async with lab_of(step, edge=edge) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("case")))).run
        state = await lab.ended(run, 20)
        if unknown == "pause":
            assert (state, told(lab, run)) == ("paused", "w.when#1 failed, w#1 pending")
            edge.blind = False
            await lab.submit(await lab.preview(PlanRetry(run, "w.when#1")))
            assert await ended(lab, run) == ("done", "every step is done and verified")
        elif unknown == "skip":
            word, message = await ended(lab, run)
            assert (word, told(lab, run)) == ("unproven", "w.when#1 done, w#1 skipped")
            assert message == "not verified: Whether to: w (done)"
        else:
            assert (await ended(lab, run))[0] == "stopped"


async def test_a_person_may_go_on_past_a_condition_and_the_run_is_not_verified() -> None:
    async with lab_of(weight("w", "a", 5, when=when("b")), PROOF) as lab:
        run = await started(lab)
        assert await lab.ended(run, 20) == "paused"
        await lab.engine.control(COMMANDER, run, Skip("w.when#1", "seen by eye"))
        assert (await ended(lab, run))[0] == "unproven"
        assert (await lab.weights())["a"] == 5


async def test_a_left_out_proof_of_a_change_is_missing() -> None:
    proof = {**PROOF, "when": when("b", failed="skip")}
    async with lab_of(weight("w", "a", 5), proof) as lab:
        word, message = await ended(lab, await started(lab))
        assert (word, message) == ("unproven", "not verified: server.serving edge shop blue (skipped)")


async def test_a_jump_leaves_out_what_is_between() -> None:
    jump = {"id": "first", "wait": "100ms", "when": when("b", failed="last")}
    async with lab_of(jump, weight("middle", "a", 5), {"id": "last", "wait": "100ms"}) as lab:
        run = await started(lab)
        assert (await ended(lab, run))[0] == "done"
        assert told(lab, run) == "first.when#1 done, first#1 skipped, middle#1 skipped, last#1 done"


def roll(stop_after: int, **more: Any) -> dict[str, Any]:
    body = [weight("set", "${item}", 5), check("proof", "server.serving", "${item}", **{"for": "3s"})]
    return {"id": "roll", "each": ["a", "b", "c"], "stop_after": stop_after, "steps": body, **more}


async def test_a_loop_goes_on_until_so_many_items_failed() -> None:
    edge = Edge()
    edge.refused = {"a"}
    async with lab_of(roll(2), edge=edge) as lab:
        run = await started(lab)
        assert (await ended(lab, run))[0] == "unproven"
        assert told(lab, run) == (
            "roll.a.set#1 not-done, roll.a.proof#1 skipped, roll.b.set#1 done, roll.b.proof#1 done, "
            "roll.c.set#1 done, roll.c.proof#1 done"
        )


async def test_the_last_failure_that_a_loop_takes_stops_it() -> None:
    edge = Edge()
    edge.refused = {"a", "b"}
    async with lab_of(roll(2), edge=edge) as lab:
        run = await started(lab)
        assert await lab.ended(run, 20) == "paused"
        assert told(lab, run).endswith(
            "roll.b.set#1 not-done, roll.b.proof#1 pending, roll.c.set#1 pending, roll.c.proof#1 pending"
        )
        edge.refused = {"a"}
        await lab.submit(await lab.preview(PlanRetry(run, "roll.b.set#1")))
        assert (await ended(lab, run))[0] == "unproven"
        assert await lab.weights() == {"blue": 100, "a": 0, "b": 5, "c": 5}


async def test_without_a_stop_rule_the_first_failure_applies_the_policy() -> None:
    edge = Edge()
    edge.refused = {"b"}
    async with lab_of(roll(1, on_failure="undo"), edge=edge) as lab:
        run = await started(lab)
        assert (await ended(lab, run))[0] == "failed"
        await until(lambda: lab.engine.view("runbooks").runs[run].undo.value == "done", 20)
        assert await lab.weights() == {"blue": 100, "a": 0, "b": 0, "c": 0}


async def test_the_card_says_what_each_answer_means() -> None:
    step = weight("w", "a", 5, title="Give a its part", when=when("blue", failed="skip", unknown="stop"))
    async with lab_of(step, PROOF) as lab:
        text = "\n".join(plain_card(await lab.preview(PlanRunbook("case"))))
        after = "server.serving edge shop blue"
        assert f"Whether to: Give a its part: pass goes on, fail leads to {after}, unknown stops the run" in text


async def test_the_card_lists_every_change_of_a_loop() -> None:
    async with lab_of(roll(1)) as lab:
        card = await lab.preview(PlanRunbook("case"))
        assert len(card.diffs) == 3
