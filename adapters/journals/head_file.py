"""The last entry that was recorded, in a small file beside the journal: it shows that a journal lacks what it had.

A chain that was cut short, an older copy and an empty new file are all valid by themselves. The file is written within
about a second after an entry, so it never names one that was not durable.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from adapters.journals.small_file import replace_file
from state.errors import JournalUnavailable

LINE = re.compile(r"([0-9]{1,18}) ([0-9a-f]{64})\n")
LONGEST = 128
"""Bytes that are read of it."""


class HeadFile:
    """Number and hash of the last entry of one journal, `journal.head` beside `journal.db`."""

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_suffix(".head")

    def missing(self, hash_of: Callable[[int], bytes | None]) -> str:
        """Why a journal is not the one that was recorded, empty when it is. `hash_of` is the hash of an entry of it."""
        try:
            with self.path.open("rb") as file:
                found = LINE.fullmatch(file.read(LONGEST).decode("ascii", "replace"))
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{self.path}: {error.strerror}"
        if found is None:
            return f"{self.path} does not name the last entry"
        seq, recorded = int(found[1]), bytes.fromhex(found[2])
        there = hash_of(seq) if seq else recorded
        if there == recorded:
            return ""
        what = "is not there any more" if there is None else "is another one now"
        return f"entry {seq} was recorded and {what}: the journal was removed, cut short, or replaced by another copy"

    def write(self, seq: int, digest: bytes) -> None:
        """Name the last entry. Raises JournalUnavailable."""
        try:
            replace_file(self.path, f"{seq} {digest.hex()}\n")
        except OSError as error:
            raise JournalUnavailable(f"{self.path}: {error.strerror}") from error
