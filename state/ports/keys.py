"""The keys that seal the journal, one for each period."""

from __future__ import annotations

from typing import Protocol


class KeysFailed(Exception):
    """A key could not be made, used or destroyed; the message says why."""


class SealKeys(Protocol):
    """Private keys of periods; their private halves leave this place for nobody. All raise KeysFailed."""

    async def make(self, period: int) -> str:
        """Make the key of a period anew, durably; its public half, `ssh-ed25519 AAAA…`."""

    async def public(self, period: int) -> str:
        """The public half of the key of a period, empty where the private one is not there."""

    async def sign(self, period: int, message: bytes, namespace: str) -> str:
        """A signature as ssh-keygen makes it, in one line."""

    async def destroy(self, upto: int) -> None:
        """Destroy the private keys of a period and of all before it."""
