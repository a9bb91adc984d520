"""Erased payloads against what the journal says was erased.

Retention records what it erases before it does (`journal.retained`): the kinds of entries, up to which entry of each,
and those that were kept although they were old enough. Each such entry counts for as long as the journal lasts. A
payload that is gone and that no entry names was taken away by something else.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from state.proof.encoding import kind_of

RETAINED = "journal.retained"


@dataclass(frozen=True, slots=True)
class _Claim:
    """One entry's word on a kind: all up to `upto` was erased, but what lies in the ranges that were kept."""

    upto: int
    firsts: Sequence[int]
    lasts: Sequence[int]

    def covers(self, seq: int) -> bool:
        place = bisect_right(self.firsts, seq) - 1
        return seq <= self.upto and not (place >= 0 and seq <= self.lasts[place])


class Erasures:
    """Counts payloads that are gone, and tells which of them no entry accounts for."""

    def __init__(self) -> None:
        self.seqs = array("Q")
        self._kinds = array("H")
        self._numbers: dict[str, int] = {}
        self._claims: dict[str, list[_Claim]] = {}
        """Of each kind what every entry tells: what one erased stays erased, whatever a later one says."""

    @property
    def count(self) -> int:
        """How many entries are without payload."""
        return len(self.seqs)

    def erased(self, seq: int, header: bytes) -> None:
        """An entry without payload."""
        kind = kind_of(header)
        self.seqs.append(seq)
        self._kinds.append(self._numbers.setdefault(kind, min(len(self._numbers), 65_535)))

    def retained(self, payload: bytes) -> None:
        """An entry that may tell what was erased."""
        try:
            told = json.loads(payload)
            kept = sorted((int(first), int(last)) for first, last in told["kept"])
            firsts, lasts = [first for first, _ in kept], [last for _, last in kept]
            told_now = {str(kind): _Claim(int(upto), firsts, lasts) for kind, upto in told["upto"].items()}
        except (ArithmeticError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return  # it accounts for nothing
        for kind, claim in told_now.items():
            self._claims.setdefault(kind, []).append(claim)

    def unrecorded(self) -> tuple[int, int]:
        """The first entry whose payload is gone and that no entry accounts for, and how many such there are."""
        names = {number: kind for kind, number in self._numbers.items()}
        first = count = 0
        for seq, number in zip(self.seqs, self._kinds, strict=True):
            if not any(claim.covers(seq) for claim in self._claims.get(names[number], ())):
                first, count = first or seq, count + 1
        return first, count
