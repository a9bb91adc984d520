"""From sums that differ to the rows that may: buckets, then two streams in one order, compared as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

Digest = tuple[int, str]
"""How many rows, and the sum of their hashes."""
Digests = Mapping[int, Digest]
Key = tuple[str, ...]
Where = tuple[int, int]
"""A place in the order: `lead` and `tie`."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One row of a stream: its place in the order, its key as texts, and its hash (without a key: how often)."""

    lead: int
    tie: int
    key: Key
    hash: int


def differing(a: Digests, b: Digests) -> list[int]:
    """The buckets whose rows are not the same, in order."""
    return sorted(bucket for bucket in a.keys() | b.keys() if a.get(bucket) != b.get(bucket))


def runs(buckets: Sequence[int], gap: int = 0) -> list[tuple[int, int]]:
    """Buckets that follow each other, or have at most `gap` others between them, as first and last: each run is
    fetched at once."""
    found: list[tuple[int, int]] = []
    for bucket in buckets:
        if found and bucket <= found[-1][1] + 1 + gap:
            found[-1] = (found[-1][0], bucket)
        else:
            found.append((bucket, bucket))
    return found


def rows_in(digests: Digests, first: int, last: int) -> int:
    """How many rows a run of buckets has."""
    return sum(digests[bucket][0] for bucket in range(first, last + 1) if bucket in digests)


async def unequal(a: AsyncIterator[Placed], b: AsyncIterator[Placed]) -> AsyncIterator[tuple[Where, list[Key]]]:
    """The keys whose rows are not the same on both sides, by place. Of each side the rows of one place are held."""
    left, right = _Groups(a), _Groups(b)
    await left.next()
    await right.next()
    while left.place is not None or right.place is not None:
        take_left = right.place is None or (left.place is not None and left.place <= right.place)
        take_right = left.place is None or (right.place is not None and right.place <= left.place)
        mine = left.rows if take_left else {}
        theirs = right.rows if take_right else {}
        keys = [key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)]
        place = left.place if take_left else right.place
        if keys and place is not None:
            yield place, sorted(keys)
        if take_left:
            await left.next()
        if take_right:
            await right.next()


class _Groups:
    """A stream by places: each has the rows of one place by key, each with the sorted hashes that it has there."""

    def __init__(self, stream: AsyncIterator[Placed]) -> None:
        self._stream = stream
        self._ahead: Placed | None = None
        self._begun = False
        self.place: Where | None = None
        self.rows: dict[Key, list[int]] = {}

    async def next(self) -> None:
        """The next place; None at the end."""
        if not self._begun:
            self._begun, self._ahead = True, await anext(self._stream, None)
        first = self._ahead
        self.place, self.rows = None, {}
        if first is None:
            return
        self.place = (first.lead, first.tie)
        while self._ahead is not None and (self._ahead.lead, self._ahead.tie) == self.place:
            hashes = self.rows.setdefault(self._ahead.key, [])
            hashes.append(self._ahead.hash)
            hashes.sort()
            self._ahead = await anext(self._stream, None)
