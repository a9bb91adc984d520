"""Enter follows links, escape comes back; tables are sorted by column; the journal marks what is newer; the mouse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual import events

from console.tui.dialogs.detail import DetailDialog
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.sorting import Sorting
from console.tui.widgets.table import LineTable
from tests.screens.fake_engine import Stage, stage
from tests.screens.fake_views import journal


def table(st: Stage, name: str) -> LineTable:
    return st.app.screen.query_one(f"#{name}", LineTable)


async def follow(st: Stage, name: str) -> None:
    """Open the row under the cursor and follow the link of that name."""
    await st.press("enter")
    await st.until(lambda: isinstance(st.app.screen, DetailDialog), "the detail")
    links = st.app.screen.query_one(LineTable)
    wanted = next(key for key in links.shown_keys() if key.endswith(f"/{name}"))
    while links.cursor_key != wanted:
        await st.press("down")
    await st.press("enter")


async def test_enter_follows_from_service_to_database_node_run_and_entry_and_escape_comes_back() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("1", "down")
        await follow(st, "orders")
        await st.until(lambda: st.app.current_mode == "replication", "the database")
        await st.until(lambda: table(st, "nodes").cursor_key == "orders/n1", "its first node")
        await follow(st, "orders/n2")
        await st.until(lambda: table(st, "nodes").cursor_key == "orders/n2", "the standby")
        await follow(st, "r-41")
        await st.until(lambda: st.app.current_mode == "runbooks", "the run")
        await follow(st, "1287")
        await st.until(lambda: st.app.current_mode == "journal", "the entry")
        await st.until(lambda: table(st, "entries").cursor_key == "1287", "the entry")
        for screen in ("runbooks", "replication", "replication", "overview"):
            await st.press("escape")
            await st.until(lambda screen=screen: st.app.current_mode == screen, screen)  # type: ignore[misc]
            await st.pilot.pause(0.1)
        assert table(st, "recover").cursor_key == "service/checkout"


@pytest.mark.parametrize(
    ("screen", "keys", "name", "to"),
    [
        ("9", (), "r-41", "runbooks"),
        ("4", (), "checkout", "overview"),
        ("1", ("tab", "tab", "tab"), "checkout", "overview"),
        ("1", ("tab",), "checkout", "overview"),
    ],
)
async def test_entries_backends_and_alerts_lead_on(screen: str, keys: tuple[str, ...], name: str, to: str) -> None:
    async with stage(size=(120, 40)) as st:
        await st.press(screen, *keys)
        await follow(st, name)
        await st.until(lambda: st.app.current_mode == to, to)


async def test_escape_removes_a_filter_before_it_goes_back() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("9", "t")
        await st.sees("filter kind=")
        await follow(st, "r-41")
        await st.until(lambda: st.app.current_mode == "runbooks", "the run")
        await st.press("escape")
        await st.until(lambda: st.app.current_mode == "journal", "back")
        await st.sees("filter kind=")
        await st.press("escape")
        await st.until(lambda: "filter kind=" not in st.text, "all entries")
        assert st.app.current_mode == "journal"


COLUMNS = (Column("name", "name"), Column("size", "size", align="right"))


def test_numbers_sort_as_numbers_and_what_is_not_known_stands_last() -> None:
    rows = [
        TableRow("a", ("web-10", "900 kB"), {"size": 900.0}),
        TableRow("b", ("web-9", "13.2 MB"), {"size": 13_200.0}),
        TableRow("c", ("Web-1", "?"), {"size": None}),
    ]
    sorting = Sorting()
    assert [row.key for row in sorting.sorted(rows, COLUMNS)] == ["a", "b", "c"]
    sorting.step(COLUMNS)
    assert [row.key for row in sorting.sorted(rows, COLUMNS)] == ["c", "b", "a"]
    sorting.step(COLUMNS)
    assert [row.key for row in sorting.sorted(rows, COLUMNS)] == ["a", "b", "c"]
    sorting.reverse()
    assert [row.key for row in sorting.sorted(rows, COLUMNS)] == ["b", "a", "c"]
    sorting.step(COLUMNS)
    assert sorting.column == ""


async def test_a_table_is_sorted_by_key_keeps_its_cursor_and_filter() -> None:
    async with stage() as st:
        await st.press("2")
        nodes = table(st, "nodes")
        assert nodes.shown_keys() == ["orders/n1", "orders/n2", "orders/n3"]
        await st.press("down", "o")
        await st.sees("state▲")
        assert nodes.shown_keys() == ["orders/n2", "orders/n3", "orders/n1"]
        assert nodes.cursor_key == "orders/n2"
        await st.press("O")
        await st.sees("state▼")
        assert nodes.shown_keys() == ["orders/n1", "orders/n3", "orders/n2"]
        st.front.show("replication", replace(st.front.view("replication")))
        await st.settle()
        assert nodes.shown_keys() == ["orders/n1", "orders/n3", "orders/n2"]


async def test_the_journal_opens_at_the_newest_and_marks_what_is_newer_than_the_last_look() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("9")
        await st.sees("newest first")
        assert table(st, "entries").cursor_key == "1287"
        await st.press("down", "down", "1")
        view = journal(0.0, st.app.store.wall)
        newer = {str(seq): replace(view.entries["1287"], seq=seq) for seq in (1288, 1289)}
        st.front.show("journal", replace(view, head_seq=1289, entries={**view.entries, **newer}))
        await st.until(lambda: st.app.store.view("journal").head_seq == 1289, "the new entries")
        await st.press("9")
        await st.sees("2 newer than your last look at", "● 1289", "● 1288", "1287")
        await st.until(lambda: table(st, "entries").cursor_key == "1289", "the newest entry")
        assert "● 1287" not in st.text
        await st.press("down", "enter")
        await st.until(lambda: isinstance(st.app.screen, DetailDialog), "the detail")
        await st.press("escape")
        assert table(st, "entries").cursor_key == "1288"
        await st.sees("● 1289")
        await st.press("1", "9")
        await st.sees("none newer than your last look")


async def test_with_a_mouse_tabs_rows_and_titles_work() -> None:
    async with stage(size=(120, 40)) as st:
        await st.pilot.click(offset=(st.lines[1].index("4 Traffic"), 1))
        await st.until(lambda: st.app.current_mode == "traffic", "the tab")
        await st.pilot.pause(0.2)
        servers = table(st, "servers")
        first = servers.region
        await st.pilot.click(offset=(first.x + 12, first.y + 3))
        await st.until(lambda: servers.cursor_key == "edge-east/checkout/green", "the row")
        await st.pilot.click(offset=(first.x + 4, first.y + 1))
        await st.sees("state▲")
        await st.press("9")
        entries = table(st, "entries")
        await st.pilot.click(offset=(entries.region.x + 8, entries.region.y + 4))
        await st.until(lambda: entries.cursor_key == "1285", "the entry")
        await st.pilot.click(offset=(entries.region.x + 8, entries.region.y + 4))
        await st.until(lambda: isinstance(st.app.screen, DetailDialog), "the detail")


async def test_the_wheel_scrolls_tables_and_texts() -> None:
    async with stage() as st:
        await st.press("9")
        entries = table(st, "entries")
        at = (entries.region.x + 8, entries.region.y + 4)
        await st.pilot._post_mouse_events([events.MouseScrollDown], offset=at)
        await st.until(lambda: entries.scroll_offset.y > 0, "scrolling")
        await st.pilot._post_mouse_events([events.MouseScrollUp], offset=at)
        await st.until(lambda: entries.scroll_offset.y == 0, "scrolling back")
        await st.press("question_mark")
        facts = st.app.screen.query_one("Facts")
        await st.pilot._post_mouse_events([events.MouseScrollDown], offset=(20, 10))
        await st.until(lambda: facts.scroll_offset.y > 0, "the help")
