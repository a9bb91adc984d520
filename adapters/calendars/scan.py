"""The components of a calendar file with their lines: what a parser is given piece by piece.

Lines are put together again before they are decoded: some writers fold them inside a letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_BYTES = 4_000_000
"""Bytes of a calendar file."""
MOST_EVENTS = 5_000
"""Events written in one, however often each comes."""
DEEPEST = 8
"""Components inside one another."""
OUTER = "VCALENDAR"
TAKEN = ("VEVENT", "VTIMEZONE")
UNREAD = ("VFREEBUSY", "VAVAILABILITY")
"""Components that say when somebody is busy, without an event."""
QUOTED = 60
"""So many characters of a line are quoted."""


class UnfitCalendar(Exception):
    """A file that cannot be understood: the line (0 = the whole file), what was found, what was expected."""

    def __init__(self, line: int, expected: str, found: str = "") -> None:
        super().__init__(expected)
        self.line, self.expected, self.found = line, expected, found


@dataclass(frozen=True, slots=True)
class Piece:
    """A component as text, from its BEGIN to its END, and the line of the former. Of an event without what is inside
    it, such as alarms."""

    kind: str
    line: int
    text: str


@dataclass(slots=True)
class _Open:
    kind: str
    line: int
    kept: list[str] = field(default_factory=list)


def pieces(raw: bytes) -> list[Piece]:
    """The events and time zones of a calendar file. Raises UnfitCalendar."""
    if len(raw) > MOST_BYTES:
        raise UnfitCalendar(0, f"at most {MOST_BYTES:,} bytes", f"{len(raw):,}")
    found: list[Piece] = []
    stack: list[_Open] = []
    begun = Counter[str]()
    for line, text in _lines(raw):
        name = text.strip().upper()
        if name.startswith("BEGIN:"):
            stack.append(_opened(name[len("BEGIN:") :].strip(), stack, begun, line))
        elif not stack and name:
            raise UnfitCalendar(line, "BEGIN:VCALENDAR", quoted(text))
        if name:
            _keep(stack, text)
        if name.startswith("END:"):
            closed = _closed(stack, name[len("END:") :].strip(), line)
            if closed.kind in TAKEN:
                found.append(Piece(closed.kind, closed.line, "\r\n".join(closed.kept) + "\r\n"))
    if stack:
        raise UnfitCalendar(stack[-1].line, f"END:{stack[-1].kind[:QUOTED]} before the file ends", "none")
    if not begun[OUTER]:
        raise UnfitCalendar(0, "a calendar: BEGIN:VCALENDAR … END:VCALENDAR", "none")
    return found


def quoted(text: str) -> str:
    """The beginning of a text, for a message."""
    return repr(text if len(text) <= QUOTED else f"{text[:QUOTED]}…")


def _lines(raw: bytes) -> Iterator[tuple[int, str]]:
    """Whole lines with the number of their first part."""
    whole, first = bytearray(), 1
    body = raw.removeprefix(b"\xef\xbb\xbf")
    for number, ended in enumerate(body.split(b"\n"), 1):
        part = ended.removesuffix(b"\r")
        if part[:1] in (b" ", b"\t"):
            whole += part[1:]
            continue
        if whole:
            yield first, _decoded(whole, first)
        whole, first = bytearray(part), number
    if whole:
        yield first, _decoded(whole, first)


def _decoded(whole: bytearray, line: int) -> str:
    try:
        text = whole.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnfitCalendar(line, "UTF-8 text", f"byte 0x{whole[error.start]:02x}") from error
    if "\r" in text or "\0" in text:
        raise UnfitCalendar(line, "lines that end with a line feed, and no NUL", quoted(text))
    return text


def _opened(kind: str, stack: list[_Open], begun: Counter[str], line: int) -> _Open:
    """A calendar holds events and zones, and nothing is around it."""
    if (kind == OUTER) != (not stack):
        around = f"inside {stack[-1].kind[:QUOTED]} of line {stack[-1].line}" if stack else "outside a calendar"
        raise UnfitCalendar(line, "events inside BEGIN:VCALENDAR … END:VCALENDAR", f"{kind[:QUOTED]} {around}")
    if kind in UNREAD:
        raise UnfitCalendar(line, "events: times of free and busy are not read", kind)
    if kind == "VEVENT" and stack[-1].kind != OUTER:
        raise UnfitCalendar(line, f"END:{stack[-1].kind[:QUOTED]} of line {stack[-1].line}", "BEGIN:VEVENT")
    if len(stack) >= DEEPEST:
        raise UnfitCalendar(line, f"at most {DEEPEST} levels", "one more")
    begun[kind] += 1
    if begun["VEVENT"] > MOST_EVENTS:
        raise UnfitCalendar(line, f"at most {MOST_EVENTS:,} events", "one more")
    return _Open(kind, line)


def _keep(stack: list[_Open], text: str) -> None:
    """A line belongs to its component, in a zone also to what is around that."""
    if len(stack) == 2 or (len(stack) > 2 and stack[1].kind == "VTIMEZONE"):
        stack[1].kept.append(text)


def _closed(stack: list[_Open], kind: str, line: int) -> _Open:
    opened = stack.pop()
    if opened.kind != kind:
        expected = f"END:{opened.kind[:QUOTED]}, which begins in line {opened.line}"
        raise UnfitCalendar(line, expected, f"END:{kind[:QUOTED]}")
    return opened
