"""The console of a real engine on a real terminal, driven by keys alone, one at a time as a person types."""

from __future__ import annotations

import re
import sys
import time
from typing import NamedTuple

from tests.support.real_engine import RealEngine
from tests.terminal.ptys import Terminal

SLOW = 0.12
"""Seconds between typed characters: a person, not a paste."""
SETTLED = 0.3
"""Seconds without a byte after which a frame is complete."""
MOST = 12
"""Screenfuls of the longest card."""
CLOCK = re.compile(r"\d\d:\d\d|read \d+ s ago")


def console(engine: RealEngine, *options: str, size: tuple[int, int] = (80, 24)) -> Terminal:
    """A console as people start it."""
    argv = [sys.executable, "-m", "console.cli", "console", "--estate", str(engine.place.file), *options]
    return Terminal(argv, size=size, env={"HOME": str(engine.place.runtime)})


def press(terminal: Terminal, *keys: str) -> None:
    """Key by key, with what the terminal shows read meanwhile."""
    for key in keys:
        terminal.press(key)
        terminal.read(SLOW)


class CardSeen(NamedTuple):
    """A card as it was read: `first` is its first screenful, `text` all of it in one line."""

    first: str
    text: str


class Keyboard:
    """One person at one console, from the Replication screen on."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal

    def look(self) -> str:
        """The screen once nothing moves on it, clocks aside."""
        for _ in range(20):
            if not self.terminal.read(SETTLED):
                break
        return self.terminal.text()

    def replication(self) -> None:
        """The screen of databases, from wherever."""
        self.terminal.wait(". stop all", 30)
        press(self.terminal, "2")
        self.terminal.wait("Nodes", 15)

    def select(self, row: str, table: str = "Nodes") -> None:
        """Move the cursor to a row of a table by arrow keys, once the table has it."""
        self.terminal.wait(lambda: re.search(rf"\s{re.escape(row)}\s", self.terminal.text()), 30)
        for _ in range(12):
            lines = self.look().splitlines()
            places = {n: line for n, line in enumerate(lines) if re.search(rf"\s{re.escape(row)}\s", line[:40])}
            top = next(n for n, line in enumerate(lines) if line.startswith(f"─ {table}"))
            wanted = next((n for n in sorted(places) if n > top), None)
            cursor = next((n for n, line in enumerate(lines) if n > top and line.startswith("›")), None)
            assert wanted is not None, f"no row {row}\n" + "\n".join(lines)
            if cursor == wanted:
                return
            press(self.terminal, "\x1b[B" if cursor is None or cursor < wanted else "\x1b[A")
        raise AssertionError(f"{row} is not reached\n{self.terminal.text()}")

    def palette(self, title: str) -> None:
        """Run an action by its title, as it is found by typing."""
        press(self.terminal, "\x10")
        self.terminal.wait("esc", 10)
        press(self.terminal, *title)
        self.terminal.wait(lambda: title in self.look(), 10)
        press(self.terminal, "\r")

    def card(self, title: str) -> CardSeen:
        """Wait for a card and read it, screenful by screenful."""
        self.terminal.wait(lambda: re.search(rf"─ {re.escape(title)}", self.terminal.text()), 60)
        first = self.look()
        found: list[str] = []
        for _ in range(MOST):
            lines = self.look().splitlines()
            new = [text for line in lines if (text := line.rstrip(" ▐│").strip()) and text not in found]
            found += new
            if not [text for text in new if not CLOCK.search(text)]:
                break
            press(self.terminal, "\x1b[6~")
        return CardSeen(first, " ".join(" ".join(found).split()))

    def allowed(self, title: str) -> CardSeen:
        """The card once it can be confirmed: while the engine has not read all that it needs, it is read again."""
        end = time.monotonic() + 60
        while "─ Refused" in (seen := self.card(title)).first:
            assert time.monotonic() < end, f"refused: {seen.text}"
            press(self.terminal, "\x12")
            time.sleep(1)
        return seen

    def confirm(self, name: str = "") -> None:
        """Type what the card asks for; then it is gone and a run has begun."""
        self.type(name)
        self.terminal.wait(lambda: "expires in" not in self.terminal.text() and self._started(), 60)

    def type(self, name: str = "") -> None:
        """The letter or the code that the card asks for, then the name."""
        self.terminal.wait(lambda: re.search(r"type (the code|y) ", self.terminal.text()), 20)
        self.look()
        code = re.search(r"code ([A-Z0-9]{4})", self.terminal.text())
        press(self.terminal, *(code[1] if code else "y"))
        if name:
            self.terminal.wait("now type the name", 10)
            press(self.terminal, *name)

    def _started(self) -> bool:
        """The console says that a run began. Raises AssertionError when the engine refused it."""
        text = self.terminal.text()
        assert not re.search(r"nothing was sent|Refused", text), text
        return re.search(r"R-\d+ started", text) is not None

    def done(self, seconds: float) -> str:
        """Wait on the Runbooks screen until the newest run has ended well; its id."""
        found = re.findall(r"R-\d+", self.terminal.text())
        run = max(found, key=lambda each: int(each[2:]))
        press(self.terminal, "3")
        row = re.compile(rf"([A-Z-]+) +{run}\b")
        end = time.monotonic() + seconds
        while True:
            at = row.search(self.look())
            if at is not None and at[1] in ("DONE", "FAIL", "FAILED", "STOPPED", "PAUSED", "WAITING"):
                assert at[1] == "DONE", self.terminal.text()
                return run
            assert time.monotonic() < end, f"{run} has not ended\n{self.terminal.text()}"
