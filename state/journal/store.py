"""What the journal needs from its storage. Adapters implement it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from state.journal.format import Sealed


class JournalStore(Protocol):
    """Durable, append-only storage of sealed entries."""

    def append(self, entries: Sequence[Sealed]) -> None:
        """Store entries durably, all or none, before returning. Raises JournalUnavailable."""

    def rows(self, after: int = 0, limit: int = -1) -> Sequence[Sealed]:
        """Stored entries with seq > after, in order; limit -1 = all."""

    def head(self) -> tuple[int, bytes]:
        """The last (seq, hash); (0, GENESIS) when empty."""

    def close(self) -> None: ...
