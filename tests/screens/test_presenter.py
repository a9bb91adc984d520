"""The presenter's page: readable from the last row, discreet, calm when nothing is wrong, honest without an engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.tui.dialogs.discreet import Discreet
from console.tui.glyphs import ASCII, UNICODE
from console.tui.terminal.capabilities import Terminal
from console.tui.widgets.big_digits import big_digits
from state.api.views.causes import SubjectKind, Victim
from state.api.views.header import ConsoleRow
from state.health import Health
from tests.screens.fake_engine import Stage, stage

SIZES = [(200, 50), (120, 40)]
NAMES = ("n1", "n2", "n3", "blue", "green", "edge-east", "Ada", "Moreno", "u1", "10.1.0")


async def presented(st: Stage) -> None:
    await st.press("P")
    await st.until(lambda: "P leave" in st.text, "the presenter")


@pytest.mark.parametrize("size", SIZES)
async def test_clock_sentence_cause_loss_command_now_and_next(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        await presented(st)
        tall = size[1] // 5
        blocks = [line for line in st.lines if line.count("█") >= 4]
        assert len(blocks) >= tall
        await st.sees("CHECKOUT IS DOWN", "RTO LEFT OF 15:00", "since ")
        for label in ("CAUSE", "LOSS", "COMMAND", "NOW", "NEXT"):
            assert label in st.text, label
        assert "13.2 MB of 1.0 MB allowed" in st.text
        assert "Roll back a bad release, step 3 of 4" in st.text
        assert "search" in st.text  # further problems and the other services


async def test_a_large_terminal_is_filled_and_keeps_half_of_its_columns_for_the_sentence() -> None:
    async with stage(size=(200, 50)) as st:
        await presented(st)
        blocks = [line for line in st.lines if line.count("█") >= 4]
        assert len(blocks) > 50 // 4
        assert max(line.rindex("█") for line in blocks) < 100
        empty = [line for line in st.lines[-12:] if not line.strip()]
        assert len(empty) <= 8, st.text


@pytest.mark.parametrize("size", [*SIZES, (80, 24)])
async def test_no_host_and_no_person_is_named(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        header = st.front.view("header")
        worst = header.causes[0]
        names = "n1 on 10.1.0.11:5432, db-1.eu.example.com, Ada Moreno, u1, edge-east, blue"
        st.front.show("header", replace(header, causes=(replace(worst, what=names), *header.causes[1:])))
        await presented(st)
        await st.sees("a node", "a host")
        page = "\n".join(st.lines[1:])
        words = {word.strip(".,:;()") for word in page.split()}
        assert not words & set(NAMES)
        assert not any(name in page for name in ("10.1.0", "example.com", "Moreno"))


@pytest.mark.parametrize("size", SIZES)
async def test_a_calm_page_when_nothing_is_wrong(size: tuple[int, int]) -> None:
    async with stage("calm", size) as st:
        await presented(st)
        await st.sees("ALL SERVICES WITHIN THEIR OBJECTIVES", "UTC", "PASS")
        assert "CAUSE" not in st.text


async def test_calm_is_not_claimed_while_not_all_is_known() -> None:
    async with stage("calm", (120, 40)) as st:
        st.front.show("overview", replace(st.front.view("overview"), health=Health.UNKNOWN, summary="1 of 5 unknown"))
        await presented(st)
        await st.sees("NOT ALL IS KNOWN", "1 of 5 unknown")
        assert "WITHIN THEIR OBJECTIVES" not in st.text


async def test_without_an_engine_it_says_so_and_shows_no_verdict() -> None:
    async with stage("calm", (120, 40)) as st:
        await presented(st)
        st.app.store.lost("no engine listens")
        await st.sees("ENGINE LOST", "recovery engine start")
        assert "PASS" not in "\n".join(st.lines[1:])


async def test_a_missed_objective_counts_on_below_zero() -> None:
    async with stage(size=(120, 40)) as st:
        header = st.front.view("header")
        assert header.rto is not None
        late = replace(header.rto, started_mono=header.rto.started_mono - 1000)
        st.front.show("header", replace(header, rto=late))
        await presented(st)
        await st.sees("OVER THE RTO OF 15:00")


async def test_who_commands_is_counted_and_not_named() -> None:
    async with stage(size=(120, 40)) as st:
        rows = {
            key: ConsoleRow(key, person, observes, "traffic", 1.0)
            for key, person, observes in (("1-a", "ada", False), ("2-b", "ben", False), ("3-c", "eve", True))
        }
        st.front.attached.rows = rows
        st.front.show("header", replace(st.front.view("header"), consoles=rows))
        await presented(st)
        await st.sees("2 at consoles, 1 observing")
        assert "eve" not in st.text.replace("every", "")


@pytest.mark.parametrize("height", [5, 8, 10])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_digits_differ_and_have_the_height(glyphs, height: int) -> None:
    drawn = {digit: tuple(big_digits(digit, height, glyphs)) for digit in "0123456789-:"}
    assert len(set(drawn.values())) == len(drawn)
    assert all(len(rows) == height for rows in drawn.values())
    assert all(len(set(map(len, rows))) == 1 for rows in drawn.values())


async def test_ascii_terminals_get_ascii_digits() -> None:
    async with stage(size=(120, 40), terminal=Terminal(ascii_only=True)) as st:
        await presented(st)
        assert any(line.count("#") >= 8 for line in st.lines)
        assert "█" not in st.text


def test_discreet_replaces_whole_words_only() -> None:
    hide = Discreet({"n1": "a node", "ada": "a person"}).hide
    assert hide("n1 n10 adagio ADA, n1.") == "a node n10 adagio a person, a node"
    assert hide("at [2001:db8::7]:5432 or 10.0.0.7:5432") == "at a host or a host"
    assert hide("12:30:15 and v1.2.3 stay") == "12:30:15 and v1.2.3 stay"


def only(st: Stage, name: str, health: Health, **others: Health) -> None:
    """One service is the cause; the others only wait for it, with these verdicts."""
    header, view = st.front.view("header"), st.front.view("overview")
    waits = tuple(Victim(SubjectKind.SERVICE, other, f"needs {name}, which fails") for other in others)
    cause = replace(header.causes[0], kind=SubjectKind.SERVICE, name=name, health=health, victims=waits, what="5xx 20%")
    healths = {name: health, **others}
    services = {key: replace(row, health=healths.get(key, row.health)) for key, row in view.services.items()}
    st.front.show("overview", replace(view, services=services))
    st.front.show("header", replace(header, causes=(cause,)))


async def test_the_service_that_fails_is_down_and_not_the_one_that_waits_for_it() -> None:
    async with stage(size=(120, 40)) as st:
        only(st, "checkout", Health.FAIL, search=Health.WARN)
        await presented(st)
        await st.sees("CHECKOUT IS DOWN")
        assert "SEARCH IS" not in st.text


async def test_a_database_that_fails_is_named_where_its_services_are_only_impaired() -> None:
    async with stage(size=(120, 40)) as st:
        header, view = st.front.view("header"), st.front.view("overview")
        services = {key: replace(row, health=Health.WARN) for key, row in view.services.items()}
        st.front.show("overview", replace(view, services=services))
        assert (header.causes[0].kind, header.causes[0].health) == (SubjectKind.DATABASE, Health.FAIL)
        await presented(st)
        await st.sees("ORDERS FAILS")
        assert "IS DOWN" not in st.text
