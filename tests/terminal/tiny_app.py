"""A small app on the real foundations, run as a process of its own by the terminal tests."""

import asyncio
import os
import random
import sys
import time
from pathlib import Path
from typing import ClassVar

from console.tui.terminal.capabilities import UnsuitableTerminal, decide, prepare
from state.text import clean

HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31mred",
    "\u202egnp.exe",
    "a\nb\tc\rd",
    "[red]x[/] [/foo]",
    "é東京",
    "\x00",
)


def main() -> int:
    wish = set(sys.argv[1:])
    try:
        terminal = decide(
            os.environ,
            encoding=sys.__stderr__.encoding if sys.__stderr__ else None,
            interactive=sys.stdin.isatty(),
            ascii_only="--ascii" in wish,
        )
    except UnsuitableTerminal as refusal:
        print(f"recovery: {refusal}", file=sys.stderr)
        return refusal.exit_code
    prepare(terminal, os.environ)
    return build(terminal, wish).start()


def build(terminal, wish: set[str]):
    from console.tui.terminal.app import TerminalApp
    from console.tui.text import joined, state_text
    from console.tui.theme import banner, select
    from console.tui.widgets.lines import Lines
    from console.tui.widgets.rows import Column, TableRow
    from console.tui.widgets.table import LineTable

    class Tiny(TerminalApp):
        BINDINGS: ClassVar = [("q", "leave"), ("x", "crash"), ("t", "next_theme")]

        def compose(self):
            word, style = banner("production")
            self.head = Lines([joined(word, " ready ", state_text("fail", self.glyphs))])
            self.head.rows(1)[0].stylize(style, 0, len(word))
            columns = [Column("name", "Name", width=20, flex=1), Column("n", "N", width=8, align="right")]
            self.table = LineTable(columns, title="Servers", glyphs=self.glyphs)
            yield self.head
            yield self.table

        def on_mount(self) -> None:
            self.count = 0
            self.table.set_rows(TableRow(str(n), (clean(name), "1")) for n, name in enumerate(HOSTILE))
            self.table.focus()
            if "--busy" in wish:
                self.set_interval(0.05, self.churn)
                self.beat = asyncio.get_running_loop().create_task(self.beating(Path(os.environ["BEAT"])))

        async def beating(self, path: Path) -> None:
            """Writes the longest time the loop was held up."""
            worst = 0.0
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.02)
                worst = max(worst, time.monotonic() - before - 0.02)
                whole = path.with_suffix(".new")
                whole.write_text(f"{self.count} {worst:.3f}")
                whole.replace(path)

        def churn(self) -> None:
            self.count += 1
            noise = random.Random(self.count)
            rows = [TableRow(str(n), ("".join(noise.choices("abcdefgh", k=60)), "2")) for n in range(60)]
            self.table.set_rows([TableRow("count", (f"count {self.count} now", "1")), *rows])

        def action_leave(self) -> None:
            self.exit(0, return_code=0)

        def action_next_theme(self) -> None:
            select(self, "light")

        def action_crash(self) -> None:
            password = "hunter2-in-a-local"
            raise RuntimeError(f"broken \x1b[31m by {len(password)}")

    return Tiny(terminal)


if __name__ == "__main__":
    sys.exit(main())
