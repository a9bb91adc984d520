"""Cases of runs from public bug reports of other tools: questions, controls, jumps and what is always reachable."""

import asyncio

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import Decide, Pause, PlanRetry, PlanRunbook, PlanUndo, Resume, Skip, Stop
from state.errors import Refused
from state.ports.target import Receipt
from tests.support.run_books import ask, book, check, group, started, told, until, weight
from tests.support.small_estate import COMMANDER, RESPONDER, change, small

pytestmark = pytest.mark.virtual_time

YES_NO = {"yes": "continue", "no": "stop"}


def row_of(lab, run):
    return lab.engine.view("runbooks").runs[run]


@pytest.mark.parametrize("step", ["a#1", "a", ""])
async def test_r01_answer_lands_on_the_next_question(step):
    steps = (ask("a", YES_NO, question="Is the customer informed?"), ask("b", YES_NO, question="Flip ALL traffic now?"))
    async with small(book(*steps, weight("w", "green", 50))) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "waiting"
        assert row_of(lab, run).steps_of["decide"] == ("a#1",)
        await lab.engine.control(RESPONDER, run, Decide("yes", "a#1"))
        await until(lambda: row_of(lab, run).question.startswith("Flip"))
        with pytest.raises(Refused, match="question"):
            await lab.engine.control(COMMANDER, run, Decide("yes", step))
        await asyncio.sleep(0.2)
        assert (await lab.weights())["green"] == 0
        assert row_of(lab, run).state == "waiting"


async def test_r01_a_resume_is_for_the_step_that_was_seen():
    steps = (
        check("c", "server.drained", "blue", **{"for": "300ms"}),
        {"id": "z", "wait": "1h"},
        weight("w", "green", 5),
    )
    async with small(book(*steps)) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "paused"
        await lab.engine.control(COMMANDER, run, Skip("c#1", "known"))
        await until(lambda: row_of(lab, run).state == "running")
        await lab.engine.control(COMMANDER, run, Pause())
        with pytest.raises(Refused, match=r"stands at z#1, not at c#1"):
            await lab.engine.control(COMMANDER, run, Resume("c#1"))
        await lab.engine.control(COMMANDER, run, Resume("z#1"))


async def test_r01_a_skip_of_a_former_instance_is_refused():
    balancer = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})
    async with small(book(check("c", "server.serving", "green", **{"for": "300ms"})), balancer=balancer) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "paused"
        await lab.submit(await lab.preview(PlanRetry(run, "c#1")))
        await until(lambda: row_of(lab, run).state == "paused")
        assert row_of(lab, run).steps_of["skip"] == ("c#2",)
        with pytest.raises(Refused, match="c#1"):
            await lab.engine.control(COMMANDER, run, Skip("c#1", "seen before"))
        with pytest.raises(Refused, match="c#1"):
            await lab.preview(PlanRetry(run, "c#1"))


async def test_r02_open_run_leaves_the_screen_after_25_others():
    async with small(book(ask("q", YES_NO))) as lab:
        run = await started(lab)
        await lab.ended(run)
        for _ in range(26):
            other = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=0)))).run
            await lab.ended(other)
        view = lab.engine.view("runbooks")
        assert view.order[0] == run
        assert view.runs[run].question == "Go on?"
        assert view.steps[f"{run}/q#1"].question == "Go on?"
        assert len(view.runs) == 26


async def test_r04_own_change_is_called_a_change_from_outside():
    """Weights, flips there and back, and undos, one right after the other, while the target is polled."""
    async with small() as lab:
        alarms, requests = set(), [change("server.weight", server="green", weight=w) for w in (5, 6, 7, 8)]
        requests += [change("backend.flip", to=to) for to in ("green", "blue", "green", "blue")]
        for request in requests:
            run = (await lab.submit(await lab.preview(request))).run
            while not lab.engine.history.runs[run].ended:
                await asyncio.sleep(0.02)
                alarms |= set(lab.engine.view("header").alarms)
        for done in (run, "R-7"):
            undone = (await lab.submit(await lab.preview(PlanUndo(done)))).run
            while not lab.engine.history.runs[undone].ended:
                await asyncio.sleep(0.02)
                alarms |= set(lab.engine.view("header").alarms)
        await asyncio.sleep(0.3)
        assert "drift.detected" not in lab.kinds()
        assert alarms == set()


class Killed(BaseException):
    """The engine's process ends here."""


def at(wanted):
    def kill(point):
        if point == wanted:
            raise Killed

    return kill


@pytest.mark.parametrize(("choice", "state"), [("no", "stopped"), ("go", "paused")])
async def test_r07_question_is_lost_after_a_restart_in_a_group(choice, state):
    balancer, store = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}}), MemoryJournal()
    steps = book(
        group(ask("q", {"go": "continue", "no": "stop"}), weight("w", "green", 5)), {"id": "end", "wait": "10ms"}
    )
    async with small(steps, balancer=balancer, store=store, reach=at("after_intent")) as lab:
        run = await started(lab)
        await asyncio.sleep(0.5)
    async with small(steps, balancer=balancer, store=store) as lab:
        assert row_of(lab, run).question == "Go on?"
        await until(lambda: lab.engine.history.runs[run].latest("w").state == "not-done")
        assert row_of(lab, run).state == "waiting"
        assert row_of(lab, run).next_actions[0] == "decide"
        await lab.engine.control(COMMANDER, run, Decide(choice, "q#1"))
        await until(lambda: row_of(lab, run).state == state)
        assert lab.engine.history.runs[run].latest("q").state == "done"


async def test_r07_the_question_is_answered_before_the_change_is_settled():
    class Blind(MemoryBalancer):
        blind = False

        async def read_backend(self, backend, *, deadline):
            from state.errors import ReadFailure, Trouble

            if self.blind:
                raise ReadFailure(Trouble.TIMEOUT, "no answer")
            return await super().read_backend(backend, deadline=deadline)

    balancer, store = Blind("edge", {"shop": {"blue": 100, "green": 0}}), MemoryJournal()
    steps = book(
        group(ask("q", {"go": "continue", "no": "stop"}), weight("w", "green", 5)), {"id": "end", "wait": "10ms"}
    )
    async with small(steps, balancer=balancer, store=store, reach=at("after_intent")) as lab:
        run = await started(lab)
        await asyncio.sleep(0.5)
    balancer.blind = True
    async with small(steps, balancer=balancer, store=store) as lab:
        await until(lambda: row_of(lab, run).state == "unknown")
        assert "decide" in row_of(lab, run).next_actions
        await lab.engine.control(COMMANDER, run, Decide("no", "q#1"))
        await until(lambda: lab.engine.history.runs[run].latest("q").state == "done")
        assert row_of(lab, run).state == "unknown"
        balancer.blind = False
        await until(lambda: row_of(lab, run).state == "stopped")
        assert lab.engine.history.runs[run].latest("w").state == "not-done"


async def test_r10_jump_out_of_a_group_does_not_hold():
    members = (
        ask("q", {"away": "end", "go": "continue"}),
        check("c", "server.drained", "blue", **{"for": "2s"}),
        {"id": "w", "wait": "2s"},
    )
    steps = (group(*members), weight("between", "green", 7), {"id": "end", "wait": "10ms"})
    async with small(book(*steps)) as lab:
        run = await started(lab)
        await lab.ended(run)
        await lab.engine.control(COMMANDER, run, Decide("away", "q#1"))
        await until(lambda: row_of(lab, run).state == "done", 1.0)
        assert told(lab, run) == "q#1 done, c#1 skipped, w#1 skipped, between#1 skipped, end#1 done"
        await asyncio.sleep(2.2)
        assert told(lab, run) == "q#1 done, c#1 skipped, w#1 skipped, between#1 skipped, end#1 done"
        assert (await lab.weights())["green"] == 0


async def test_r10_a_change_in_flight_is_settled_by_reading_and_holds_nothing_up_afterwards():
    class Slow(MemoryBalancer):
        async def set_weight(self, backend, server, weight, *, deadline):
            await asyncio.sleep(0.6)
            return Receipt("silent", "")  # and does nothing

    steps = book(
        group(ask("q", {"away": "end", "go": "continue"}), weight("w", "green", 5)), {"id": "end", "wait": "10ms"}
    )
    async with small(steps, balancer=Slow("edge", {"shop": {"blue": 100, "green": 0}})) as lab:
        run = await started(lab)
        await until(lambda: lab.engine.history.runs[run].latest("w").intent is not None)
        await until(lambda: row_of(lab, run).question != "")
        await lab.engine.control(COMMANDER, run, Decide("away", "q#1"))
        await until(lambda: lab.engine.history.runs[run].ended)
        assert told(lab, run) == "q#1 done, w#1 not-done, end#1 done"
        assert row_of(lab, run).unmet == (f"{_title(lab, run, 'w')} (not-done)",)


def _title(lab, run, step):
    return lab.engine.history.runs[run].latest(step).step.title


async def test_r11_skip_goes_in_a_circle():
    async with small(book(ask("q", {"go": "continue", "no": "stop"}), {"id": "rest", "wait": "1h"})) as lab:
        run = await started(lab)
        await lab.ended(run)
        assert row_of(lab, run).next_actions == ("decide", "skip", "pause", "stop")
        await lab.engine.control(COMMANDER, run, Skip("q#1", "because"))
        await until(lambda: lab.engine.history.runs[run].latest("rest").state == "running")
        await lab.engine.control(COMMANDER, run, Pause())
        assert row_of(lab, run).next_actions == ("resume", "skip", "stop")
        await lab.engine.control(COMMANDER, run, Skip("rest#1", "long enough"))
        await until(lambda: lab.engine.history.runs[run].ended)
        assert told(lab, run) == "q#1 skipped, rest#1 skipped"


async def test_r11_a_running_check_of_a_paused_run_can_be_left_out_and_is_no_proof():
    steps = (check("c", "server.drained", "blue", **{"for": "1h"}), {"id": "end", "wait": "10ms"})
    async with small(book(*steps)) as lab:
        run = await started(lab)
        await until(lambda: lab.engine.history.runs[run].latest("c").state == "running")
        with pytest.raises(Refused, match="Pause it first"):
            await lab.engine.control(COMMANDER, run, Skip("c#1", "not now"))
        await lab.engine.control(COMMANDER, run, Pause())
        await lab.engine.control(COMMANDER, run, Skip("c#1", "not now"))
        await until(lambda: lab.engine.history.runs[run].ended)
        assert told(lab, run) == "c#1 skipped, end#1 done"
        assert not row_of(lab, run).verified


async def test_r13_skip_key_aims_at_a_passed_step():
    steps = (
        check("warm", "server.drained", "blue", **{"for": "300ms", "on_failure": "continue"}),
        check("prove", "server.serving", "green", **{"for": "300ms"}),
    )
    async with small(book(*steps)) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "paused"
        row = row_of(lab, run)
        assert (row.steps_of["skip"], row.steps_of["retry"]) == (("prove#1",), ("prove#1",))
        await lab.engine.control(COMMANDER, run, Skip(row.steps_of["skip"][0], "not needed now"))
        await until(lambda: row_of(lab, run).state == "done")


async def test_r13_after_a_retry_that_was_done_the_later_step_is_the_one_to_skip():
    class Refusing(MemoryBalancer):
        refuses = True

        async def set_weight(self, backend, server, weight, *, deadline):
            if self.refuses:
                return Receipt("silent", "")
            return await super().set_weight(backend, server, weight, deadline=deadline)

    balancer = Refusing("edge", {"shop": {"blue": 100, "green": 0}})
    steps = book(weight("w", "green", 5), check("c", "server.drained", "blue", **{"for": "300ms"}))
    async with small(steps, balancer=balancer) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "paused"
        balancer.refuses = False
        await lab.submit(await lab.preview(PlanRetry(run, "w#1")))
        await until(lambda: row_of(lab, run).steps_of.get("skip") == ("c#1",))
        assert row_of(lab, run).steps_of["retry"] == ("c#1",)
        with pytest.raises(Refused, match="w#1"):
            await lab.engine.control(COMMANDER, run, Skip("w#1", "seen before"))
        await lab.engine.control(COMMANDER, run, Stop())


async def test_a_paused_run_at_a_failed_step_offers_exactly_what_works():
    async with small(book(group(check("c", "server.serving", "green", **{"for": "300ms"}), ask("q", YES_NO)))) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("case")))).run
        await until(lambda: lab.engine.history.runs[run].latest("c").state == "failed")
        assert row_of(lab, run).next_actions == ("decide", "skip", "pause", "stop")
        await lab.engine.control(COMMANDER, run, Decide("yes", "q"))
        await until(lambda: row_of(lab, run).state == "paused")
        assert row_of(lab, run).next_actions == ("retry", "skip", "stop")
        with pytest.raises(Refused, match="Retry or skip c first"):
            await lab.engine.control(COMMANDER, run, Resume())
        with pytest.raises(Refused, match="not possible now"):
            await lab.engine.control(COMMANDER, run, Pause())
