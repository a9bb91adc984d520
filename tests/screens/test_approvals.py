"""The queue of approvals on real screens: what waits, what a key does, who goes on alone, who must stay."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.tui.app import tabs
from console.tui.dialogs.approve import ApproveDialog
from console.tui.dialogs.card import CardDialog
from state.api.card import Confirm, Rule
from state.api.requests import PlanChange, write
from state.api.views.approvals import ApprovalRow, ApprovalState, ApprovalsView
from tests.screens.fake_engine import Stage, stage
from tests.support.cards import card
from tests.support.signing import BEN, key_file, public_key
from tests.support.views import made

SIZES = [(80, 24), (120, 40)]
REQUEST = write(PlanChange("server.drain", {"balancer": "edge-east", "backend": "checkout", "server": "blue"}))


def row(st: Stage, name: str = "A-1", **other: Any) -> ApprovalRow:
    given = {
        "id": name, "state": ApprovalState.OPEN, "title": "Drain edge-east/checkout/blue", "risk": "B2",
        "rule": "second", "requester": "ada", "reason": "blue throws errors", "needed": 1,
        "may": ("ben", "u1"), "told": ("u1",), "asked_at": 1.0,
        "until_mono": st.front.mono() + 300, "plan": "ab" * 32, "request": REQUEST,
        "alone": ("commander",),
    }  # fmt: skip
    return made(ApprovalRow, **{**given, **other})


def show(st: Stage, *rows: ApprovalRow) -> None:
    st.front.show("approvals", ApprovalsView({each.id: each for each in rows}))


@pytest.mark.parametrize("size", SIZES)
async def test_what_waits_for_me_is_in_every_header_and_one_key_away(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        show(st, row(st))
        await st.sees("A 1 to approve", "A-1: ada asks you to approve")
        for tab in tabs():
            await st.press(tab.digit)
            await st.sees("A 1 to approve")
            await st.press("A")
            await st.sees("A-1", "to you", "blue throws errors", "ben (away)", "read it and approve", "04:5")
            await st.press("escape")


async def test_it_is_read_signed_with_ones_own_key_and_handed_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".ssh").mkdir(mode=0o700)
    for name in ("me", "me.pub"):
        shutil.copy(key_file("me").with_name(name), tmp_path / ".ssh" / name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    async with stage() as st:
        st.front.card, st.front.keys = card(Confirm.NONCE), (public_key("me"),)
        show(st, row(st))
        await st.sees("A 1 to approve")
        await st.press("A", "enter")
        await st.until(lambda: isinstance(st.app.screen, ApproveDialog), "the request")
        await st.sees("you sign", "abababababababab", "with your SSH key, as u1")
        dialog = st.app.screen
        assert isinstance(dialog, ApproveDialog)
        await st.until(lambda: dialog.gate.armed(dialog._clock()), "the arming")
        for letter in dialog.confirmation.nonce:
            st.send(letter.lower())
            await st.pilot.pause(0.05)
        await st.until(lambda: st.front.acts, "the approval")
        verb, told = st.front.acts[0]
        assert (verb, told["request"]) == ("approve", "A-1")
        assert told["signature"].startswith("-----BEGIN SSH SIGNATURE-----")


async def test_without_a_key_nothing_is_sent_and_the_way_out_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    async with stage() as st:
        st.front.card, st.front.keys = card(Confirm.NONCE), (public_key("me"),)
        show(st, row(st))
        await st.sees("A 1 to approve")
        await st.press("A", "enter")
        await st.until(lambda: isinstance(st.app.screen, ApproveDialog), "the request")
        dialog = st.app.screen
        assert isinstance(dialog, ApproveDialog)
        await st.until(lambda: dialog.gate.armed(dialog._clock()), "the arming")
        for letter in dialog.confirmation.nonce:
            st.send(letter.lower())
            await st.pilot.pause(0.05)
        await st.sees("none of your keys in the estate is in the agent")
        assert st.front.acts == []


@pytest.mark.parametrize(
    ("state", "mine", "key", "typed", "act"),
    [
        (ApprovalState.OPEN, False, "n", "not in the rush hour", ("deny", "not in the rush hour")),
        (
            ApprovalState.OPEN,
            True,
            "a",
            "nobody else answers and it burns",
            ("alone", "nobody else answers and it burns"),
        ),
        (ApprovalState.OPEN, True, "w", "", ("withdraw", "")),
        (ApprovalState.COUNTING, False, "x", "", ("halt", "")),
        (ApprovalState.USED, False, "v", "looked at it: right", ("review", "looked at it: right")),
    ],
)
async def test_each_key_of_a_request(
    state: ApprovalState, mine: bool, key: str, typed: str, act: tuple[str, str]
) -> None:
    async with stage() as st:
        due = 2e9 if state is ApprovalState.USED else None
        alone = "ada" if state is not ApprovalState.OPEN else ""
        show(st, row(st, state=state, requester="u1" if mine else "ada", may=() if mine else ("u1",), alone_by=alone,
                     review_due_at=due))  # fmt: skip
        await st.press("A")
        await st.sees("A-1")
        await st.press(key)
        if typed:
            await st.sees("reason")
            for each in typed:
                st.send({" ": "space", ":": "colon", ",": "comma"}.get(each, each))
            await st.settle()
            await st.press("enter")
        await st.until(lambda: st.front.acts, "the act")
        verb, told = st.front.acts[0]
        assert (verb, told["request"]) == (act[0], "A-1")
        assert act[1] in ("", told.get("reason"), told.get("note"))


async def test_keys_that_do_nothing_for_this_request_do_nothing() -> None:
    async with stage() as st:
        show(st, row(st, may=("ben",)))
        await st.press("A")
        await st.sees("A-1")
        for key in ("n", "w", "a", "x", "v", "enter"):
            await st.press(key)
        await st.sees("Approvals", "A-1")
        assert (st.front.acts, st.front.previews) == ([], [])


@pytest.mark.parametrize("size", SIZES)
async def test_who_goes_on_alone_counts_down_on_every_screen_and_over_every_dialog(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        show(st, row(st, state=ApprovalState.COUNTING, alone_by="ada", until_mono=st.front.mono() + 47))
        for tab in tabs():
            await st.press(tab.digit)
            await st.sees("! ada goes on alone with A-1 in 00:4", "A then x stops it")
            await st.press("question_mark")
            await st.sees("! ada goes on alone with A-1")
            await st.press("escape")
        show(st)
        await st.until(lambda: "! ada goes on alone" not in st.text, "its end")


async def test_a_card_that_needs_an_approval_asks_for_it_with_a_reason() -> None:
    async with stage() as st:
        missing = Rule("approval", False, "rule second (B2) needs 1 approval, and has none", "Ask: ctrl+a", "ben")
        plain = card(Confirm.NONCE)
        st.front.card = replace(plain, rules=(*plain.rules, missing), refusals=(missing.refusal,))
        await st.press("4", "tab", "d")
        await st.until(lambda: isinstance(st.app.screen, CardDialog), "the card")
        await st.sees("ctrl+a asks for the approval")
        await st.press("ctrl+a")
        await st.sees("Ask for an approval", "why it must be done")
        for each in "blue throws":
            st.send({" ": "space"}.get(each, each))
        await st.settle()
        await st.press("enter", "enter")
        await st.until(lambda: st.front.acts, "the request")
        assert st.front.acts == [("ask", {"plan": plain.plan, "reason": "blue throws"})]


async def test_who_went_on_alone_is_told_that_it_was_stopped() -> None:
    async with stage() as st:
        show(st, row(st, state=ApprovalState.COUNTING, requester="u1", alone_by="u1", may=()))
        await st.sees("! u1 goes on alone")
        show(st, row(st, requester="u1", alone_by="u1", may=("ben",), message="A-1: ben stopped u1"))
        await st.sees("A-1: ben stopped u1")


async def test_my_approved_request_leads_to_its_card() -> None:
    async with stage() as st:
        show(st, row(st, state=ApprovalState.APPROVED, requester="u1", may=(), given=("ben",)))
        await st.sees("A-1 approved 04:5")
        await st.press("A", "enter")
        await st.until(lambda: isinstance(st.app.screen, CardDialog), "the card")
        assert [write(each) for each in st.front.previews] == [REQUEST]


async def test_input_freezes_within_two_seconds_when_the_required_person_leaves_and_counts_again_when_back() -> None:
    async with stage() as st:
        key = st.front.attach(BEN, "c1", "")
        st.front.card = replace(card(Confirm.NONCE), present=("ben",))
        await st.press("4", "tab", "d")
        await st.until(lambda: isinstance(st.app.screen, CardDialog), "the card")
        dialog = st.app.screen
        assert isinstance(dialog, CardDialog)
        await st.until(lambda: dialog.gate.armed(dialog._clock()), "the arming")
        st.send(dialog.confirmation.nonce[0].lower())
        await st.until(lambda: dialog.gate.typed, "a key that counts")
        async with asyncio.timeout(2.0):
            st.front.detach(key)
            await st.sees("input is frozen: ben, who approved it, is not attached any more")
        for letter in dialog.confirmation.nonce:
            st.send(letter.lower())
            await st.pilot.pause(0.05)
        assert (st.front.acts, dialog.gate.typed) == ([], "")
        st.front.attach(BEN, "c2", "")
        await st.until(lambda: "input is frozen" not in st.text, "the thaw")
        await st.until(lambda: dialog.gate.armed(dialog._clock()), "the arming")
        for letter in dialog.confirmation.nonce:
            st.send(letter.lower())
            await st.pilot.pause(0.05)
        await st.until(lambda: st.front.acts, "the confirmation")


async def test_of_a_lost_engine_no_approval_is_shown() -> None:
    async with stage() as st:
        show(st, row(st))
        await st.sees("A 1 to approve")
        st.app.workers.cancel_group(st.app, "engine")
        st.app.store.lost("gone")
        st.app._announce()
        await st.until(lambda: "A 1 to approve" not in st.text, "the badge gone")
