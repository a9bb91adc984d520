"""A checkpoint: which entries an engine must read to know what it knew, instead of all.

It holds no state, only numbers of entries, and what proves that these are the entries that were meant. What does not
fit the journal is not used; then every entry is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from state.journal.format import Sealed, canonical

RULES = 1
"""Raised when entries are selected in another way: a checkpoint of other rules is not used."""
MOST = 2**53
"""No journal has so many entries."""
MOST_NEEDED = 5_000_000
"""Entries that one projection may need; a file that names more is none of ours."""
RECENT = "recent"
"""The name under which the entries are that every projection reads."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is needed up to entry `seq`, which has this hash: numbers of entries by projection, and the digest of
    that and of all their headers. `rules` says how they were selected."""

    rules: str
    seq: int
    hash: bytes
    needs: Mapping[str, Sequence[int]]
    digest: bytes

    @property
    def seqs(self) -> list[int]:
        """All entries that are needed, in order."""
        return sorted({seq for seqs in self.needs.values() for seq in seqs})

    def fits(self, entries: Sequence[Sealed]) -> bool:
        """Whether these are the entries that were meant, with what they said."""
        whole = [each.seq for each in entries] == self.seqs and digest_of(self.needs, entries) == self.digest
        return whole and all(_says_what_it_said(each) for each in entries)

    def text(self) -> str:
        """As it is stored."""
        needs = in_ranges(self.needs)
        told = {
            "rules": self.rules,
            "seq": self.seq,
            "hash": self.hash.hex(),
            "digest": self.digest.hex(),
            "needs": needs,
        }
        return canonical(told).decode() + "\n"


def read_checkpoint(text: str) -> Checkpoint | None:
    """What `text` gave; None for anything else."""
    try:
        told = json.loads(text)
        seq = int(told["seq"])
        if not 0 < seq <= MOST:
            return None
        needs = {str(name): _numbers(ranges, seq) for name, ranges in told["needs"].items()}
        return Checkpoint(str(told["rules"]), seq, bytes.fromhex(told["hash"]), needs, bytes.fromhex(told["digest"]))
    except (ArithmeticError, ValueError, TypeError, LookupError, AttributeError, RecursionError, MemoryError):
        return None


def digest_of(needs: Mapping[str, Sequence[int]], entries: Iterable[Sealed]) -> bytes:
    """One hash over what is needed and the headers of these entries; they have the hashes of their payloads."""
    whole = sha256(canonical(in_ranges(needs)))
    for entry in entries:
        whole.update(b"%d %d " % (entry.seq, len(entry.header)) + entry.header)
    return whole.digest()


def _says_what_it_said(entry: Sealed) -> bool:
    if not (entry.payload or entry.salt):
        return True  # erased: the whole journal is checked for what accounts for it
    return entry.header[-66:-2] == sha256(entry.salt + entry.payload).hexdigest().encode()


def in_ranges(needs: Mapping[str, Sequence[int]]) -> dict[str, list[list[int]]]:
    """Numbers of entries as pairs of the first and the last."""
    return {name: _ranges(seqs) for name, seqs in needs.items()}


def _ranges(seqs: Sequence[int]) -> list[list[int]]:
    made: list[list[int]] = []
    for seq in seqs:
        if made and made[-1][1] == seq - 1:
            made[-1][1] = seq
        else:
            made.append([seq, seq])
    return made


def _numbers(ranges: Sequence[Sequence[int]], last: int) -> list[int]:
    made: list[int] = []
    for first, end in ranges:
        if not (made[-1] if made else 0) < first <= end <= last:
            raise ValueError("not in order")
        if len(made) + end - first >= MOST_NEEDED:
            raise ValueError("too many")
        made.extend(range(first, end + 1))
    return made
