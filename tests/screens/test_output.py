"""The output stage against a model of a terminal: the same screen with it and without it, for fewer bytes."""

import asyncio
import random
import re
import time
from collections.abc import Callable

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.drivers.headless_driver import HeadlessDriver
from textual.screen import ModalScreen, Screen

from console.tui.terminal.frame import Pen, select
from console.tui.terminal.later import call_after
from console.tui.terminal.output import DiffedApp, supported
from console.tui.widgets.lines import Lines
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable

# Modes and queries the screen model does not know and would print.
UNKNOWN_TO_MODEL = re.compile(r"\x1b\[[<>=?][0-9;]*[uqmtc]|\x1b\[\?[0-9;]*\$p|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
WORDS = ("web-1", "東京", "é", "データ", "x", "[b]", "─│", "long-name-of-a-server", "", "e\u0301a")
STYLES = (
    "", "green", "bold red", "reverse yellow", "#8090a0 on #102030", "underline magenta", "bold", "dim", "dim reverse",
    "bold italic on #102030", "strike", "green on #102030",
)  # fmt: skip


class Capture(HeadlessDriver):
    """Keeps what would go to the terminal."""

    written: list[str]

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.__dict__.setdefault("written", []).append(data)


class Dialog(ModalScreen[None]):
    CSS = "Dialog { align: center middle; } #box { width: 21; height: 4; background: #333355; }"

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Lines(["Promote 東京-2?", "y / Esc"])


class Other(Screen[None]):
    def compose(self) -> ComposeResult:
        yield Lines([Text(f"other screen {n} 東", "cyan") for n in range(12)])


class Busy(DiffedApp):
    CSS = "LineTable { height: 1fr; } #top { height: 3; }"

    def __init__(self) -> None:
        super().__init__(Capture)
        self.random = random.Random(11)
        self.model = [self.new_row(number) for number in range(60)]

    def new_row(self, number: int) -> TableRow:
        pick = self.random.choice
        cells = tuple(Text(f"{pick(WORDS)}{self.random.randrange(100)}", pick(STYLES)) for _ in range(4))
        return TableRow(f"k{number}", cells)

    def compose(self) -> ComposeResult:
        yield Lines(["one", "two", "three"], id="top")
        yield LineTable([Column(f"c{n}", f"Col {n}", width=8, flex=n % 2, align="left") for n in range(4)])

    def on_mount(self) -> None:
        self.table = self.query_one(LineTable)
        self.table.set_rows(self.model)
        self.table.focus()

    def change(self) -> None:
        for place in self.random.sample(range(60), 9):
            self.model[place] = self.new_row(place)
        self.table.set_rows(self.model)
        pick = self.random.choice
        self.query_one("#top", Lines).show([Text(pick(WORDS) * 3, pick(STYLES)) for _ in range(3)])


async def play(model: pyte.Screen, *, staged: bool) -> tuple[list[object], int]:
    """One fixed programme of changes; the screens after each step, and the bytes it took."""
    app = Busy()
    app._stage_ready = staged
    stream = pyte.Stream(model)
    screens: list[object] = []
    sent = 0
    steps: list[Callable[[], object]] = [app.change] * 6
    steps += [lambda: app.table.action_page(1), lambda: app.table.action_move(3), app.change]
    steps += [lambda: app.push_screen(Dialog()), lambda: app.call_later(app.change), app.pop_screen, app.change]
    steps += [lambda: app.push_screen(Other()), app.pop_screen, lambda: app.table.action_edge(-1), app.change]
    steps += [lambda: app.table.filter("1"), lambda: app.table.filter(""), lambda: app.table.action_edge(1)]

    async def drain() -> None:
        nonlocal sent
        driver = app._driver
        assert isinstance(driver, Capture)
        text = "".join(driver.__dict__.get("written", ()))
        driver.written = []
        sent += len(text)
        stream.feed(UNKNOWN_TO_MODEL.sub("", text))
        screens.append([[model.buffer[y][x] for x in range(model.columns)] for y in range(model.lines)])

    async with run(app, (model.columns, model.lines)) as pilot:
        await settle(pilot)
        await drain()
        for step in steps:
            step()
            await settle(pilot)
            await drain()
        for size in ((60, 14), (90, 22), (80, 20)):
            model.resize(size[1], size[0])
            model.erase_in_display(2)  # what a terminal shows after a resize is anyone's guess
            await pilot.resize_terminal(*size)
            await settle(pilot)
            await drain()
    return screens, sent


async def settle(pilot) -> None:
    for _ in range(3):
        await pilot.pause(0.03)


def run(app: Busy, size: tuple[int, int]):
    """`run_test` with a driver that is drawn to."""
    build = app._build_driver

    def built(headless: bool, inline: bool, mouse: bool, size: tuple[int, int] | None):
        return build(False, inline, mouse, size)

    app._build_driver = built  # type: ignore[method-assign]
    return app.run_test(size=size)


async def test_the_terminal_shows_the_same_with_and_without_the_stage() -> None:
    staged, few = await play(pyte.Screen(80, 20), staged=True)
    direct, many = await play(pyte.Screen(80, 20), staged=False)
    assert len(staged) == len(direct) == 24
    for step, (one, other) in enumerate(zip(staged, direct, strict=True)):
        assert one == other, f"step {step}"
    assert few < many / 2


def test_this_textual_is_known() -> None:
    assert supported()


def test_another_textual_is_not_hooked() -> None:
    class Renamed:
        def __init__(self, lines: object) -> None:
            self.lines = lines

    assert not supported(layout_update=Renamed)


PENS = st.builds(
    Pen,
    st.lists(st.sampled_from((1, 3, 4, 7, 9)), unique=True).map(lambda codes: tuple(sorted(codes))),
    st.sampled_from(("", "31", "38;2;1;2;3")),
    st.sampled_from(("", "44", "48;2;9;8;7")),
)


@given(st.lists(PENS, min_size=1, max_size=12))
def test_from_any_pen_to_any_other_the_terminal_draws_as_if_it_were_set_anew(pens: list[Pen]) -> None:
    one, other = pyte.Screen(20, 1), pyte.Screen(20, 1)
    carried, anew = pyte.Stream(one), pyte.Stream(other)
    pen: Pen | None = None
    for wanted in pens:
        carried.feed(("" if wanted == pen else select(wanted, pen)) + "x")
        anew.feed(select(wanted, None) + "x")
        pen = wanted
    assert one.buffer[0] == other.buffer[0]


async def test_what_is_to_come_once_comes_also_after_a_pause_of_the_process() -> None:
    class Waiting(App[None]):
        """An app that waits for something."""

    app, came = Waiting(), asyncio.Event()
    async with app.run_test():
        call_after(app, 0.05, came.set)
        time.sleep(0.5)  # the process pauses for longer than the wait
        await asyncio.wait_for(came.wait(), 60)
