"""One table of N rows, a tenth of its cells changing every second.

`python -m tests.bench.table_app line|data N FILE`: `line` is the product's table with its output stage, `data` is
Textual's DataTable as Textual ships it. FILE gets the milliseconds that every change took the loop.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Static

from console.tui.terminal.output import DiffedApp
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable

COLUMNS = 8
WIDTH = 12


class Feed:
    """The values; deterministic, and the same for both tables."""

    def __init__(self, rows: int) -> None:
        self.chance = random.Random(7)
        self.values = [[f"{r:05d}.{c}" for c in range(COLUMNS)] for r in range(rows)]

    def change(self) -> list[tuple[int, int, str]]:
        """A tenth of all cells."""
        cells = []
        for _ in range(len(self.values) * COLUMNS // 10):
            row, column = self.chance.randrange(len(self.values)), self.chance.randrange(1, COLUMNS)
            self.values[row][column] = f"{self.chance.randrange(10**6):06d}"
            cells.append((row, column, self.values[row][column]))
        return cells


class Counting(App[None]):
    """A line that shows how often the cursor moved; a file that tells how long each change took the loop."""

    feed: Feed
    told: Path
    moves = 0

    def on_mount(self) -> None:
        self.fill()
        self.set_interval(1.0, self.tick)
        self.tell()

    def tell(self) -> None:
        self.query_one("#told", Static).update(f"TABLE-READY K{self.moves:05d}")

    def fill(self) -> None:
        raise NotImplementedError

    def put(self, cells: list[tuple[int, int, str]]) -> None:
        raise NotImplementedError

    def tick(self) -> None:
        cells = self.feed.change()
        started = time.perf_counter()
        self.put(cells)
        taken = (time.perf_counter() - started) * 1e3
        with self.told.open("a") as told:
            told.write(f"{taken}\n")


class LineApp(Counting, DiffedApp):
    """The product's table."""

    CSS = "#told { height: 1; }"

    def compose(self) -> ComposeResult:
        yield Static("", id="told")
        yield LineTable([Column(str(c), f"c{c}", WIDTH) for c in range(COLUMNS)])

    def row(self, key: str) -> TableRow:
        return TableRow(key, tuple(self.feed.values[int(key)]))

    def fill(self) -> None:
        self.names = [str(number) for number in range(len(self.feed.values))]
        self.put([])
        self.query_one(LineTable).focus()

    def put(self, cells: list[tuple[int, int, str]]) -> None:
        self.query_one(LineTable).set_source(self.names, self.row)

    def on_line_table_row_highlighted(self) -> None:
        self.moves += 1
        self.tell()


class DataApp(Counting):
    """Textual's own table."""

    CSS = "#told { height: 1; } DataTable { height: 1fr; }"

    def compose(self) -> ComposeResult:
        yield Static("", id="told")
        yield DataTable(cursor_type="row")

    def fill(self) -> None:
        table = self.query_one(DataTable)
        for column in range(COLUMNS):
            table.add_column(f"c{column}", key=str(column), width=WIDTH)
        for number, values in enumerate(self.feed.values):
            table.add_row(*values, key=str(number))
        table.focus()

    def put(self, cells: list[tuple[int, int, str]]) -> None:
        table = self.query_one(DataTable)
        for row, column, value in cells:
            table.update_cell(str(row), str(column), value)

    def on_data_table_row_highlighted(self) -> None:
        self.moves += 1
        self.tell()


def main() -> None:
    kind, rows = sys.argv[1], int(sys.argv[2])
    app = LineApp() if kind == "line" else DataApp()
    app.feed, app.told = Feed(rows), Path(sys.argv[3])
    app.run()


if __name__ == "__main__":
    main()
