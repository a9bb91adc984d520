"""Every screen shows its data, on small and large terminals, says what is missing, and marks what is old."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
import textual._time

from console.tui.app import tabs
from console.tui.terminal.capabilities import Terminal
from console.tui.widgets.table import LineTable
from state.api.run_states import StepState
from state.health import Health
from state.text import cells
from tests.screens.fake_engine import stage

SIZES = [(80, 24), (120, 40)]
WORDS = {
    "overview": ("Recover in this order", "checkout", "FAIL", "18.2%", "CheckoutErrors", "fence n3 by hand", "r-41"),
    "replication": ("CONFLICT", "13.2 MB", "42.0 s", "n3", "no data", "cdc", "of 1.0 MB"),
    "runbooks": ("r-41", "WAITING", "Did the error ratio fall?", "judge", "PENDING", "rollback-release"),
    "traffic": ("edge-east/checkout", "1/2", "blue", "DRAIN", "38.2/s", "100.0%"),
    "journal": ("1287", "step-applied", "the last one 9f2c41d8", "on disk"),
}


@pytest.mark.parametrize("size", SIZES)
async def test_every_screen_shows_its_data_under_the_header(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        for screen in tabs():
            await st.press(screen.digit)
            await st.sees(*WORDS.get(screen.name, ()))
            top = st.lines[0]
            assert top.startswith(" LAB ")
            assert "RTO 11:" in top
            assert "13.2 MB" in top
            assert top.rstrip().endswith("Z")
            assert "SPLIT BRAIN" in st.lines[2]
            assert f"{screen.digit} {screen.title}" in st.lines[1]
            assert "1287 9f2c41d8" in st.lines[-1]
            assert "live" in st.lines[-1]
            assert ". stop all" in st.lines[-2]


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120, 200, 300])
async def test_the_banner_is_in_every_frame_and_no_line_is_too_long(width: int) -> None:
    async with stage(size=(width, 8 if width == 30 else 24)) as st:
        for screen in tabs():
            await st.press(screen.digit)
            assert st.lines[0].startswith(" LAB ")
            assert "SPLIT BRAIN" in st.text
            assert max(map(cells, st.lines)) <= width
            assert "help" in st.text


async def test_a_dialog_keeps_the_header() -> None:
    async with stage() as st:
        for key in ("question_mark", "colon", "full_stop", "P"):
            await st.press(key)
            assert st.lines[0].startswith(" LAB "), key
            await st.press("escape")


@pytest.mark.parametrize("size", SIZES)
async def test_an_empty_engine_says_why_every_table_is_empty(size: tuple[int, int]) -> None:
    async with stage("empty", size) as st:
        for screen in tabs():
            await st.press(screen.digit)
            for table in st.app.screen.query(LineTable):
                assert table.row_count == 0
                message = table._empty
                assert len(message) > 10
                assert message[:10] in st.text or not table.region.area
            if screen.name == "runbooks":
                await st.sees("no run yet: choose a runbook in the library")


async def test_what_is_old_carries_its_age_and_what_is_gone_is_withheld() -> None:
    async with stage() as st:
        await st.sees("~ 3", "s old")
        view = st.front.view("header")
        mono = st.front.mono()
        old = replace(view.sources["prometheus"], mono=mono - 9, limit=3.0)
        sources = {**view.sources, "prometheus": old}
        st.front.show("header", replace(view, sources=sources))
        await st.sees("~ 9 s")
        gone = {**sources, "prometheus": replace(sources["prometheus"], mono=mono - 600)}
        st.front.show("header", replace(view, sources=gone))
        await st.until(lambda: "18.2%" not in "\n".join(st.lines[4:10]), "the withheld figure")
        await st.sees("no data since")
        assert "PASS     mail" in st.text


async def test_a_pass_that_grew_old_is_no_pass() -> None:
    async with stage("calm") as st:
        await st.sees("PASS     checkout")
        view = st.front.view("header")
        mono = st.front.mono()
        sources = {key: replace(row, mono=mono - 8, limit=3.0) for key, row in view.sources.items()}
        sources["alerts:am"] = replace(next(iter(sources.values())), key="alerts:am")
        st.front.show("header", replace(view, sources=sources))
        await st.until(lambda: "PASS" not in "\n".join(st.lines[2:8]), "no pass from old readings")
        assert "within their objectives" not in st.text
        assert "0 firing" not in st.text
        await st.sees("STALE")


async def test_unknown_is_never_zero() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("2")
        row = next(line for line in st.lines if "n3 " in line and "CONFLICT" in line and "since" in line)
        assert "0 B" not in row
        header = st.front.view("header")
        risk = replace(header.risk, lost_bytes=None, health=Health.UNKNOWN)
        st.front.show("header", replace(header, risk=risk))
        await st.until(lambda: "risk ? unknown" in st.lines[0], "unknown risk")


async def test_a_lost_engine_is_said_on_every_screen_and_found_again() -> None:
    async with stage() as st:
        st.app.store.lost("the engine closed the stream")
        st.app._announce()
        await st.sees("ENGINE LOST", "engine lost")
        await st.press("d")
        st.app.store.connected(st.front.hello(None))  # type: ignore[arg-type]
        st.app._announce()
        await st.until(lambda: "ENGINE LOST" not in st.text, "the engine found again")


async def test_a_change_reaches_the_screen_and_only_changed_rows_are_built() -> None:
    async with stage("calm") as st:
        built: list[str] = []
        feed = st.app.screen.recover  # type: ignore[attr-defined]
        build = feed._build
        feed._build = lambda key, row, age: (built.append(key), build(key, row, age))[1]
        view = st.front.view("overview")
        mail = replace(view.recover["service/mail"], health=Health.FAIL, message="mails stay in the queue")
        st.front.show("overview", replace(view, recover={**view.recover, "service/mail": mail}))
        await st.sees("mails")
        assert set(built) == {"service/mail"}


async def test_the_cursor_stays_on_its_row_when_the_order_changes() -> None:
    async with stage() as st:
        await st.press("j", "j", "j")
        await st.sees("› ? UNKNOWN  search")
        view = st.front.view("overview")
        first = replace(view.recover["service/search"], order=0)
        st.front.show("overview", replace(view, recover={**view.recover, "service/search": first}))
        await st.until(lambda: "search" in st.lines[5], "search on top")
        assert st.app.screen.selected().name == "search"  # type: ignore[attr-defined]


async def test_filter_go_to_and_back() -> None:
    async with stage() as st:
        await st.press("slash", *"mail", "enter")
        assert "catalog" not in "\n".join(st.lines[5:9])
        await st.press("escape")
        await st.sees("catalog")
        await st.press("colon", *"west/checkout/gr", "enter")
        await st.sees("Servers of edge-west/checkout", "MAINT")
        key = "edge-west/checkout/green"
        await st.until(lambda: st.app.screen.selected().key == key, "the server is selected")  # type: ignore[attr-defined]


async def test_ascii_only_and_no_colour_still_tell_everything() -> None:
    async with stage(terminal=Terminal(theme="terminal", ascii_only=True, colour=False)) as st:
        for screen in tabs():
            await st.press(screen.digit)
            await st.sees(*WORDS.get(screen.name, ())[:2])
        assert "x FAIL" in st.text or "x READY" in st.text or "journal" in st.text


async def test_resizing_down_and_up_keeps_working() -> None:
    async with stage(size=(120, 40)) as st:
        for size in ((30, 8), (80, 24), (160, 50), (31, 9)):
            await st.pilot.resize_terminal(*size)
            await st.pilot.pause(0.2)
            assert st.lines[0].startswith(" LAB ")
            assert max(map(cells, st.lines)) <= size[0]


async def test_a_frame_nobody_understands_is_told_and_survived() -> None:
    async with stage() as st:
        st.app._apply({"topic": "header", "set": {"rto": [1]}})
        await st.sees("cannot read")
        await asyncio.sleep(0)
        await st.press("2")
        await st.sees("CONFLICT")


async def test_a_row_that_was_not_read_does_not_stay_as_if_it_were_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.tui.app.RESTART_SECONDS", 0.3)
    async with stage("calm") as st:
        await st.sees("PASS     mail")
        st.app._apply({"topic": "overview", "rows": {"recover": {"service/mail": ["a health of a later version"]}}})
        st.app._announce()
        await st.sees("ENGINE LOST")
        view = st.front.view("overview")
        mail = replace(view.recover["service/mail"], health=Health.FAIL, message="mails stay in the queue")
        st.front.show("overview", replace(view, recover={**view.recover, "service/mail": mail}))
        await st.until(lambda: "ENGINE LOST" not in st.text, "the engine found again")
        await st.sees("FAIL     mail")


async def test_a_process_that_pauses_for_an_instant_goes_on_showing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual drops a short timer when the process pauses between the two times it reads its clock."""
    read = textual._time.get_time

    def paused() -> float:
        time.sleep(0.003)
        return read()

    async with stage("calm") as st:
        await st.sees("PASS     mail")
        monkeypatch.setattr("textual._time.get_time", paused)
        for health in (Health.WARN, Health.FAIL):
            await asyncio.sleep(0.6)  # longer than the least time between two tellings: the wait is short
            view = st.front.view("overview")
            mail = replace(view.recover["service/mail"], health=health, message="mails stay in the queue")
            st.front.show("overview", replace(view, recover={**view.recover, "service/mail": mail}))
            await st.sees(f"{health.name}     mail")


async def test_on_a_low_terminal_the_steps_of_a_run_have_the_room_and_differ() -> None:
    """Titles of steps differ at their end; who looks through the library has that at its full height."""
    async with stage(size=(80, 24)) as st:
        view = st.front.view("runbooks")
        first = next(row for row in view.steps.values() if row.run == "r-41")
        edges = [f"Stop sending new sessions to a on edge-{number}" for number in range(7)]
        steps = {
            f"r-41/s{place}#1": replace(
                first, key=f"r-41/s{place}#1", step=f"s{place}", index=place, title=title, state=StepState.PENDING
            )
            for place, title in enumerate(edges)
        }
        st.front.show("runbooks", replace(view, steps=steps))
        await st.press("3")
        await st.sees(*(f"on edge-{number}" for number in range(7)))
        await st.press("tab", "tab")
        await st.until(lambda: "on edge-6" not in st.text, "the library at its full height")
