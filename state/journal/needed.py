"""Which entries a state still follows from, so that an engine need not read the others when it starts."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

RECENT = 3600.0
"""Seconds before the last entry for which states may remember everything: how often something came and went."""
MOST_RECENT = 20_000
"""The most entries of that time."""
PRUNE = 256
"""Subjects told of between two looks for what is no longer needed, at least: one entry may tell of hundreds."""


class About(NamedTuple):
    """What an entry tells about. Only the `newest` entries about it count; after one that `closes` it nothing of it
    does, unless an earlier entry is needed for something else."""

    key: Hashable
    closes: bool = False
    newest: int = 1


@dataclass(slots=True)
class _Known:
    seqs: deque[int] | tuple[int, ...]
    """A tuple where one counts, as of each of thousands of alerts: an empty deque alone takes ten times as much."""
    closed: bool


class Needed:
    """The entries that one projection needs, by what each tells about."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _Known] = {}
        self._about: dict[int, tuple[Hashable, ...]] = {}
        self._since, self._kept = 0, 0

    @property
    def subjects(self) -> int:
        """How many subjects are in memory."""
        return len(self._known)

    def take(self, seq: int, subjects: Iterable[About]) -> None:
        """One more entry, with what it tells about."""
        keys: list[Hashable] = []
        for key, closes, newest in subjects:
            known = self._known.get(key)
            if known is None:
                if closes:
                    continue
                known = self._known[key] = _Known(() if newest == 1 else deque(maxlen=newest), False)
            if isinstance(known.seqs, deque):
                known.seqs.append(seq)
            else:
                known.seqs = (seq,)
            known.closed = closes
            keys.append(key)
        if keys:
            self._about[seq] = tuple(keys)
            self._since += len(keys)
        if self._since >= max(PRUNE, self._kept):
            self.seqs()

    def seqs(self) -> Sequence[int]:
        """The entries that count, in order; the others are forgotten."""
        self._since = 0
        current = {seq for known in self._known.values() for seq in known.seqs}
        told: set[Hashable] = set()
        kept: list[int] = []
        for seq in sorted(current):
            keys = self._about[seq]
            if any(self._counts(key, seq, told) for key in keys):
                kept.append(seq)
                told.update(keys)
        self._known = {key: known for key, known in self._known.items() if key in told}
        self._about = {seq: self._about[seq] for seq in kept}
        self._kept = len(self._known)
        return kept

    def _counts(self, key: Hashable, seq: int, told: set[Hashable]) -> bool:
        known = self._known.get(key)
        return known is not None and seq in known.seqs and (not known.closed or key in told)


class Recently:
    """The entries of the last hour."""

    def __init__(self) -> None:
        self._entries: deque[tuple[float, int]] = deque(maxlen=MOST_RECENT)

    def take(self, seq: int, at: float) -> None:
        """One more entry."""
        self._entries.append((at, seq))
        while self._entries[0][0] < at - RECENT:
            self._entries.popleft()

    def seqs(self) -> Sequence[int]:
        """In order."""
        return [seq for _, seq in self._entries]
