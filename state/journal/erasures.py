"""What retention records before it erases anything (`state.proof.erasures` holds it against what is gone)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.journal.events import WORDS, Body, event
from state.proof.erasures import RETAINED


@event(RETAINED)
@dataclass(frozen=True, slots=True)
class JournalRetained(Body):
    """Payloads were erased by policy.

    `policy`: seconds by class of entries. `upto`: of which kinds, up to which entry. `kept`: ranges (first, last) of
    entries in between that were not erased, `why` the reasons with their numbers. `erased` is how many this entry's
    retention erases.
    """

    policy: Mapping[str, float]
    upto: Mapping[str, int]
    kept: tuple[tuple[int, int], ...]
    why: Mapping[str, int]
    erased: int
    message: str = field(metadata=WORDS)
