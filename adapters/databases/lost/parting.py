"""Where the WAL of two servers parts that are on one timeline number: by halves, a page at a time.

Up to the fork both have the same bytes; from the first record that differs on no page is equal again, since each record
has a checksum and the place of the one before it. So a few dozen pages are read, however far the fork is back.

Source: src/include/access/xlogrecord.h and xlog_internal.h of PostgreSQL 15 to 18.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapters.databases.comparing.side import SHORT, ComparedSide
from adapters.databases.postgres_descent import (
    BYTES,
    LONG_HEADER,
    ORDERS,
    PAGE,
    SHORT_HEADER,
    segment_file,
)

FILES = "select name from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$' and substr(name, 1, 8) = $1"
SEGMENT = "select pg_size_bytes(current_setting('wal_segment_size'))"


@dataclass(frozen=True, slots=True)
class Parting:
    """`fork` is the first record that differs, None where all is equal up to `agree`; `earlier`: they part before what
    both still have."""

    fork: int | None
    agree: int | None
    earlier: bool = False


async def parting(a: ComparedSide, b: ComparedSide, timeline: int, begins: int, ends: int) -> Parting | None:
    """Where two servers part between two positions of a timeline; None where they have no file in common. Raises
    ReadFailure and PostgresError."""
    segment = int((await a.fetch(SEGMENT, timeout=SHORT))[0][0])
    lowest = max(begins // PAGE * PAGE, await _lowest(a, b, timeline, segment, begins))
    if lowest >= ends:
        return None
    low, high = lowest // PAGE, (ends - 1) // PAGE
    pages = _Pages(a, b, timeline, segment)
    if await pages.differ(low, ends) is not None:
        return await _exact(pages, low, low, ends)
    if await pages.differ(high, ends) is None:
        return Parting(None, ends)
    while high - low > 1:  # low is equal, high is not
        middle = (low + high) // 2
        low, high = (low, middle) if await pages.differ(middle, ends) is not None else (middle, high)
    return await _exact(pages, low, high, ends)


async def _exact(pages: _Pages, low: int, high: int, ends: int) -> Parting:
    """The record in which the first byte differs; it may have begun on the page before."""
    at = await pages.differ(high, ends)
    assert at is not None
    first = max(low, high - 1)
    data = b"".join([await pages.one(number) for number in range(first, high + 1)])
    begun = [start for start in records(data, first * PAGE) if start <= at]
    earlier = not begun
    return Parting(begun[-1] if begun else high * PAGE, None if earlier else begun[-1], earlier)


async def _lowest(a: ComparedSide, b: ComparedSide, timeline: int, segment: int, begins: int) -> int:
    """Where the oldest file begins that both have."""
    prefix = f"{timeline:08X}"
    mine, theirs = [{row[0] for row in await side.fetch(FILES, prefix, timeout=SHORT)} for side in (a, b)]
    each = (1 << 32) // segment
    starts = [(int(name[8:16], 16) * each + int(name[16:], 16)) * segment for name in mine & theirs]
    kept = [start for start in starts if start + segment > begins]
    return min(kept, default=1 << 64)


class _Pages:
    """Pages of the WAL of both sides."""

    def __init__(self, a: ComparedSide, b: ComparedSide, timeline: int, segment: int) -> None:
        self._a, self._b, self._timeline, self._segment = a, b, timeline, segment

    async def one(self, number: int) -> bytes:
        """A page of the first side."""
        return await self._page(self._a, number)

    async def differ(self, number: int, ends: int) -> int | None:
        """The position of the first byte of a page, before the end, that differs; None where none does."""
        mine, theirs = await self._page(self._a, number), await self._page(self._b, number)
        begin = number * PAGE
        size = min(PAGE, ends - begin)
        if mine[:size] == theirs[:size]:
            return None
        return begin + next((at for at, pair in enumerate(zip(mine, theirs, strict=False)) if pair[0] != pair[1]), 0)

    async def _page(self, side: ComparedSide, number: int) -> bytes:
        position = number * PAGE
        file = segment_file(self._timeline, position, self._segment)
        found = (await side.fetch(BYTES, file, position % self._segment, PAGE, timeout=SHORT))[0][0]
        return found or b""


def records(data: bytes, begin: int) -> Iterator[int]:
    """Where records begin in pages that lie one behind the other, the first at `begin`; as far as they can be read."""
    order = next((each for each in ORDERS if int.from_bytes(data[8:16], each) == begin), None)
    if order is None:
        return
    at = 0
    while at + SHORT_HEADER <= len(data):
        if at % PAGE == 0:
            info = int.from_bytes(data[at + 2 : at + 4], order)
            rest = int.from_bytes(data[at + 16 : at + 20], order) if info & 1 else 0
            at = min(at + (LONG_HEADER if info & 2 else SHORT_HEADER) + _aligned(rest), at + PAGE)
            continue
        size = int.from_bytes(data[at : at + 4], order)
        if size < SHORT_HEADER:
            return
        yield begin + at
        at = _behind(data, at, size)


def _behind(data: bytes, at: int, size: int) -> int:
    """Where a record ends, the headers of the pages that it crosses included."""
    left = _aligned(size)
    while left > PAGE - at % PAGE:
        left -= PAGE - at % PAGE
        at += PAGE - at % PAGE
        at += LONG_HEADER if data[at + 2 : at + 3] and data[at + 2] & 2 else SHORT_HEADER
    return at + left


def _aligned(size: int) -> int:
    return (size + 7) // 8 * 8
