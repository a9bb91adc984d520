"""Seals: the entries of a stretch of the journal, signed with a key that is destroyed thereafter.

Each period has a key of its own. The seal that ends it is signed with this key and names the public half of the next
one, so that one key certifies the other from the first on. Whoever has the host has the key in use, and none of those
before: what was sealed earlier cannot be written anew, and what claims a later key, leaves out a period or is signed by
nobody is named. What was written since the last seal is held by anchors only.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from state.proof.encoding import canonical
from state.proof.sshsig import fingerprint, wrong
from state.units import counted

KEYED, SEALED = "journal.keyed", "journal.sealed"
NAMESPACE = "journal.recovery"
"""What the signatures are made for: they are good for nothing else."""
REACH = 8192
"""Entries between the last that a seal names and the seal itself, at most; and those that may be without seal."""
MOST_BEATS = 40
"""Heartbeats, one a minute, that may follow the last seal."""
BEAT = b',"engine.heartbeat",'


@dataclass(frozen=True, slots=True)
class Seal:
    """What entry `seq` says: entries `first` to `last`, the last one with the hash `head`, were sealed in `period` with
    the key `public`; the next period has the key `next`."""

    seq: int
    period: int
    first: int
    last: int
    head: str
    public: str
    next: str
    signature: str

    def wrong(self) -> str:
        """Why its signature proves nothing; empty when it is right."""
        why = wrong(self.public, statement(self.told()), self.signature, NAMESPACE)
        return why and f"the seal of entry {self.seq} is not valid: {why}"

    def told(self) -> Mapping[str, Any]:
        """What is signed, by name."""
        return {name: getattr(self, name) for name in SIGNED}


SIGNED = ("first", "head", "last", "next", "period", "public")


def statement(told: Mapping[str, Any]) -> bytes:
    """The bytes that are signed."""
    return canonical({name: told[name] for name in SIGNED})


def seal_of(seq: int, payload: bytes) -> Seal | None:
    """What a sealing entry says; None for what cannot be read as one."""
    try:
        told = json.loads(payload)
        numbers = [told[name] for name in ("period", "first", "last")]
        texts = [told[name] for name in ("head", "public", "next", "signature")]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if any(type(number) is not int for number in numbers) or not all(isinstance(text, str) for text in texts):
        return None
    return Seal(seq, *numbers, *texts)


class SealLine:
    """Follows the keys of a chain, one after the other. `sealed` is the last entry that a seal names, `period` the one
    that goes on, `root` the first key. Signatures are collected in `seals`, to be verified by who has time for it.

    `late`: the chain is looked at from a later entry on, so the first seal is held against nothing before it.
    """

    def __init__(self, *, late: bool = False) -> None:
        self.period = self.sealed = 0
        self.root = ""
        self.begun: list[tuple[int, str]] = []
        """Where a line of keys begins that no former key certifies: the entry, and the first key."""
        self.seals: list[Seal] = []
        self._public, self._late = "", late
        self._tail: deque[tuple[bytes, bytes]] = deque(maxlen=REACH + 1)
        self.passed = self._tail.append
        """Takes the hash and the header of every entry, in order."""

    def take(self, seq: int, kind: str, payload: bytes) -> str:
        """An entry that may be about seals, after all before it; what is wrong with it."""
        if kind not in (KEYED, SEALED):
            return ""
        if not payload:
            return f"what entry {seq} says of the seals was erased: what follows is not proven"
        return self._keyed(seq, payload) if kind == KEYED else self._sealed(seq, payload)

    def _keyed(self, seq: int, payload: bytes) -> str:
        try:
            told = json.loads(payload)
            period, public = told["period"], told["public"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return f"entry {seq} cannot be read: it names the first key"
        if not (isinstance(public, str) and fingerprint(public)):
            return f"entry {seq} names no key"
        if period != self.period + 1 and not self._late:
            return f"entry {seq} begins period {period}, and {self.period + 1} is due"
        self.period, self._public, self._late = period, public, False
        self.root = self.root or public
        self.begun.append((seq, public))
        return ""

    def _sealed(self, seq: int, payload: bytes) -> str:
        seal = seal_of(seq, payload)
        if seal is None:
            return f"the seal of entry {seq} cannot be read"
        if not (self._late or self.period):
            return f"entry {seq} is a seal, and no entry names the first key"
        if not self._late and (problem := self._out_of_line(seal)):
            return problem
        if (problem := self._of_others(seal)) or not fingerprint(seal.next):
            return problem or f"the seal of entry {seq} names no next key"
        self.period, self._public, self.sealed, self._late = seal.period + 1, seal.next, seal.last, False
        self.seals.append(seal)
        while len(self._tail) > seq - 1 - seal.last:
            self._tail.popleft()
        return ""

    def _out_of_line(self, seal: Seal) -> str:
        where = f"the seal of entry {seal.seq}"
        if seal.period != self.period:
            missing = "a seal is missing" if seal.period > self.period else "it was sealed already"
            return f"{where} is of period {seal.period} in the place of period {self.period}: {missing}"
        if seal.public != self._public:
            return f"{where} is made with another key than that of period {self.period}, which the one before certified"
        if seal.first != self.sealed + 1:
            return f"{where} begins at entry {seal.first}, and entry {self.sealed + 1} is the next without a seal"
        return ""

    def _of_others(self, seal: Seal) -> str:
        """Whether the entries are those that are here."""
        where = f"the seal of entry {seal.seq}"
        back = seal.seq - seal.last
        if not seal.first <= seal.last < seal.seq:
            return f"{where} names entries {seal.first} to {seal.last}"
        if back > len(self._tail):
            return "" if self._late else f"{where} came too late: {back} entries after the last it names"
        if self._tail[-back][0].hex() != seal.head:
            return f"entries {seal.first} to {seal.last} are not those that were sealed by entry {seal.seq}"
        return ""

    def tail(self, entries: int) -> str:
        """What is too much without a seal at the end of so many entries; empty when it is not."""
        if not self.period:
            return ""
        beats, bare = sum(BEAT in header for _, header in self._tail), entries - self.sealed
        if beats <= MOST_BEATS and bare <= REACH:
            return ""
        much = counted(beats, "heartbeat") if beats > MOST_BEATS else counted(bare, "entry", "entries")
        most = MOST_BEATS if beats > MOST_BEATS else REACH
        return f"entries {self.sealed + 1} to {entries} have no seal: {much}, at most {most} may be without"

    def untrusted(self, trusted: Collection[str]) -> str:
        """Which keys begin a line and are none of these fingerprints; without any, all but the first."""
        for seq, public in self.begun if trusted else self.begun[1:]:
            if fingerprint(public) not in trusted:
                given = "is none of those that were given" if trusted else "no former key certifies"
                return f"entry {seq} begins with the key {fingerprint(public)}, which {given}"
        if trusted and not self.begun and not self._late:
            return "there is no key in it, and one was given"
        return ""


def followed(seals: Sequence[Seal]) -> str:
    """Whether each key of a line certifies the next, and every signature is right: by the seals alone."""
    for former, seal in pairwise(seals):
        where = f"the seal of entry {seal.seq}"
        if seal.period != former.period + 1 or seal.first != former.last + 1:
            return f"{where} does not follow on that of entry {former.seq}: periods {former.period} and {seal.period}"
        if seal.public != former.next:
            return f"{where} is made with another key than that of entry {former.seq} certifies"
    return wrong_seals(seals)


def wrong_seals(seals: Sequence[Seal]) -> str:
    """The first seal whose signature proves nothing; some thousandths of a second for each."""
    return next(filter(None, (seal.wrong() for seal in seals)), "")
