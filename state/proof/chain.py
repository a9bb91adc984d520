"""The hash chain of a journal: whether each entry follows from the one before it, and is the one that was sealed and
anchored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from state.proof.anchors import Anchor, AnchorCheck
from state.proof.encoding import GENESIS, Sealed, kind_of
from state.proof.erasures import RETAINED, Erasures
from state.proof.seals import SealLine, wrong_seals
from state.proof.sshsig import fingerprint
from state.units import counted

OWN = b',"journal.'
"""In the header of every entry that is about the journal itself."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of checking a chain: number of valid entries, the head, and the first problem as text.

    `torn` is why the last line of an export is no entry when only its end is missing. Of the valid entries `erased` are
    without payload. `known` is the entry with the hash that was looked for, 0 when there is none. `sealed` is the last
    entry that a seal names, after so many `periods`, the first of them with the key of the fingerprint `root`;
    `anchored` the last entry that an anchor names.
    """

    entries: int
    head: bytes
    problem: str = ""
    torn: str = ""
    erased: int = 0
    known: int = 0
    sealed: int = 0
    periods: int = 0
    root: str = ""
    anchored: int = 0

    @property
    def ok(self) -> bool:
        """Whether every entry is valid. A torn last record is not tampering, but it is reported."""
        return not self.problem


class Verifier:
    """Checks a chain piece by piece, so that a long one need not be in memory, nor checked at once.

    `known` is the beginning of the hash of an entry that is looked for: of a head that was stored elsewhere. `after` is
    an entry (number and hash) that is known to be valid: what follows it is checked. `anchors` are those of other
    places that are held against it. `partly`: payloads may be left out without a word.
    """

    def __init__(
        self,
        known: str = "",
        after: tuple[int, bytes] = (0, GENESIS),
        *,
        anchors: Sequence[Anchor] = (),
        partly: bool = False,
    ) -> None:
        self._partly = partly
        self.entries, self.head = after
        self.seals, self.anchors = SealLine(late=after[0] > 0), AnchorCheck(anchors)
        self.problem = ""
        self._known, self._seen = known, 0
        self._first = self.entries + 1
        self._begins, self._erasures = self._first, Erasures()

    def feed(self, entries: Iterable[Sealed]) -> bool:
        """Check the next entries; False from the first invalid one on."""
        number, head, passed = self.entries, self.head, self.seals.passed
        try:
            for entry in entries:
                if self.problem:
                    break
                header, chained = entry.header, sha256(head + entry.header).digest()
                if (
                    chained == entry.hash
                    and entry.seq == number + 1 != self.anchors.due
                    and header[-66:-2] == sha256(entry.salt + entry.payload).hexdigest().encode()
                    and OWN not in header
                    and header.startswith(b"[%d," % entry.seq)
                    and number
                    and entry.salt
                    and not self._known
                ):  # an ordinary entry; whatever else there is to say of one is said below
                    number, head = entry.seq, chained
                    passed((chained, header))
                    continue
                self.entries, self.head = number, head
                self.problem = self._take(entry)
                number, head = self.entries, self.head
        finally:
            self.entries, self.head = number, head
        return not self.problem

    def _take(self, entry: Sealed) -> str:
        place, chained = self.entries + 1, sha256(self.head + entry.header).digest()
        if place == 1 and entry.seq > 1:  # what it follows from is not there; go on from it, to say what is
            self._begins, place, chained = entry.seq, entry.seq, entry.hash
        if entry.seq != place:
            comes = "comes again" if self._begins <= entry.seq < place else "is"
            return f"entry {entry.seq} {comes} in the place of entry {place}"
        if chained != entry.hash:
            return f"entry {entry.seq} does not follow from entry {place - 1}"
        if not entry.header.startswith(b"[%d," % place):
            return f"the header of entry {entry.seq} has another number"
        if not (entry.payload or entry.salt):
            self._erasures.erased(place, entry.header)
        elif entry.header[-66:-2] != sha256(entry.salt + entry.payload).hexdigest().encode():
            return f"the payload of entry {entry.seq} is not the one that was recorded"
        if OWN in entry.header and (problem := self._own(entry)):
            return problem
        self.entries, self.head = place, chained
        self.seals.passed((chained, entry.header))
        return self._outside(place, chained) if self._known or place in (1, self.anchors.due) else ""

    def _outside(self, place: int, chained: bytes) -> str:
        """What other places know of an entry."""
        if place == 1:
            self.anchors.begin(chained.hex())
        if self._known and chained.hex().startswith(self._known):
            self._seen = place
        return self.anchors.passed(place, chained) if place == self.anchors.due else ""

    def _own(self, entry: Sealed) -> str:
        """An entry about the journal itself, after all before it."""
        kind = kind_of(entry.header)
        if kind == RETAINED and entry.payload:
            self._erasures.retained(entry.payload)
        return self.seals.take(entry.seq, kind, entry.payload)

    def prove(self, head: bytes | None = None, *, trusted: Collection[str] = ()) -> Verification:
        """The result with all that takes time: signatures, what has no seal, anchors. `trusted` are the fingerprints of
        keys that were stored elsewhere; without any, the first key is not proven, and later ones follow from it."""
        found, seals = self.finish(head), self.seals
        if found.problem:
            return found
        problem = seals.untrusted(trusted) or wrong_seals(seals.seals) or self.anchors.end(self.entries)
        return replace(found, problem=problem or seals.tail(self.entries))

    def finish(self, head: bytes | None = None) -> Verification:
        """The result; `head` is the hash the chain must end with, when known."""
        valid = self.entries - self._begins + 1
        if not self.problem and self._begins > self._first:
            begins = f"it begins at entry {self._begins}: what was before is not proven"
            self.problem = f"{begins}; from there on {counted(valid, 'entry is', 'entries are')} valid"
        if not self.problem and head is not None and head != self.head:
            self.problem = f"the chain ends at entry {self.entries} with another hash than the known head"
        problem, (first, count) = self.problem, self._erasures.unrecorded()
        if not problem and count and not self._partly:
            others = f", and of {counted(count - 1, 'other', 'others')}" if count > 1 else ""
            problem = f"the payload of entry {first}{others} was erased, and no entry of the journal says so"
        erased, seals, newest = self._erasures.count, self.seals, self.anchors.newest
        return Verification(
            max(valid, 0),
            self.head,
            problem,
            erased=erased,
            known=self._seen,
            sealed=seals.sealed,
            periods=len(seals.seals),
            root=fingerprint(seals.root),
            anchored=newest.seq if newest else 0,
        )


def verify(entries: Iterable[Sealed], *, head: bytes | None = None) -> Verification:
    """Check a whole chain from its first entry; `head` is the hash it must end with, when known.

    Detects any edit, deletion, insertion and reordering, and with `head` also truncation and replacement.
    """
    verifier = Verifier()
    verifier.feed(entries)
    return verifier.finish(head)
