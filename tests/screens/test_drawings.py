"""Charts, bars, signs and colours by what they show."""

import pytest
from textual.app import App, ComposeResult

from console.tui.glyphs import ASCII, MARKS, UNICODE, mark
from console.tui.parts.ages import age_text, with_age
from console.tui.store import Age
from console.tui.text import labelled, state_text
from console.tui.theme import PALETTES, banner
from console.tui.widgets.chart import Drawing, chart, drawn
from console.tui.widgets.progress import time_bar
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.spark import sparkline
from console.tui.widgets.table import LineTable
from console.tui.widgets.time_axis import ChartEvent
from state.text import cells


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_trends(glyphs) -> None:
    line = sparkline([0, 1, 2, None, 8, 9], 12, glyphs, target=5)
    assert line.cell_len == 12
    assert line.plain.endswith(glyphs.separator + glyphs.levels[4])
    rows = chart([1, 5, 9] * 50, 30, 5, glyphs, target=6, label=lambda value: f"{value:.0f} MB")
    assert [each.cell_len for each in rows] == [30] * 5
    assert rows[0].plain.startswith("9 MB ")
    assert rows[-1].plain.startswith("0 MB ")
    assert sum("6 MB" in each.plain for each in rows) == 1
    if glyphs.ascii_only:
        assert all(each.plain.isascii() for each in [line, *rows])


def test_no_data_is_no_chart() -> None:
    assert chart([None, None], 20, 4)[0].plain == "no data yet"


def test_a_spike_is_never_averaged_away() -> None:
    values = [1.0] * 500 + [100.0] + [1.0] * 499
    top = chart(values, 40, 4)[0].plain
    assert UNICODE.full in top


def test_time_against_budget() -> None:
    assert time_bar(200, 900, 30).plain.endswith("03:20 of 15:00")
    assert time_bar(899, 900, 30).plain.count(UNICODE.empty) == 1
    assert time_bar(1020, 900, 60).plain.endswith("17:00 of 15:00, over by 02:00")
    assert time_bar(1, 2, 5, ASCII).plain == "00:01 of 00:02"
    assert cells(time_bar(200, 900, 30).plain) == 30


def test_every_state_is_told_without_colour() -> None:
    assert state_text("fail").plain == "✗ FAIL"
    assert state_text("pass", ASCII).plain == "+ PASS"
    assert state_text("in-doubt").plain == "? IN DOUBT"
    assert mark("split\x1b").word == r"SPLIT\X1B"
    for sign in MARKS.values():
        assert len(sign.word) > 0
        assert cells(sign.glyph) == 1
        assert sign.ascii_glyph.isascii()


def test_ages() -> None:
    now = 1_795_417_392.0
    assert age_text(Age(3, 5), now).plain == ""
    assert age_text(Age(12, 5), now).plain == "~ 12 s"
    assert age_text(Age(60, 5), now).plain == "no data since 07:02:12Z"
    assert age_text(Age(None, 5), now).plain == "no data yet"
    assert with_age(Age(3, 5), "13.2 MB", now).plain == "13.2 MB"
    assert with_age(Age(12, 5), "13.2 MB", now).plain == "~ 12 s; 13.2 MB"
    assert with_age(Age(60, 5), "13.2 MB", now).plain == "no data since 07:02:12Z"
    refused = Age(None, 5, why="denied: password refused for role recovery")
    assert with_age(refused, "13.2 MB", now).plain == "no data yet (denied: password refused for role recovery)"
    assert with_age(Age(9, 5, lost=True, why="denied: x"), "13.2 MB", now).plain == "engine lost 00:09"


def test_texts_are_not_markup() -> None:
    assert labelled("rto", "[b]").plain == "rto [b]"


def test_banners_survive_monochrome() -> None:
    for environment in ("production", "lab", "elsewhere"):
        word, style = banner(environment)
        assert style.reverse
        assert word.strip().isupper()
    assert banner("production", drill=True)[0] == " DRILL "


def _luminance(code: str) -> float:
    parts = [int(code[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("name", "least"), [("dark", 4.5), ("light", 4.5), ("high-contrast", 7.0)])
def test_every_colour_is_readable_on_its_background(name: str, least: float) -> None:
    background, *colours = (_luminance(code) for code in PALETTES[name])
    for colour in colours:
        light, dark = max(colour, background), min(colour, background)
        assert (light + 0.05) / (dark + 0.05) >= least


HOUR = Drawing(
    tuple(None if 20 <= minute < 30 else 0.4 if minute > 44 else 0.002 for minute in range(60)),
    started_at=1_795_417_392.0 - 3600,
    step=60.0,
    target=0.01,
    label=lambda value: f"{value:.0%}",
    events=(ChartEvent(1_795_417_392.0 - 900, "deploy v42"),),
)
"""An hour until 07:03:12Z: nothing was read for ten minutes, a release made errors fifteen minutes ago."""


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize(("width", "height"), [(60, 10), (117, 14), (190, 40)])
def test_a_chart_has_times_gaps_target_and_events(glyphs, width: int, height: int) -> None:
    rows = [row.plain for row in drawn(HOUR, width, height, glyphs)]
    assert all(cells(row) == width for row in rows)
    assert len(rows) <= min(height, 14)
    *blocks, events, axis = rows
    assert 8 <= len(blocks) <= 12
    assert axis.endswith("07:03Z")
    assert axis.count(":") >= 4
    assert f"{glyphs.event} deploy v42" in events
    assert events.index(glyphs.event) == pytest.approx(blocks[0].index(glyphs.full), abs=5)
    assert any(row.lstrip().startswith("1% ") for row in blocks)
    # The gap: no column of the bottom row is blank but those of the ten minutes, and they all are.
    bottom = blocks[-1][4:].replace(glyphs.target, " ").lstrip()
    assert bottom.count(" ") == pytest.approx(len(bottom) / 6, abs=2)
    if glyphs.ascii_only:
        assert all(row.isascii() for row in rows)


def test_few_values_are_no_giant_bars() -> None:
    rows = drawn(Drawing((1.0, 2.0, 3.0)), 120, 40)
    assert len(rows) == 13
    assert max(row.plain.count(UNICODE.full) for row in rows) <= 12


async def test_the_cursor_does_not_reverse_a_sparkline() -> None:
    line = sparkline([0.0, None, 9.0], 5)
    table = LineTable((Column("name", "name", 6), Column("trend", "trend", 5)))

    class One(App[None]):
        def compose(self) -> ComposeResult:
            yield table

    async with One().run_test(size=(30, 4)) as pilot:
        table.set_rows([TableRow("a", ("alpha", line))])
        table.focus()
        await pilot.pause()
        strip = table.render_line(1)
        reversed_text = "".join(part.text for part in strip if part.style and part.style.reverse)
        assert "alpha" in reversed_text
        assert not set(line.plain.strip()) & set(reversed_text) - {" "}
        plain_text = "".join(part.text for part in strip if part.style and not part.style.reverse)
        assert line.plain in plain_text
