"""Screen 9: the newest journal entries and the state of the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One entry; `at` in epoch seconds, `message` is one line.

    `origin`: `observed` = noticed by the engine, `decided` = a decision or an effect, empty for an unknown kind.
    """

    seq: int
    at: float
    actor: str
    kind: str
    run: str
    step: str
    message: str
    hash: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class JournalView:
    """Screen 9: the newest entries (keyed by seq) and the state of the chain."""

    head_seq: int
    head_hash: str
    durable: str
    verified: str
    entries: Mapping[str, JournalRow]
