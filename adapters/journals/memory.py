"""A journal in memory, for exercises and tests; passes the same contract tests as the durable one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from state.journal.format import GENESIS, Sealed


class MemoryJournal:
    """A `state.journal.store.JournalStore` that ends with the process."""

    def __init__(self) -> None:
        self.missing = ""
        self._entries: list[Sealed] = []
        self._stops: tuple[str, ...] = ()
        self._checkpoint = ""

    def append(self, entries: Sequence[Sealed]) -> None:
        """Keep the entries."""
        self._entries.extend(entries)

    def look(self) -> None:
        """Nothing can happen to it."""

    def rows(self, after: int = 0, limit: int = -1) -> Sequence[Sealed]:
        """Entries with seq > after, in order."""
        found = [e for e in self._entries if e.seq > after]
        return found if limit < 0 else found[:limit]

    def some(self, seqs: Sequence[int]) -> Sequence[Sealed]:
        """Those entries."""
        wanted = set(seqs)
        return [e for e in self._entries if e.seq in wanted]

    def having(self, header: bytes, payload: bytes = b"") -> Sequence[Sealed]:
        """Entries with these bytes."""
        return [e for e in self._entries if header in e.header and payload in e.payload]

    def erase(self, seqs: Sequence[int]) -> None:
        """Erase them."""
        wanted = set(seqs)
        self._entries = [replace(e, payload=b"", salt=b"") if e.seq in wanted else e for e in self._entries]

    def keep_checkpoint(self, text: str) -> bool:
        """Keep it."""
        self._checkpoint = text
        return True

    def kept_checkpoint(self) -> str:
        """What was kept last."""
        return self._checkpoint

    def forget(self) -> None:
        """Nothing was read from elsewhere."""

    def head(self) -> tuple[int, bytes]:
        """The last entry's seq and hash."""
        return (self._entries[-1].seq, self._entries[-1].hash) if self._entries else (0, GENESIS)

    def keep_stops(self, runs: Sequence[str]) -> bool:
        """Keep them."""
        self._stops = tuple(runs)
        return True

    def kept_stops(self) -> Sequence[str]:
        """The runs that were kept last."""
        return self._stops

    def close(self) -> None:
        """Nothing to close."""
