"""An undo takes back what its run left, never what somebody changed since."""

import pytest

from state.api.requests import PlanUndo
from state.api.run_states import UndoState
from state.errors import Refused
from tests.support.run_books import book, check, started, until, weight
from tests.support.small_estate import change, small

pytestmark = pytest.mark.virtual_time

FAILS_LATER = check("c", "server.drained", "blue", on_failure="undo", **{"for": "1s"})


async def by_hand(lab, number):
    await lab.balancer.set_weight("shop", "green", number, deadline=1)


async def test_an_automatic_undo_does_not_start_over_a_newer_change():
    async with small(book(weight("w", "green", 50), FAILS_LATER)) as lab:
        run = await started(lab)
        await until(lambda: lab.engine.history.runs[run].latest("c").state == "running")
        await by_hand(lab, 7)
        await until(lambda: lab.engine.view("runbooks").runs[run].undo is UndoState.REFUSED)
        row = lab.engine.view("runbooks").runs[run]
        assert "newer-change: R-1 left edge/shop/green weight 50, it is 7 now" in row.message
        assert "The key z" not in row.message
        assert (await lab.weights())["green"] == 7
        assert "R-2" not in lab.engine.history.runs


async def test_a_person_s_undo_over_a_newer_change_is_refused_on_its_card_and_when_confirmed():
    async with small() as lab:
        run = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=50)))).run
        assert await lab.ended(run) == "done"
        good = await lab.preview(PlanUndo(run))
        assert [rule.passed for rule in good.rules if rule.rule == "newer-change"] == [True]
        await by_hand(lab, 7)
        card = await lab.preview(PlanUndo(run))
        assert [refusal.rule for refusal in card.refusals] == ["newer-change"]
        for plan in (good, card):
            with pytest.raises(Refused) as refused:
                await lab.submit(plan)
            assert refused.value.rule == "newer-change"
        await by_hand(lab, 50)
        back = (await lab.submit(await lab.preview(PlanUndo(run)))).run
        assert await lab.ended(back) == "done"
        assert (await lab.weights())["green"] == 0


async def test_a_run_that_changed_one_server_twice_is_compared_with_its_last_change():
    async with small(book(weight("one", "green", 10), weight("two", "green", 50))) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "done"
        back = (await lab.submit(await lab.preview(PlanUndo(run)))).run
        assert await lab.ended(back) == "done"
        assert (await lab.weights())["green"] == 0


async def test_what_somebody_set_back_already_is_no_obstacle():
    async with small(book(weight("one", "green", 10), weight("two", "blue", 50))) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "done"
        await by_hand(lab, 0)
        back = (await lab.submit(await lab.preview(PlanUndo(run)))).run
        assert await lab.ended(back) == "done"
        assert await lab.weights() == {"blue": 100, "green": 0}


async def test_what_a_run_left_is_compared_after_a_restart_too():
    async with small() as lab:
        run = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=50)))).run
        assert await lab.ended(run) == "done"
        store, balancer = lab.store, lab.balancer
    await balancer.set_weight("shop", "green", 7, deadline=1)
    async with small(balancer=balancer, store=store) as lab:
        card = await lab.preview(PlanUndo(run))
        assert [refusal.rule for refusal in card.refusals] == ["newer-change"]
