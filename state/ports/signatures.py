"""Who verifies signatures."""

from __future__ import annotations

from typing import Protocol


class VerifiesSignatures(Protocol):
    """Verifies signatures that were made with SSH keys, without asking anybody."""

    async def verify(self, public: str, namespace: str, signed: bytes, signature: str) -> bool:
        """Whether this key made the signature over these bytes, for this namespace. Raises ReadFailure where it cannot
        be found out."""
