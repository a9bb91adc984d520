"""The engine on in-memory adapters: plan, confirm, act, read back, record."""

import asyncio

import pytest

from adapters.journals.memory import MemoryJournal
from state.api.requests import (
    Decide,
    Pause,
    PlanChange,
    PlanRetry,
    PlanRunbook,
    PlanUndo,
    Resume,
    Skip,
    Stop,
    Submission,
    Typed,
    read_control,
    read_plan,
    read_submission,
    write,
)
from state.errors import EffectUnknown, JournalUnavailable, NotFound, ReadFailure, Refused, Trouble
from state.journal.format import verify
from tests.support.small_estate import COMMANDER, OBSERVER, RESPONDER, STRANGER, change, flip, small

pytestmark = pytest.mark.virtual_time


async def test_a_flip_happens_once_and_the_journal_shows_intent_before_outcome():
    async with small() as lab:
        card = await lab.preview(flip("green"))
        assert card.confirmation.how == "nonce"
        assert ("edge/shop/blue weight", "100", "0") in [(d.subject, d.before, d.after) for d in card.diffs]
        run = (await lab.submit(card)).run
        assert await lab.ended(run) == "done"
        assert await lab.weights() == {"blue": 0, "green": 100}
        kinds = lab.kinds()
        order = ["run.started", "lease.taken", "step.started", "effect.intended", "effect.answered", "effect.ended"]
        assert [k for k in kinds if k in order] == order
        assert (await lab.engine.journal_verify()).problem == ""


async def test_a_wrong_nonce_voids_the_plan_and_nothing_happens():
    async with small() as lab:
        card = await lab.preview(flip("green"))
        with pytest.raises(Refused, match="nonce"):
            await lab.submit(card, nonce="XXXX")
        with pytest.raises(Refused, match="plan-open"):
            await lab.submit(card)
        assert await lab.weights() == {"blue": 100, "green": 0}
        assert "request.refused" in lab.kinds()


async def test_a_confirmation_before_the_card_is_armed_is_refused_and_the_plan_lives_on():
    async with small() as lab:
        card = await lab.preview(flip("green"))
        request = Submission(card.plan, card.fingerprint, card.confirmation.typed)
        with pytest.raises(Refused, match="arming"):
            await lab.engine.submit(COMMANDER, request)
        assert (await lab.submit(card)).run == "R-1"


async def test_a_fact_that_changed_after_the_preview_voids_the_plan_and_names_the_fact():
    async with small() as lab:
        card = await lab.preview(flip("green"))
        await lab.balancer.set_weight("shop", "blue", 50, deadline=1)
        with pytest.raises(Refused, match="facts-changed") as refused:
            await lab.submit(card)
        assert "100" in str(refused.value)
        assert "50" in str(refused.value)
        assert await lab.weights() == {"blue": 50, "green": 0}


@pytest.mark.parametrize("caller", [OBSERVER, STRANGER])
async def test_who_may_not_act_can_neither_plan_nor_submit_nor_control(caller):
    async with small() as lab:
        card = await lab.preview(flip("green"))
        with pytest.raises(Refused):
            await lab.engine.preview(caller, flip("green"))
        with pytest.raises(Refused):
            await lab.submit(card, caller=caller)
        for control in (Pause(), Resume(), Skip(), Stop(), Decide("go")):
            with pytest.raises(Refused):
                await lab.engine.control(caller, "R-1", control)
        with pytest.raises(Refused):
            await lab.engine.stop_all(caller)
        with pytest.raises(Refused):
            await lab.engine.shut_down(caller)
        assert await lab.weights() == {"blue": 100, "green": 0}


async def test_a_plan_is_confirmed_by_the_person_who_made_it():
    async with small() as lab:
        card = await lab.preview(flip("green"))
        with pytest.raises(Refused, match="plan-owner"):
            await lab.submit(card, caller=RESPONDER)


async def test_trap_09_draining_the_last_server_is_refused_by_our_floor():
    async with small() as lab:
        card = await lab.preview(change("server.drain", server="blue"))
        assert "floor" in [r.rule for r in card.refusals]
        with pytest.raises(Refused, match="floor"):
            await lab.submit(card)
        assert (await lab.balancer.read_backend("shop", deadline=1))[0].drained is False


async def test_two_people_cannot_act_on_one_target_at_once():
    slow = {
        "runbook": "slow",
        "title": "Slow",
        "steps": [
            {
                "id": "w",
                "change": "server.weight",
                "with": {"balancer": "edge", "backend": "shop", "server": "green", "weight": 1},
            },
            {"id": "rest", "wait": "5s"},
        ],
    }
    async with small(slow) as lab:
        first = await lab.submit(await lab.preview(PlanRunbook("slow")))
        card = await lab.preview(flip("green"), caller=RESPONDER)
        assert any("ada is running R-1" in r.fact for r in card.refusals)
        await lab.engine.stop_all(COMMANDER)
        assert await lab.ended(first.run) == "stopped"


async def test_an_effect_without_answer_is_unknown_until_the_target_was_read():
    async with small() as lab:
        real = lab.balancer.set_weight

        async def loses_reply(*args, **kwargs):
            await real(*args, **kwargs)
            raise EffectUnknown("the connection was lost after sending", "reset")

        lab.balancer.set_weight = loses_reply  # the adapter itself misbehaves, as a network would
        card = await lab.preview(change("server.weight", server="green", weight=7))
        run = (await lab.submit(card)).run
        assert await lab.ended(run) == "done"
        rows = [r for r in lab.engine.journal_rows(0, 999) if r.kind == "effect.answered"]
        assert "no reliable answer" in rows[0].message
        assert (await lab.weights())["green"] == 7


async def test_an_unreadable_target_keeps_the_step_unknown_and_nothing_is_sent_again():
    async with small() as lab:
        sent = 0
        real_set, real_read = lab.balancer.set_weight, lab.balancer.read_backend

        async def no_reading(*args, **kwargs):
            raise ReadFailure(Trouble.TIMEOUT, "no answer")

        async def lost(*args, **kwargs):
            nonlocal sent
            sent += 1
            await real_set(*args, **kwargs)
            lab.balancer.read_backend = no_reading
            raise EffectUnknown("lost", "reset")

        lab.balancer.set_weight = lost
        run = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=7)))).run
        await asyncio.sleep(2.6)
        assert lab.engine.history.runs[run].shown_state() == "unknown"
        lab.balancer.read_backend = real_read
        assert await lab.ended(run) == "done"
        assert sent == 1


async def test_without_a_durable_journal_no_effect_starts_but_stop_works():
    class Full(MemoryJournal):
        full = False

        def append(self, entries):
            if self.full:
                raise JournalUnavailable("disk full")
            super().append(entries)

    store = Full()
    async with small(store=store) as lab:
        card = await lab.preview(flip("green"))
        store.full = True
        with pytest.raises(JournalUnavailable):
            await lab.submit(card)
        assert await lab.weights() == {"blue": 100, "green": 0}
        again = await lab.preview(flip("green"))
        assert any("disk full" in r.fact for r in again.refusals)
        assert lab.engine.view("header").effects == "disk full"
        assert (await lab.engine.stop_all(COMMANDER)).message == "nothing is running"
        store.full = False
        await asyncio.sleep(0.05)


async def test_an_unknown_argument_or_name_is_said_with_what_there_is():
    async with small() as lab:
        with pytest.raises(NotFound, match="blue or green"):
            await lab.preview(change("server.weight", server="red", weight=1))
        with pytest.raises(NotFound, match=r"no backend of edge shpo; did you mean shop\?"):
            await lab.preview(change("server.weight", backend="shpo", server="blue", weight=1))
        with pytest.raises(NotFound, match="no balancer"):
            await lab.preview(change("server.weight", balancer="nope", server="blue", weight=1))
        with pytest.raises(NotFound):
            await lab.preview(change("server.weight", server="blue", weight=999))
        with pytest.raises(NotFound, match=r"server\.ready.*backend\.flip"):
            await lab.preview(change("server.explode"))


@pytest.mark.parametrize("odd", [["a"], "a", 7])
def test_a_request_of_another_shape_is_refused_with_a_message(odd):
    change = {"do": "change", "kind": "server.weight", "args": odd}
    for request in (change, {"do": "runbook", "name": "x", "params": odd}):
        with pytest.raises(NotFound, match="names and values"):
            read_plan(request)
    with pytest.raises(NotFound, match="nonce, name and loss"):
        read_submission({"plan": "p", "fingerprint": "f", "typed": odd})


@pytest.mark.parametrize(("read", "request_", "message"), [
    (read_plan, {}, "there are change, runbook, retry, undo"),
    (read_plan, {"do": "destroy"}, "cannot plan 'destroy'"),
    (read_plan, {"do": "runbook"}, "lacks name"),
    (read_control, {"verb": "explode"}, "there are pause, resume, skip, stop, decide"),
    (read_control, {"verb": "decide"}, "lacks choice"),
    (read_plan, {"do": ["change"]}, "do must be text, not a list"),
    (read_plan, {"do": "change", "kind": True}, "kind must be text, not true or false"),
    (read_plan, {"do": "retry", "run": 1}, "run must be text, not a number"),
    (read_control, {"verb": "decide", "choice": {}}, "choice must be text, not an object"),
    (read_submission, {"plan": "p", "fingerprint": ["f"]}, "fingerprint must be text, not a list"),
    (read_submission, {"plan": "p", "fingerprint": "f", "typed": {"loss": 5}}, "loss must be text, not a number"),
])  # fmt: skip
def test_what_a_request_lacks_is_named(read, request_, message):
    with pytest.raises(NotFound, match=message):
        read(request_)


REQUESTS = (
    PlanChange("server.weight", {"weight": 3}), PlanRunbook("r", {"a": "b"}), PlanRetry("R-1", "s"), PlanUndo("R-1"),
    Pause(), Resume(), Skip("s", "known good"), Stop("enough"), Decide("go", "s"),
    Submission("p", "f", Typed("AB2C", "orders", "1 MB")),
)  # fmt: skip


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: type(r).__name__)
def test_a_request_survives_the_wire(request_):
    told = write(request_)
    read = read_submission if isinstance(request_, Submission) else read_plan if "do" in told else read_control
    assert read(told) == request_


async def test_what_is_already_so_is_not_sent():
    async with small() as lab:
        card = await lab.preview(flip("blue"))
        assert card.confirmation.how == "y"
        run = (await lab.submit(card)).run
        assert await lab.ended(run) == "done"
        assert "effect.intended" not in lab.kinds()


async def test_undo_reverses_what_a_run_did():
    async with small() as lab:
        run = (await lab.submit(await lab.preview(flip("green")))).run
        assert await lab.ended(run) == "done"
        back = (await lab.submit(await lab.preview(PlanUndo(run)))).run
        assert await lab.ended(back) == "done"
        assert await lab.weights() == {"blue": 100, "green": 0}


async def test_the_chain_of_a_whole_session_verifies_and_any_change_is_found():
    async with small() as lab:
        await lab.submit(await lab.preview(flip("green")))
        await lab.ended("R-1")
        rows = list(lab.store.rows())
        assert verify(rows).ok
        assert not verify([*rows[:3], *rows[4:]]).ok
