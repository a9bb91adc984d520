"""The consequence card on a real app: what it shows, what confirms it, what never does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events

from console.card_pieces import Part
from console.card_text import card_sections
from console.tui.app import tabs
from console.tui.dialogs.card import CardDialog
from console.tui.parts.facts import Facts
from state.api.caller import Caller
from state.api.card import Confirm, Diff, Rule
from state.api.messages import Accepted
from state.api.requests import PlanChange, Submission, Typed
from state.errors import EffectUnknown, Refusal, Refused
from tests.screens.fake_engine import Stage, stage
from tests.support.cards import card

ARMED = 0.3


async def opened(st: Stage, *, armed: bool = True) -> CardDialog:
    """The card of draining the first server."""
    await st.press("4", "tab", "d")
    await st.until(lambda: isinstance(st.app.screen, CardDialog), "the card")
    if armed:
        await ready(st)
    dialog = st.app.screen
    assert isinstance(dialog, CardDialog)
    return dialog


async def ready(st: Stage) -> None:
    """Until the card takes keys: its time to be read begins with its first picture, however late that came."""
    await st.pilot.pause(ARMED)
    await st.until(
        lambda: isinstance(st.app.screen, CardDialog) and st.app.screen.gate.armed(time.monotonic()), "the arming"
    )


async def slowly(st: Stage, keys: Iterable[str]) -> None:
    for key in keys:
        st.send(key)
        await st.pilot.pause(0.02)


def flat(text: str) -> str:
    """The words of a screen, however they are wrapped, without rules and scroll bars."""
    return " ".join(text.translate(dict.fromkeys(map(ord, "─│▐▕┃█"), " ")).split())


@pytest.mark.parametrize("confirm", list(Confirm))
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_it_shows_everything_but_proof_on_the_first_screenful(size: tuple[int, int], confirm: Confirm) -> None:
    async with stage(size=size) as st:
        st.front.card = card(confirm)
        await opened(st)
        await st.sees(st.front.card.title, st.front.card.risk, "the plan expires in 0", "Cancel")
        shown = flat(st.text)
        for section in card_sections(st.front.card):
            for line in section.lines:
                if section.part in (Part.TOP, Part.DIFFS) or (section.part is Part.RULES and confirm != Confirm.NONCE):
                    assert flat(line.text).rpartition(", read ")[0] or flat(line.text) in shown
                assert flat(line.text) in flat(st.app.screen.query_one(Facts).plain)


async def test_a_yes_confirms_with_plan_fingerprint_and_what_was_typed() -> None:
    async with stage() as st:
        await opened(st)
        await st.press("y")
        await st.until(lambda: st.front.acts, "the submission")
        assert st.front.acts == [("submit", Submission("p-1", "f-1", Typed("y")))]
        await st.sees("run r-42 started")


async def test_once_it_was_sent_no_key_promises_that_nothing_is_sent() -> None:
    async with stage() as st:
        answered = asyncio.Event()

        async def late(caller: Caller, request: Submission) -> Accepted:
            await answered.wait()
            return Accepted("r-42", "run r-42 started")

        st.front.submit = late  # type: ignore[method-assign]
        await opened(st)
        await st.sees("esc cancel, nothing is sent", "[ Cancel ]")
        await st.press("y")
        await st.sees(
            "sent; waiting for the engine's answer", "esc leave; Runbooks shows what became of it", "[ Leave ]"
        )
        assert "nothing is sent" not in st.text
        answered.set()
        await st.sees("run r-42 started")


async def test_keys_of_the_arming_time_are_dropped() -> None:
    async with stage() as st:
        st.front.card = card(arm=1.5)
        await opened(st, armed=False)
        await slowly(st, "yyyy")
        await st.press("enter")
        await st.pilot.pause(0.3)
        assert isinstance(st.app.screen, CardDialog)
        assert st.front.acts == []


async def test_enter_cancels_and_never_confirms() -> None:
    async with stage() as st:
        await opened(st)
        await st.press("enter")
        await st.until(lambda: not isinstance(st.app.screen, CardDialog), "the cancel")
        assert st.front.acts == []


@pytest.mark.parametrize("confirm", list(Confirm))
async def test_a_paste_confirms_nothing(confirm: Confirm) -> None:
    async with stage() as st:
        st.front.card = card(confirm)
        dialog = await opened(st)
        st.app.screen.post_message(events.Paste("y\nK7QXorders\n"))
        await st.settle()
        assert st.app.screen is dialog
        assert not dialog.gate.typed
        await st.press("y")
        await st.pilot.pause(0.3)
        assert st.front.acts == []


async def test_a_burst_of_keys_confirms_nothing() -> None:
    async with stage() as st:
        st.front.card = card(Confirm.NONCE)
        dialog = await opened(st)
        for char in "K7QX":
            st.app.post_message(events.Key(char, char))
        await st.pilot.pause(0.4)
        assert dialog.gate.typed == ""
        assert st.front.acts == []


async def test_a_nonce_typed_by_hand_confirms() -> None:
    async with stage() as st:
        st.front.card = card(Confirm.NONCE)
        await opened(st)
        await st.sees("type the code K7QX")
        await slowly(st, "k7qx")
        await st.until(lambda: st.front.acts, "the submission")
        assert st.front.acts[0][1].typed == Typed("k7qx")


async def test_a_wrong_nonce_voids_the_card() -> None:
    async with stage() as st:
        st.front.card = card(Confirm.NONCE)
        await opened(st)
        await slowly(st, "k7qz")
        await st.sees("the plan is void")
        await slowly(st, "k7qx")
        await st.pilot.pause(0.3)
        assert st.front.acts == []


async def test_b3_wants_nonce_name_and_loss() -> None:
    async with stage() as st:
        st.front.card = card(Confirm.NONCE_AND_NAME)
        await opened(st)
        await slowly(st, "k7qx")
        await st.sees("now type the name orders")
        await slowly(st, "orders")
        await st.sees("now type the loss 13.2 MB")
        assert st.front.acts == []
        await slowly(st, ["1", "3", "full_stop", "2", "space", "M", "B"])
        await st.until(lambda: st.front.acts, "the submission")
        assert st.front.acts[0][1].typed == Typed("k7qx", "orders", "13.2 MB")


async def test_a_refused_plan_cannot_be_confirmed() -> None:
    async with stage() as st:
        st.front.card = card(refusals=(Refusal("floor", "no server would serve", "Return another first", "responder"),))
        await opened(st)
        await st.sees("REFUSED", "floor: no server would serve. Return another first. Who", "cannot be confirmed")
        await st.press("y")
        await st.pilot.pause(0.3)
        assert st.front.acts == []


async def test_an_expired_plan_cannot_be_confirmed() -> None:
    async with stage() as st:
        st.front.card = card(expires=0.2)
        await opened(st)
        await st.press("y")
        await st.sees("the plan has expired")
        assert st.front.acts == []


async def test_changed_facts_refuse_and_the_next_card_shows_the_difference() -> None:
    async with stage() as st:
        await opened(st)
        st.front.refusal = Refused("facts-changed", "blue weight is 50 now", "Preview again")
        await st.press("y")
        await st.sees("facts-changed: blue weight is 50 now", "reads everything again")
        st.front.refusal = None
        diffs = (Diff("edge-east/checkout/blue", "maint", "drain"),)
        st.front.card = replace(st.front.card, plan="p-2", diffs=diffs)
        await st.press("ctrl+r")
        await st.sees("maint → drain", "CHANGED, was: ready → drain")
        assert len(st.front.previews) == 2
        await ready(st)
        await st.press("y")
        await st.until(lambda: st.front.acts, "the submission")
        assert st.front.acts[0][1].plan == "p-2"


async def test_an_unknown_outcome_is_not_shown_as_failure() -> None:
    async with stage() as st:
        await opened(st)
        st.front.refusal = EffectUnknown("no answer within 30 s")
        await st.press("y")
        await st.sees("OUTCOME UNKNOWN", "no answer within 30 s")
        assert "FAIL" not in "\n".join(st.lines[3:])


async def test_a_preview_that_fails_says_rule_fact_and_way_out() -> None:
    async with stage() as st:

        async def refuse(*_: object) -> object:
            raise Refused("role", "u1 may not plan", "Ask a commander")

        st.front.preview = refuse  # type: ignore[method-assign,assignment]
        await st.press("4", "tab", "d")
        await st.sees("Refused", "role: u1 may not plan. Ask a commander")


async def test_pasted_text_on_every_screen_sends_nothing() -> None:
    """A pasted shell command is type-ahead: whatever it opens, it confirms nothing."""
    async with stage() as st:
        for screen in tabs():
            await st.press(screen.digit)
            for char in ".yyds\r.y\rsy\rwy":
                key = {"\r": "enter", ".": "full_stop"}.get(char, char)
                st.app.post_message(events.Key(key, char))
            await st.pilot.pause(0.9)
            for _ in range(3):
                await st.press("escape")
        assert st.front.acts == []


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (29, 24)])
async def test_a_card_that_cannot_be_read_is_not_confirmed(size: tuple[int, int]) -> None:
    async with stage(size=(80, 24)) as st:
        dialog = await opened(st)
        await st.pilot.resize_terminal(*size)
        await st.until(lambda: not dialog.in_sight, "the question hidden")
        await st.pilot.pause(ARMED)
        await slowly(st, "y")
        await st.pilot.pause(ARMED)
        assert st.front.acts == []
        await st.pilot.resize_terminal(80, 24)
        await st.until(lambda: dialog.in_sight, "the question")
        await st.pilot.pause(ARMED)
        await ready(st)
        await slowly(st, "y")
        await st.until(lambda: len(st.front.acts) == 1, "the confirmation")


async def test_an_engine_that_is_lost_under_a_card_gets_nothing_and_the_card_says_so() -> None:
    async with stage() as st:
        await opened(st)
        socket = Path(st.app.client.path)
        away = socket.rename(socket.with_name("away"))
        st.app.store.lost("the engine closed the stream")
        await st.sees("ENGINE LOST")
        await slowly(st, "y")
        await st.pilot.pause(1.0)
        assert st.front.acts == []
        await st.sees("Engine unreachable")
        away.rename(socket)
        await slowly(st, "yy")  # it is not tried again by itself, nor by the same card
        await st.pilot.pause(1.0)
        assert st.front.acts == []


async def test_a_safety_rule_is_overridden_by_giving_a_reason_for_it() -> None:
    async with stage() as st:
        rule = Rule(
            "safety", False, "enough: 2 of 4 servers would serve", "Wait", "commander", "edge/shop", own="enough"
        )
        st.front.card = card(rules=(rule,), refusals=(rule.refusal,))
        await st.press("4", "tab", "d")
        await st.sees("cannot be confirmed", "overrides its safety rules")
        await st.press("ctrl+o")
        await st.sees("Override safety rules", "enough")
        st.front.card = card()
        await st.press("b", "1", "enter")
        await st.until(lambda: len(st.front.previews) == 2, "another preview")
        asked = st.front.previews[-1]
        assert isinstance(asked, PlanChange)
        assert asked.overrides == {"enough": "b1"}
