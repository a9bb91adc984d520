"""Where lines about consoles are kept, beside the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class KeepsSessions(Protocol):
    """A bounded store of lines, oldest first. Both block."""

    def append(self, lines: Sequence[bytes], now: float) -> None:
        """Keep lines; `now` in epoch seconds. What is too old or too much goes, the oldest first. Raises OSError."""

    def read(self) -> bytes:
        """Every line that is kept, each with its line end. Raises OSError."""
