"""Keys: every one says why it does nothing; an observer can do nothing through any of them."""

from __future__ import annotations

import pytest

from console.tui.actions.registry import action_of, actions_of, keys_of
from console.tui.app import tabs
from console.tui.glyphs import ASCII, MARKS, UNICODE
from console.tui.screens.base import MainScreen
from console.tui.terminal.capabilities import Terminal
from state.api.requests import Decide, PlanChange, PlanEvacuate, PlanRunbook, PlanShare
from tests.screens.fake_engine import Stage, stage

REQUESTS = [
    ("4", ("tab", "d"), PlanChange("server.drain", {"balancer": "edge-east", "backend": "checkout", "server": "blue"})),
    ("4", ("tab", "down", "r"),
     PlanChange("server.ready", {"balancer": "edge-east", "backend": "checkout", "server": "green"})),
    ("4", ("tab", "w", "backspace", "5", "0", "enter"),
     PlanChange("server.weight", {"balancer": "edge-east", "backend": "checkout", "server": "blue", "weight": 50})),
    ("4", ("tab", "f"), PlanChange("backend.flip", {"balancer": "edge-east", "backend": "checkout", "to": "blue"})),
    ("4", ("f", "enter"), PlanChange("backend.flip", {"balancer": "edge-east", "backend": "checkout", "to": "blue"})),
    ("4", ("tab", "tab", "a", "enter", "3", "0", "s", "enter"),
     PlanChange("dns.set", {"zone": "shop.example", "record": "checkout", "a": ["10.1.0.10", "10.2.0.10"],
                            "ttl": "30s"})),
    ("4", ("s", "enter", "backspace", "backspace", "2", "5", "enter", "right", "enter", "3", "0", "m", "enter", "w",
           "h", "y", "enter"),
     PlanShare(service="checkout", to="blue", percent=25, balancers=("edge-east",), lasts=1800.0, comment="why")),
    ("4", ("v", "enter", "enter", "enter"), PlanEvacuate(site="east")),
    ("2", ("down", "s"), PlanChange("database.switchover", {"database": "orders", "to": "n2"})),
    ("2", ("down", "f"), PlanChange("database.failover", {"database": "orders", "to": "n2"})),
    ("2", ("n",), PlanChange("database.fence", {"database": "orders", "node": "n1"})),
    ("2", ("down", "j"), PlanChange("database.rejoin", {"database": "orders", "node": "n2"})),
    ("2", ("p",), PlanChange("database.pause", {"database": "orders"})),
    ("3", ("tab", "tab", "s", "right", "enter", "right", "enter", "enter"),
     PlanRunbook("rollback-release", {"service": "catalog", "to": "blue"})),
]  # fmt: skip


@pytest.mark.parametrize(("screen", "keys", "request_"), REQUESTS)
async def test_a_key_previews_and_opens_the_card(
    screen: str, keys: tuple[str, ...], request_: dict[str, object]
) -> None:
    async with stage() as st:
        await st.press(screen, *keys)
        await st.until(lambda: st.front.previews, "a preview")
        assert st.front.previews == [request_]
        await st.sees("Drain edge-east/checkout/blue  B1", "loss", "undo")
        assert st.front.acts == []


def test_ids_and_keys_are_unique_on_every_screen() -> None:
    for screen in tabs():
        keys = [action.key for action in keys_of(screen.name)]
        assert len(keys) == len(set(keys)), screen.name


def test_every_action_documents_itself() -> None:
    for screen in tabs():
        for action in actions_of(screen.name):
            assert len(action.help) > 15
            assert action.name


async def help_lists(st: Stage, screen: MainScreen) -> None:
    await st.press("question_mark")
    message = st.app.screen.query_one("Facts").plain  # type: ignore[attr-defined]
    for action in keys_of(screen.topic.name):
        assert action.help in message
        reason = action.why_not(screen.context())
        assert reason is None or reason in message
    await st.press("escape")


@pytest.mark.parametrize("may_act", [True, False])
async def test_help_lists_every_key_with_its_reason(may_act: bool) -> None:
    async with stage(may_act=may_act) as st:
        for screen in tabs():
            await st.press(screen.digit)
            front = st.app.screen
            assert isinstance(front, MainScreen)
            await help_lists(st, front)


async def test_a_disabled_key_is_blocked_and_says_why() -> None:
    async with stage() as st:
        await st.press("4")
        front = st.app.screen
        assert isinstance(front, MainScreen)
        assert action_of("change-weight").why_not(front.context()) == "select a server first (Tab)"
        assert action_of("flip-backend").why_not(front.context()) is None
        await st.press("w")
        await st.sees("weight: select a server first")
        assert st.front.previews == []


async def test_a_runbook_that_does_not_hold_cannot_be_started() -> None:
    async with stage() as st:
        await st.press("3", "tab", "tab", "down", "s")
        await st.sees("runbook is invalid")
        assert st.front.previews == []


async def test_faults_exist_in_a_lab_only() -> None:
    async with stage() as st:
        front = st.app.screen
        assert isinstance(front, MainScreen)
        assert action_of("fault-bad-release").why_not(front.context()) is None
        from dataclasses import replace

        st.front.show("header", replace(st.front.view("header"), environment="production"))
        await st.sees(" PROD ")
        assert action_of("fault-bad-release").why_not(front.context()) == "faults exist in a lab only"


async def test_a_fault_from_the_palette() -> None:
    async with stage() as st:
        await st.press("ctrl+p", *"bad-rel")
        await st.sees("fault bad-release")
        await st.press("enter")
        await st.sees("for how long")
        await st.press("enter")
        await st.until(lambda: st.front.previews, "a preview")
        assert st.front.previews[0] == PlanChange("fault.inject", {"fault": "bad-release", "seconds": 120})


async def test_a_reason_from_the_engine_dims_all_effects_but_stop() -> None:
    from dataclasses import replace

    async with stage() as st:
        st.front.show("header", replace(st.front.view("header"), effects="the journal cannot be written"))
        await st.sees("EFFECTS REFUSED: the journal cannot be written")
        await st.press("2", "down", "s")
        await st.sees("effects are refused")
        assert st.front.previews == []
        await st.press("full_stop")
        await st.sees("Stop everything")


async def test_controls_ask_for_a_yes() -> None:
    async with stage() as st:
        await st.press("3", "d")
        await st.sees("Did the error ratio fall?", "yes", "no")
        await st.press("right", "right", "enter")
        await st.sees("answer")
        await st.sees("to do it")
        assert st.front.acts == []
        await st.press("y")
        await st.until(lambda: st.front.acts, "the decision")
        assert st.front.acts == [("control", ("r-41", Decide("no", "judge#1")))]
        await st.sees("run r-42 started")


async def test_stop_everything_is_one_key_and_a_yes_from_every_screen() -> None:
    async with stage() as st:
        for count, screen in enumerate(tabs(), 1):
            await st.press(screen.digit, "full_stop")
            await st.sees("to do it")
            await st.press("y")
            await st.until(lambda count=count: len(st.front.acts) == count, "the stop")  # type: ignore[misc]
            await st.until(lambda: isinstance(st.app.screen, MainScreen), "the screen again")
        assert st.front.acts == [("stop", {})] * len(tabs())


async def test_an_observer_acts_through_no_key() -> None:
    async with stage(may_act=False) as st:
        await st.sees("OBSERVER")
        for screen in tabs():
            await st.press(screen.digit)
            front = st.app.screen
            assert isinstance(front, MainScreen)
            for _ in range(3):
                for action in keys_of(screen.name):
                    if action.acts:
                        why = action.why_not(front.context())
                        assert why is not None
                        assert "acting needs responder. Ask a person who has the role; the key W" in why
                        st.send(action.key)
                        await st.settle()
                        assert st.app.screen is front, action.id
                await st.press("tab")
        assert st.front.previews == []
        assert st.front.acts == []


async def test_an_observer_acts_through_no_palette_entry() -> None:
    async with stage(may_act=False) as st:
        for screen in tabs():
            await st.press(screen.digit)
            front = st.app.screen
            assert isinstance(front, MainScreen)
            for action in actions_of(screen.name):
                if action.acts:
                    front.do(action)
                    await st.pilot.pause(0.01)
                    assert st.app.screen is front, action.id
        await st.sees("u1 has the role observer")
        assert st.front.previews == []
        assert st.front.acts == []


async def test_verify_says_the_chain_holds() -> None:
    async with stage() as st:
        await st.press("9", "v")
        await st.sees("the chain is valid")


@pytest.mark.parametrize("ascii_only", [False, True])
async def test_help_explains_every_sign(ascii_only: bool) -> None:
    glyphs = ASCII if ascii_only else UNICODE
    async with stage(terminal=Terminal(ascii_only=ascii_only)) as st:
        await st.press("question_mark")
        message = st.app.screen.query_one("Facts").plain  # type: ignore[attr-defined]
        explained = message.partition("Signs")[2]
        for sign in [*(glyphs.of(mark) for mark in MARKS.values()), *glyphs[1:]]:
            assert isinstance(sign, str)
            assert sign[:1] in explained, sign
