"""Whether a row that was seen different is: a change may have reached one side and not yet the other.

Both sides are read in turn, B after it has what A had, A after it has what B had. Where nothing moved in between, two
such rounds agree: the same versions of the row on both sides, and other contents. Then no change was on its way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from state.comparing.narrowing import Key


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


@dataclass(frozen=True, slots=True)
class Round:
    """One look at both sides. `ordered` is whether B certainly had all that A had, and A then all that B had."""

    a: Mapping[Key, Sighting]
    b: Mapping[Key, Sighting]
    ordered: bool

    def of(self, key: Key) -> tuple[Sighting, Sighting]:
        """What both sides have."""
        return self.a.get(key, ABSENT), self.b.get(key, ABSENT)


class Verdict(StrEnum):
    """What is said of a row that was seen different."""

    EQUAL = "equal"
    DIFFERENT = "different"
    OPEN = "open"
    """It is still on its way, or changes too often to be seen in one state: nothing is said of it."""


def settle(key: Key, rounds: Sequence[Round], *, same_files: bool) -> Verdict:
    """The verdict after so many rounds, the last two of which count.

    With `same_files` (primary and standby) one version of a row has one content: other contents need no second look.
    """
    if not rounds:
        return Verdict.OPEN
    a, b = rounds[-1].of(key)
    if a.hashes == b.hashes:
        return Verdict.EQUAL
    if same_files and a.there and a.versions == b.versions:
        return Verdict.DIFFERENT
    if len(rounds) < 2 or not (rounds[-1].ordered and rounds[-2].ordered):
        return Verdict.OPEN
    before_a, before_b = rounds[-2].of(key)
    still = (before_a.versions, before_a.hashes) == (a.versions, a.hashes)
    return (
        Verdict.DIFFERENT if still and (before_b.versions, before_b.hashes) == (b.versions, b.hashes) else Verdict.OPEN
    )
