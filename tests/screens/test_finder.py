"""Everything by name from everywhere: ranked, quick with thousands of names, with the reason when it does nothing."""

from __future__ import annotations

import pytest

from console.tui.dialogs.everything import everything
from console.tui.dialogs.finder import FinderDialog
from console.tui.dialogs.ranking import best, prepared
from console.tui.screens.base import MainScreen
from console.tui.widgets.table import LineTable
from state.api.requests import PlanChange
from tests.screens.fake_engine import Stage, stage
from tests.screens.fake_views import server, traffic


def order(names: list[str], typed: str) -> list[str]:
    return [names[place] for place in best(prepared(names), typed)]


def test_the_very_name_comes_first_then_beginnings_then_words_then_letters() -> None:
    names = ["reorders", "new-orders", "orders-west", "o-r-d-e-r-s", "orders", "mail"]
    assert order(names, "orders") == ["orders", "orders-west", "new-orders", "reorders", "o-r-d-e-r-s"]
    assert order(names, "WEST ord") == ["orders-west"]
    assert order(names, "nwrd") == ["new-orders"]
    assert order(names, "") == names
    assert order(names, "zz") == []


def first(st: Stage) -> str:
    return next(line for line in st.lines if line.startswith("›"))


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
@pytest.mark.parametrize(
    ("typed", "screen", "table", "row"),
    [
        ("search", "overview", "recover", "service/search"),
        ("CheckoutErrors", "overview", "alerts", "a1"),
        ("orders data", "replication", "nodes", "orders/n1"),
        ("orders/n2 node", "replication", "nodes", "orders/n2"),
        ("r-40 run", "runbooks", "runs", "r-40"),
        ("rollback-release", "runbooks", "library", "rollback-release"),
        ("promote", "runbooks", "steps", "r-40/promote#1"),
        ("edge-west/checkout backend", "traffic", "backends", "edge-west/checkout"),
        ("edge-west/checkout/green", "traffic", "servers", "edge-west/checkout/green"),
        ("checkout.shop", "traffic", "dns", "checkout/east"),
        ("1280", "journal", "entries", "1280"),
    ],
)
async def test_every_kind_of_thing_is_reached_by_its_name(
    key: str, typed: str, screen: str, table: str, row: str
) -> None:
    async with stage() as st:
        start = "9" if screen != "journal" else "1"
        await st.press(start, key)
        await st.until(lambda: isinstance(st.app.screen, FinderDialog), "the list")
        await st.press(*("space" if char == " " else char for char in typed), "enter")
        await st.until(lambda: st.app.current_mode == screen, f"the screen of {typed}")
        await st.until(
            lambda: st.app.screen.query_one(f"#{table}", LineTable).cursor_key == row, f"the cursor on {row}"
        )


async def test_an_action_of_another_screen_asks_which_row_and_opens_its_card() -> None:
    async with stage() as st:
        await st.press("9", "ctrl+p", *"drain", "enter")
        await st.sees("Drain: choose", "edge-east/checkout/blue")
        await st.press(*"west/checkout/blue", "enter")
        await st.until(lambda: st.front.previews, "a preview")
        target = {"balancer": "edge-west", "backend": "checkout", "server": "blue"}
        assert st.front.previews == [PlanChange("server.drain", target)]


async def test_rows_on_which_an_action_does_nothing_say_why() -> None:
    async with stage() as st:
        await st.press("1", "ctrl+p", *"switchover", "enter")
        await st.sees("Switchover: choose", "not now: this node is already the primary")
        await st.press(*"n1", "enter")
        await st.sees("switchover: this node is already the primary")
        assert st.front.previews == []


async def test_an_observer_reads_why_no_action_works() -> None:
    async with stage(may_act=False) as st:
        await st.press("9", "ctrl+p", *"weight")
        await st.sees("weight", "not now: u1 has the role observer; acting")
        await st.press("enter")
        await st.sees("weight: u1 has the role observer; acting")
        assert st.front.previews == []


async def test_five_thousand_names_are_all_found() -> None:
    servers = {}
    for number in range(5_000):
        key = f"edge-east/checkout/web-{number:04d}"
        servers[key] = server("blue", "edge-east", 1, key=key, server=f"web-{number:04d}")
    view = traffic(0.0, 0.0)
    async with stage(topics={"traffic": type(view)(view.backends, servers, view.dns)}) as st:
        front = st.app.screen
        assert isinstance(front, MainScreen)
        await st.press("colon")
        await st.sees("or more, type to find others")
        assert sum(each.kind == "server" for each in everything(st.app, front.context(), places_first=True)) == 5_000
        await st.press(*"web4321")
        await st.until(lambda: "web-4321" in first(st), "the server first")
        await st.press("enter")
        await st.until(lambda: st.app.current_mode == "traffic", "the screen")
