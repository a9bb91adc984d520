"""What the journal says of its own seals and anchors."""

from __future__ import annotations

from dataclasses import dataclass, field

from state.journal.events import WORDS, Observation, event
from state.proof.seals import KEYED, SEALED


@event(KEYED)
@dataclass(frozen=True, slots=True)
class JournalKeyed(Observation):
    """A line of keys begins, certified by none: that of `period` has this public half."""

    period: int
    public: str
    message: str = field(metadata=WORDS)


@event(SEALED)
@dataclass(frozen=True, slots=True)
class JournalSealed(Observation):
    """Entries `first` to `last` were sealed with the key `public` of a period; `head` is the hash of the last one in
    hexadecimal, `next` the key of the next period, `signature` that of ssh-keygen in one line."""

    period: int
    first: int
    last: int
    head: str
    public: str
    next: str
    signature: str
    message: str = field(metadata=WORDS)


@event("journal.unsealed")
@dataclass(frozen=True, slots=True)
class JournalUnsealed(Observation):
    """From entry `first` on nothing could be sealed, for this reason."""

    first: int
    reason: str
    message: str = field(metadata=WORDS)


@event("anchor.lost")
@dataclass(frozen=True, slots=True)
class AnchorLost(Observation):
    """A place for anchors does not take them, since so long (wall clock, seconds since 1970); `last` is the newest
    entry that it has, 0 when that is not known."""

    place: str
    since: float
    last: int
    reason: str
    message: str = field(metadata=WORDS)


@event("anchor.restored")
@dataclass(frozen=True, slots=True)
class AnchorRestored(Observation):
    """A place takes anchors again, after so many seconds; it has entry `last`. `more` outages were not recorded."""

    place: str
    seconds: float
    last: int
    message: str = field(metadata=WORDS)
    more: int = 0
