"""Columns, cuts, reasons for emptiness, scroll bars: the fine print of the widgets."""

from __future__ import annotations

import pytest
from rich.text import Text
from textual.app import App, ComposeResult

from console.tui.glyphs import UNICODE
from console.tui.terminal.driver import AsciiTable
from console.tui.widgets.columns import widths
from console.tui.widgets.lines import Lines
from console.tui.widgets.rows import Column, fit
from console.tui.widgets.scrollbar import SignBar
from tests.screens.test_widgets import COLUMNS, Stage, row


def test_prose_is_cut_at_its_end_names_in_the_middle_numbers_never() -> None:
    prose, name = Column("p", "p", cut="end"), Column("n", "n")
    number = Column("x", "x", align="right")
    assert fit("streaming, 3.3 kB behind", 12, prose, UNICODE).plain == "streaming,… "
    assert fit(Text.assemble(("fails", "red"), " because"), 9, prose, UNICODE).plain == "fails be…"
    assert fit("roll-back-release", 9, name, UNICODE).plain == "roll…ease"
    assert fit("123456", 4, number, UNICODE).plain == "####"
    assert fit("東京東京", 5, prose, UNICODE).plain == "東京…"


def test_columns_grow_with_their_content_and_the_right_ones_give_way() -> None:
    columns = (Column("a", "a", 4, grow=10), Column("b", "b", 6, flex=1, wish=12), Column("c", "c", 4))
    assert widths(columns, 40, (8, 0, 0)) == [8, 24, 4]
    assert widths(columns, 40, (99, 0, 0)) == [10, 22, 4]
    assert widths(columns, 21, (0, 0, 0)) == [4, 15, 0]
    assert widths(columns, 8, (0, 0, 0)) == [4, 0, 0]
    assert widths(columns, 11, (0, 0, 0)) == [4, 5, 0]


async def test_other_columns_and_a_wrapped_reason() -> None:
    app = Stage([row(1)])
    async with app.run_test(size=(28, 8)) as pilot:
        await pilot.pause()
        app.table.set_columns(COLUMNS[:1])
        await pilot.pause()
        assert app.shown()[0].split() == ["Server", "o", "sorts"]
        app.table.set_rows([])
        await pilot.pause()
        assert [line.strip() for line in app.shown()[1:4]] == [
            "no server is known yet:",
            "press r to read the",
            "estate",
        ]


async def test_a_text_keeps_its_own_style_without_any_span() -> None:
    class One(App[None]):
        def compose(self) -> ComposeResult:
            yield Lines([Text("all red", "bold red")])

    app = One()
    async with app.run_test(size=(20, 3)) as pilot:
        await pilot.pause()
        style = next(iter(app.query_one(Lines).render_line(0))).style
        assert style is not None
        assert style.bold


@pytest.mark.parametrize(("position", "expected"), [(0, "##||||"), (40, "||##||"), (80, "||||##")])
def test_a_scroll_bar_is_seen_without_colour(position: float, expected: str) -> None:
    bar = SignBar.render_bar(6, 120, 40, position)
    drawn = "".join(segment.text for segment in bar.segments)
    assert drawn.translate(AsciiTable()) == expected
