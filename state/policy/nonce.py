"""The nonce of a confirmation: shown on the card, typed by a person, one attempt.

4 of 32 characters without look-alikes (no 0 and O, no 1, I and l): a guess is right once in 1,048,576.
"""

from __future__ import annotations

import secrets

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def draw() -> str:
    """A fresh nonce."""
    return "".join(secrets.choice(ALPHABET) for _ in range(4))


def matches(nonce: str, typed: str) -> bool:
    """Compare in constant time, ignoring case and surrounding blanks."""
    return secrets.compare_digest(nonce.encode(), typed.strip().upper().encode("utf-8", "replace"))
