"""Whether a row that was seen different is: a change may have reached one side and not yet the other.

Both sides are read in turn, B after it has what A had, A after it has what B had. Where nothing moved in between, two
such rounds agree: the same versions of the row on both sides, and other contents. Then no change was on its way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from state.comparing.narrowing import Key
from state.comparing.results import Linked


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one side has for a key: the hash of each row of it (more than one only where an index is damaged), which
    version each is, and for each the hash of its columns. Without a key `hashes` has how often."""

    hashes: tuple[int, ...] = ()
    versions: tuple[str, ...] = ()
    columns: tuple[tuple[int, ...], ...] = ()
    shown: str = ""

    @property
    def there(self) -> bool:
        """Whether there is a row."""
        return bool(self.hashes)


ABSENT = Sighting()


Seen = Mapping[Key, Sighting]


@dataclass(frozen=True, slots=True)
class SettlingRound:
    """One look at both sides. `ordered` is whether B certainly had all that A had, and A then all that B had.

    `meanwhile_a` is what A had while B was waited for, `meanwhile_b` what B had while A was: a row that changes all the
    time is seen in one state only so.
    """

    a: Seen
    b: Seen
    ordered: bool
    meanwhile_a: Sequence[Seen] = ()
    meanwhile_b: Sequence[Seen] = ()

    def of(self, key: Key) -> tuple[Sighting, Sighting]:
        """What both sides have."""
        return self.a.get(key, ABSENT), self.b.get(key, ABSENT)


class RowVerdict(StrEnum):
    """What is said of a row that was seen different."""

    EQUAL = "equal"
    DIFFERENT = "different"
    OPEN = "open"
    """It is still on its way, or changes too often to be seen in one state: nothing is said of it."""


def settle(key: Key, rounds: Sequence[SettlingRound], link: Linked) -> RowVerdict:
    """The verdict after so many rounds, the last two of which count.

    Between primary and standby one version of a row has one content: other contents need no second look.
    """
    if not rounds:
        return RowVerdict.OPEN
    a, b = rounds[-1].of(key)
    if a.hashes == b.hashes or (link is not Linked.NONE and _followed(key, rounds)):
        return RowVerdict.EQUAL
    if link is Linked.PHYSICAL and a.there and a.versions == b.versions:
        return RowVerdict.DIFFERENT
    if len(rounds) < 2 or not (rounds[-1].ordered and rounds[-2].ordered):
        return RowVerdict.OPEN
    before_a, before_b = rounds[-2].of(key)
    still = (before_a.versions, before_a.hashes) == (a.versions, a.hashes)
    return (
        RowVerdict.DIFFERENT
        if still and (before_b.versions, before_b.hashes) == (b.versions, b.hashes)
        else RowVerdict.OPEN
    )


def _followed(key: Key, rounds: Sequence[SettlingRound]) -> bool:
    """Whether one side came to a state in which the other one was seen since it was asked to follow: B to one of A in
    this round, or A to one of B since the last one."""
    a, b = rounds[-1].of(key)
    if any(seen.get(key, ABSENT).hashes == b.hashes for seen in rounds[-1].meanwhile_a):
        return True
    if len(rounds) < 2 or not rounds[-2].ordered:
        return False
    return any(seen.get(key, ABSENT).hashes == a.hashes for seen in (rounds[-2].b, *rounds[-2].meanwhile_b))
