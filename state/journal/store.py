"""What the journal needs from its storage. Adapters implement it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from state.journal.format import Sealed


class JournalStore(Protocol):
    """Durable, append-only storage of sealed entries.

    `missing` is what was recorded once and was not there when it was opened; empty when nothing is known to be missing.
    """

    missing: str

    def append(self, entries: Sequence[Sealed]) -> None:
        """Store entries durably, all or none, before returning. Raises JournalUnavailable."""

    def look(self) -> None:
        """Look whether all entries are still stored and the next one could be, without storing any. May be called from
        another thread than `append`. Raises JournalUnavailable."""

    def rows(self, after: int = 0, limit: int = -1) -> Sequence[Sealed]:
        """Stored entries with seq > after, in order; limit -1 = all."""

    def some(self, seqs: Sequence[int]) -> Sequence[Sealed]:
        """Those stored entries, in order; `seqs` is in order too."""

    def having(self, header: bytes, payload: bytes = b"") -> Sequence[Sealed]:
        """Stored entries with these bytes in their header, and in their payload. Looks through all of them: it is
        called from another thread than the loop's."""

    def erase(self, seqs: Sequence[int]) -> None:
        """Erase the payloads and salts of these entries, all or none; of none: let nothing erased stay anywhere. May be
        called from another thread than `append`. Raises JournalUnavailable."""

    def keep_checkpoint(self, text: str) -> bool:
        """Keep what lets an engine start without reading every entry; whether it is kept."""

    def kept_checkpoint(self) -> str:
        """What was kept last, empty when nothing is."""

    def forget(self) -> None:
        """Forget what was read, so that what is read from now on comes from where it is stored."""

    def head(self) -> tuple[int, bytes]:
        """The last (seq, hash); (0, GENESIS) when empty."""

    def keep_stops(self, runs: Sequence[str]) -> bool:
        """Keep the names of runs whose stop is not recorded, outside of the entries; whether they outlive this."""

    def kept_stops(self) -> Sequence[str]:
        """The runs that were kept last."""

    def close(self) -> None: ...
