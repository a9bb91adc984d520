"""A change that is retried and not done again: the policy of its step says what follows: 7 or 1."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from console.cli.following import exit_code
from state.api.requests import Pause, PlanRetry
from state.errors import EffectRefused
from tests.support.run_books import book, started, until, weight
from tests.support.small_estate import COMMANDER, small

pytestmark = pytest.mark.virtual_time


class Refusing(MemoryBalancer):
    """Refuses every weight."""

    def __init__(self) -> None:
        super().__init__("edge", {"shop": {"blue": 100, "green": 0}})

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Any:
        raise EffectRefused("not now")


@pytest.mark.parametrize(("policy", "state", "code"), [("pause", "paused", 7), ("stop", "failed", 1)])
async def test_a_retry_that_is_not_done_again(policy: str, state: str, code: int) -> None:
    steps = book({"id": "rest", "wait": "200ms"}, weight("w", "green", 5, on_failure=policy))
    async with small(steps, balancer=Refusing()) as lab:
        run = await started(lab)
        found = lab.engine.history.runs[run]
        if policy == "stop":  # in a run that a person has paused no policy applies: it stays paused at the step
            await until(lambda: found.latest("w").intent is not None)
            await lab.engine.control(COMMANDER, run, Pause())
        await until(lambda: found.latest("w").state == "not-done" and found.state == "paused")
        assert exit_code(lab.engine.view("runbooks").runs[run]) == 7
        await lab.submit(await lab.preview(PlanRetry(run, "w#1")))
        await until(lambda: found.latest("w").key == "w#2" and found.state == state)
        row = lab.engine.view("runbooks").runs[run]
        assert exit_code(row) == code
        assert found.latest("w").state == "not-done"
        assert row.next_actions == (("retry", "skip", "stop") if code == 7 else ())


async def test_a_retry_that_is_done_ends_as_done() -> None:
    class Once(Refusing):
        refused = False

        async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Any:
            if self.refused:
                return await MemoryBalancer.set_weight(self, backend, server, weight, deadline=deadline)
            self.refused = True
            raise EffectRefused("not now")

    async with small(book(weight("w", "green", 5)), balancer=Once()) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "paused"
        await lab.submit(await lab.preview(PlanRetry(run, "w#1")))
        await until(lambda: lab.engine.history.runs[run].ended)
        assert exit_code(lab.engine.view("runbooks").runs[run]) == 0
