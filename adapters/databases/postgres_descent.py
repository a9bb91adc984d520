"""The descent of a server's timeline, from its own files: which timelines it was on, and what each began with.

A history file has one line for each timeline left: `parent TLI, LSN, reason`. Two standbys that are promoted apart at
one position write files that are alike; the first record of the new timeline is not, since it has the time of the
promotion and a checksum. Both are read in the directory of the server, after
`GRANT EXECUTE ON FUNCTION pg_read_file(text, bigint, bigint, boolean) TO <role>` and
`GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) TO <role>`; else they are unknown.

Source: src/include/access/xlogrecord.h and xlog_internal.h of PostgreSQL 15 to 18.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import asyncpg

from state.world.timelines import History, TimelineSwitch

HISTORY = "select pg_read_file($1, 0, 65536, true)"
BYTES = "select pg_read_binary_file($1, $2, $3, true)"
READ = 0.5
"""Seconds for one file."""
AGAIN = 10.0
"""How often both are read again: a restore may bring another file of the same name."""
LATEST = 3
"""So many of the last timelines are looked at."""
PAGE = 8192
LARGEST = 1 << 64
SHORT_HEADER, LONG_HEADER = 24, 40
RECORD_HEADER = 24
ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")


@dataclass(frozen=True, slots=True)
class DescentAsked:
    """`server` is its system and process, `held` the position up to which it has its WAL. `files`: text files may be
    read; `segment`: the size of a file of WAL where bytes may be, else 0."""

    server: object
    timeline: int | None
    held: int
    files: bool
    segment: int

    @property
    def key(self) -> object:
        """What must be the same for the same answer."""
        return self.server, self.timeline, self.files, self.segment


class Descent:
    """What is known of one server; read again every few seconds, and at once when it is another process or timeline."""

    def __init__(self) -> None:
        self.history: History | None = None
        self.branches: Mapping[int, str] = {}
        self._key: object = None
        self._at = float("-inf")

    async def read(self, connection: asyncpg.Connection[asyncpg.Record], asked: DescentAsked) -> None:
        """Read what is old, or was not there yet."""
        now = time.monotonic()
        whole = self.history is not None or not asked.files
        if (asked.key, whole) == (self._key, True) and now - self._at < AGAIN:
            return
        self.history = await _history(connection, asked)
        self.branches, begun = await _branches(connection, asked, self.history)
        self._key, self._at = asked.key, now if begun else float("-inf")


async def _history(connection: asyncpg.Connection[asyncpg.Record], asked: DescentAsked) -> History | None:
    if asked.timeline is None or asked.timeline < 2:
        return None if asked.timeline is None else ()
    if not asked.files:
        return None
    text = await connection.fetchval(HISTORY, f"pg_wal/{asked.timeline:08X}.history", timeout=READ)
    return None if text is None else parse_history(text)


async def _branches(
    connection: asyncpg.Connection[asyncpg.Record], asked: DescentAsked, history: History | None
) -> tuple[Mapping[int, str], bool]:
    """The first record of each of the last timelines whose file is still there, and whether none is still to come: a
    file may have its name before its bytes."""
    if not asked.timeline or not asked.segment or not history:
        return {}, True
    numbers = [*(switch.parent for switch in history[1:]), asked.timeline]
    found: dict[int, str] = {}
    for number, switch in list(zip(numbers, history, strict=True))[-LATEST:]:
        if asked.held < switch.lsn + LONG_HEADER + RECORD_HEADER:
            return found, False
        file, at = segment_file(number, switch.lsn, asked.segment), switch.lsn // PAGE * PAGE % asked.segment
        record = first_record(await connection.fetchval(BYTES, file, at, 2 * PAGE, timeout=READ) or b"", switch.lsn)
        if record is not None:
            found[number] = hashlib.sha256(record).hexdigest()[:16]
    return found, True


def segment_file(timeline: int, position: int, segment: int) -> str:
    """The file of a timeline's WAL that has a position."""
    number, each = position // segment, (1 << 32) // segment
    return f"pg_wal/{timeline:08X}{number // each:08X}{number % each:08X}"


def first_record(data: bytes, position: int) -> bytes | None:
    """The header of the record at a position, its checksum included; `data` begins with the position's page. None where
    it is not there."""
    at, page = position % PAGE, position - position % PAGE
    if page not in (int.from_bytes(data[8:16], order) for order in ORDERS):
        return None
    if at < SHORT_HEADER:
        at = _header(data, 0)
    head = data[at : min(at + RECORD_HEADER, PAGE)]
    if len(head) < RECORD_HEADER:
        begin = PAGE + _header(data, PAGE)
        head += data[begin : begin + RECORD_HEADER - len(head)]
    return head if len(head) == RECORD_HEADER and any(head[:4]) else None


def _header(data: bytes, page: int) -> int:
    """The size of a page's header: the first page of a file has a longer one (XLP_LONG_HEADER)."""
    return LONG_HEADER if data[page + 2 : page + 3] and data[page + 2] & 2 else SHORT_HEADER


def parse_lsn(text: str) -> int:
    """A WAL position `16/B374D848` as bytes. Raises ValueError."""
    high, slash, low = text.partition("/")
    if not slash:
        raise ValueError(f"{text!r} is not a WAL position")
    return (int(high, 16) << 32) + int(low, 16)


def parse_history(text: str) -> History | None:
    """All lines of a history file; None for one that is not as PostgreSQL writes it."""
    found: list[TimelineSwitch] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            made = TimelineSwitch(int(words[0]), parse_lsn(words[1]))
        except (ValueError, IndexError):
            return None
        if made.lsn >= LARGEST or (found and (made.parent <= found[-1].parent or made.lsn < found[-1].lsn)):
            return None
        found.append(made)
    return tuple(found) or None
