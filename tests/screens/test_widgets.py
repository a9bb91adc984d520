"""The table of the screens: it keeps its place and draws only what changed."""

import time
from collections.abc import Iterable

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from console.tui.widgets.chart import Chart, Drawing
from console.tui.widgets.columns import widths
from console.tui.widgets.panel import TitleRule
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.text import cells, clean

COLUMNS = (
    Column("name", "Server", width=10, flex=1),
    Column("state", "State", width=9),
    Column("lag", "Lag", width=9, align="right"),
)


def row(number: int, lag: str = "0.0 MB", style: str = "green") -> TableRow:
    return TableRow(f"k{number}", (f"web-{number}", ("OK", style), lag))


class Recording(LineTable):
    """Remembers which lines were drawn and what was announced."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, empty="no server is known yet: press r to read the estate")
        self.drawn: set[int] = set()

    def render_line(self, y: int):
        self.drawn.add(y)
        return super().render_line(y)


class Stage(App[None]):
    CSS = "LineTable { height: 1fr; }"

    def __init__(self, rows: Iterable[TableRow] = ()) -> None:
        super().__init__()
        self.table = Recording()
        self.first = list(rows)
        self.said: list[tuple[str, str | None]] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.set_rows(self.first)
        self.table.focus()

    def on_line_table_row_highlighted(self, message: LineTable.RowHighlighted) -> None:
        self.said.append(("highlighted", message.key))

    def on_line_table_row_selected(self, message: LineTable.RowSelected) -> None:
        self.said.append(("selected", message.key))

    def shown(self) -> list[str]:
        height = self.table.size.height
        return [self.table.render_line(y).text.rstrip() for y in range(height)]


async def test_rows_numbers_and_header_keep_their_columns() -> None:
    app = Stage([row(1), row(22, "13.2 MB")])
    async with app.run_test(size=(40, 6)) as pilot:
        await pilot.pause()
        header, first, second = app.shown()[:3]
        assert header.split() == ["Server", "State", "Lag"]
        assert first.startswith("› web-1 ")
        assert first.endswith("0.0 MB")
        assert second.endswith("13.2 MB")
        assert len(first) == len(second) == len(header)


async def test_the_cursor_stays_on_its_row() -> None:
    app = Stage(row(number) for number in range(50))
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.press("j", "j", "j", "down")
        assert app.table.cursor_key == "k4"
        app.table.set_rows([row(number) for number in range(49, -1, -1) if number != 7])
        await pilot.pause()
        assert app.table.cursor_key == "k4"
        assert any(line.startswith("› web-4 ") for line in app.shown())
        app.table.filter("WEB-4")
        await pilot.pause()
        assert app.table.cursor_key == "k4"
        assert app.table.shown_keys() == [f"k{n}" for n in (49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 4)]
        app.table.set_rows([row(number) for number in range(3)])
        app.table.filter("")
        await pilot.pause()
        assert app.table.cursor_key in {"k0", "k1", "k2"}


async def test_only_changed_lines_are_drawn_again() -> None:
    rows = [row(number) for number in range(100)]
    app = Stage(rows)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        app.table.drawn.clear()
        changed = [*rows]
        changed[5] = row(5, "1.0 MB")
        changed[9] = row(9, style="red")
        changed[80] = row(80, "9.9 MB")
        app.table.set_rows(changed)
        await pilot.pause()
        assert app.table.drawn == {6, 10}
        app.table.drawn.clear()
        app.table.set_rows([row(number) if number not in {5, 9, 80} else changed[number] for number in range(100)])
        await pilot.pause()
        assert app.table.drawn == set()
        app.table.update_rows([row(2, "2.0 MB"), row(70, "2.0 MB")])
        await pilot.pause()
        assert app.table.drawn == {3}
        app.table.update_rows([row(100)])
        await pilot.pause()
        assert app.table.shown_keys()[-1] == "k100"
        assert app.table.row_count == 101


async def test_keys_and_messages() -> None:
    app = Stage(row(number) for number in range(40))
    async with app.run_test(size=(40, 11)) as pilot:
        await pilot.pause()
        assert app.said == [("highlighted", "k0")]
        await pilot.press("pagedown")
        assert app.table.cursor_key == "k9"
        await pilot.press("end")
        assert app.table.cursor_key == "k39"
        await pilot.pause()
        assert app.shown()[-1].startswith("› web-39")
        await pilot.press("g", "k", "enter")
        await pilot.pause()
        assert app.said[-1] == ("selected", "k0")
        assert app.table.move_to("k20")
        assert not app.table.move_to("nobody")


async def test_an_empty_table_says_why() -> None:
    app = Stage()
    async with app.run_test(size=(60, 6)) as pilot:
        await pilot.pause()
        assert "press r" in app.shown()[1]
        app.table.set_rows([row(1)])
        app.table.filter("nothing like it")
        await pilot.pause()
        assert "none of 1 rows contains" in app.shown()[1]
        assert app.table.cursor_key is None


async def test_names_lose_their_middle_and_numbers_are_never_cut() -> None:
    app = Stage([TableRow("a", ("postgres-eu-central-primary-01", "OK", "12345678901"))])
    async with app.run_test(size=(36, 4)) as pilot:
        await pilot.pause()
        line = app.shown()[1]
        assert "postg" in line
        assert "…" in line
        assert "y-01" in line
        assert line.endswith("#########")
        assert "12345" not in line


def test_numbers_get_what_is_left_over_before_names() -> None:
    name, time, why = Column("n", "n", 10, grow=40), Column("t", "t", 5, align="right", grow=11), Column("w", "w", 8)
    assert widths((name, time, why), 37, (40, 11, 8)) == [14, 11, 8]


async def test_hostile_and_wide_names_keep_the_layout() -> None:
    names = [
        "[red]x[/] [/foo]",
        clean("a\x1b[2Jb"),
        clean("\u202egpj"),
        "東京データベース一号機本番",
        "e\u0301" * 30,
        "\u2630" * 30,
        "\u2630\u0903",
    ]
    app = Stage([TableRow(str(n), (name, "OK", "1.0 MB")) for n, name in enumerate(names)])
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        for y in range(1, 8):
            strip = app.table.render_line(y)
            assert strip.cell_length == 40 == cell_len(strip.text)
            assert strip.text.rstrip().endswith("1.0 MB")
        assert "[/foo]" in app.shown()[1]
        assert r"\x1b[2J" in app.shown()[2]


async def test_five_thousand_rows_cost_what_is_visible() -> None:
    rows = [row(number) for number in range(5000)]
    app = Stage(rows)
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.pause()
        app.table.drawn.clear()
        started = time.perf_counter()
        app.table.set_rows([row(n, "7.0 MB") if n % 10 == 0 else old for n, old in enumerate(rows)])
        spent = time.perf_counter() - started
        await pilot.pause()
        assert app.table.drawn == {1, 11, 21}
        assert spent < 0.05
        await pilot.press("end")
        assert app.table.cursor_key == "k4999"


async def test_a_source_builds_only_what_is_in_sight() -> None:
    built: list[str] = []

    def build(key: str, lag: str = "0.0 MB") -> TableRow:
        built.append(key)
        return row(int(key[1:]), lag)

    keys = [f"k{number}" for number in range(5000)]
    app = Stage()
    async with app.run_test(size=(80, 30)) as pilot:
        app.table.set_source(keys, build)
        await pilot.pause()
        assert len(built) < 100
        app.table.drawn.clear()
        app.table.set_source(keys, lambda key: build(key, "7.0 MB" if key == "k3" else "0.0 MB"))
        await pilot.pause()
        assert app.table.drawn == {4}
        await pilot.press("end")
        assert app.table.cursor_key == "k4999"
        app.table.filter("web-123")
        await pilot.pause()
        assert app.table.shown_keys()[:2] == ["k123", "k1230"]
        with pytest.raises(ValueError, match="source"):
            app.table.update_rows([row(1)])


async def test_narrow_terminals_lose_columns_not_digits() -> None:
    app = Stage([row(1)])
    async with app.run_test(size=(24, 4)) as pilot:
        await pilot.pause()
        assert app.shown()[0].split() == ["Server", "State"]
        await pilot.resize_terminal(60, 4)
        await pilot.pause()
        assert app.shown()[1].endswith("0.0 MB")


class Corner(App[None]):
    def compose(self) -> ComposeResult:
        self.rule = TitleRule("Services", "recover first: [b]checkout[/b]")
        self.chart = Chart(title="Services")
        yield self.rule
        yield self.chart


async def test_a_title_stands_on_a_rule_and_is_no_markup() -> None:
    app = Corner()
    async with app.run_test(size=(60, 12)) as pilot:
        app.chart.draw(Drawing((1, 2, 3, None, 9), target=5))
        app.chart.set_title("Services", "recover first: [b]checkout[/b]")
        await pilot.pause()
        lines = ["".join(part.text for part in strip) for strip in app.screen._compositor.render_strips()]
        assert lines[0].startswith("─ Services ─ recover first: [b]checkout[/b] ──")
        assert cells(lines[0]) == 60
        assert lines[1] == lines[0]
        assert app.chart.plain.splitlines()[0].lstrip().startswith("9 ")
