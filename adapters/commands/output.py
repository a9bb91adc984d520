"""What a command says: its first and last lines, however much it is, cleaned and without the estate's secrets."""

from __future__ import annotations

import re

from adapters.concealed import Concealed
from state.text import clean

FIRST, LAST = 8 << 10, 24 << 10
"""Bytes that are kept of the beginning and of the end."""
MOST_FIRST, MOST_LAST = 20, 60
LONGEST_LINE = 400
LARGEST = 256 << 10
"""Bytes of an answer that is parsed."""
BREAKS = (b"\n", b"\r")
BREAK = re.compile(rb"[\n\r]")


class KeptOutput:
    """Fulfils Output: a bounded memory of everything that was said, in bytes as they came."""

    def __init__(self, concealed: Concealed) -> None:
        self._concealed = concealed
        self._head, self._tail = bytearray(), bytearray()
        self._cut = False
        self.size = 0
        self.notes: list[str] = []

    def add(self, data: bytes) -> None:
        """Take what came."""
        self.size += len(data)
        if len(self._head) < FIRST:
            room = FIRST - len(self._head)
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * LAST:
            del self._tail[:-LAST]
            self._cut = True

    def lines(self) -> tuple[str, ...]:
        """The first and the last lines, with what is left out between them said; then what is to be said about it."""
        tail = bytes(self._tail[-LAST:])
        if not self._cut and len(tail) == len(self._tail):
            told = self._shown(bytes(self._head) + tail)
            if len(told) > MOST_FIRST + MOST_LAST:
                left_out = len(told) - MOST_FIRST - MOST_LAST
                told = [*told[:MOST_FIRST], f"… {left_out} lines left out", *told[-MOST_LAST:]]
            return (*told, *self.notes)
        # What is cut through may be a part of a secret: only whole lines are shown.
        head = bytes(self._head)[: max(map(self._head.rfind, BREAKS)) + 1]
        begun = BREAK.search(tail)
        tail = tail[begun.end() :] if begun else b""
        note = f"… {self.size} bytes in all, most of them left out"
        return (*self._shown(head)[:MOST_FIRST], note, *self._shown(tail)[-MOST_LAST:], *self.notes)

    def line(self) -> str:
        """All of it in one line, for a reading."""
        return " ".join(self.lines())[:LONGEST_LINE]

    @property
    def whole(self) -> bool:
        """Whether that line is all of it."""
        few = self._head.count(b"\n") < MOST_FIRST + MOST_LAST and b"\r" not in self._head.replace(b"\r\n", b"")
        return few and self.size < LONGEST_LINE and len(self.line()) < LONGEST_LINE

    def _shown(self, data: bytes) -> list[str]:
        text = self._concealed.hide(data.decode(errors="replace"))
        return (
            [clean(_left_on_screen(line), LONGEST_LINE) for line in text.removesuffix("\n").split("\n")] if text else []
        )


class AnswerOutput(KeptOutput):
    """What a command says, whole, for a parser; nothing of it is shown as it is."""

    def __init__(self, concealed: Concealed, most: int) -> None:
        super().__init__(concealed)
        self._most, self._all = most, bytearray()

    def add(self, data: bytes) -> None:
        """Take what came; of too much a little more than the limit is kept, so that it shows."""
        super().add(data)
        self._all += data[: max(0, self._most + 1 - len(self._all))]

    def told(self) -> bytes | None:
        """All of it; None where it was too much."""
        return bytes(self._all) if len(self._all) <= self._most else None


def _left_on_screen(line: str) -> str:
    """What a terminal shows at the end of a line that was written over, as progress bars are."""
    return line.rstrip("\r").rpartition("\r")[2]
