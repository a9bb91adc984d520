"""What every family of observations is: how its subjects are seen, told, and read back from the journal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from state.detection.follow import Follower, Pace, Shift, Told
from state.journal.events import Observation
from state.units import ago, clock
from state.verdicts.judge import Judgement
from state.world.observed import Observed
from state.world.readings import Reading

NAMED = 5
"""The most names in a message; the entry has all of them."""


@dataclass(frozen=True, slots=True)
class Look:
    """All verdicts at one instant: monotonic and wall time, and the seconds since this engine began to look."""

    judgement: Judgement
    mono: float
    wall: float
    up: float

    def told_at(self, mono: float) -> float:
        """Seconds since 1970 of a monotonic instant."""
        return round(self.wall - (self.mono - mono), 3)


class Family(ABC):
    """One kind of subject, with the bodies that tell about it."""

    pace: ClassVar[Pace]
    bodies: ClassVar[tuple[type[Observation], ...]]

    def __init__(self) -> None:
        self.follower = Follower(self.pace)

    @abstractmethod
    def see(self, look: Look) -> Iterator[tuple[str, str | None]]:
        """Every subject with its value now; None = not known."""

    @abstractmethod
    def tell(self, shifts: Sequence[Shift], look: Look) -> Iterator[Observation]:
        """The entries about changes."""

    @abstractmethod
    def told(self, body: Any, at: float) -> Iterable[Told]:
        """The subjects of an entry, recorded at a wall time, with their values as `see` names them."""

    def notice(self, look: Look, *, hold: bool) -> list[Observation]:
        """Look once; what is to be recorded, nothing while an earlier entry is not recorded (`hold`)."""
        seen: set[str] = set()
        for subject, value in self.see(look):
            self.follower.see(subject, value, look.mono)
            seen.add(subject)
        for subject in self.follower.open:
            if subject not in seen:  # not in the estate in force: nothing is known of it, so nothing is told
                self.follower.see(subject, None, look.mono)
        shifts = [] if hold else self.follower.shifts(look.mono)
        return list(self.tell(shifts, look)) if shifts else []


def silent(seen: Observed[Reading], look: Look) -> bool | None:
    """Whether a source has given no value for longer than its limit; None before it could."""
    age = seen.age(look.mono)
    if age is not None:
        return age > seen.limit
    return True if look.up > seen.limit and seen.error is not None else None


def before(since: float | None, at: float) -> float:
    """Seconds from a beginning to its entry, both in wall time; 0 where an earlier version did not record it."""
    return 0.0 if since is None else max(0.0, at - since)


def named(names: Iterable[str]) -> str:
    """Names for a message, the last ones as a number: `a, b, c, d, e and 37 more`."""
    known = list(names)
    rest = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
    return ", ".join(known[:NAMED]) + rest


def lasted(shift: Shift) -> float | None:
    """Seconds for an entry."""
    return None if shift.lasted is None else round(shift.lasted, 1)


def after(shifts: Sequence[Shift]) -> str:
    """How long it lasted and how often it came back meanwhile, for a message: ` after 34 s`."""
    seconds = [s.lasted for s in shifts if s.lasted is not None]
    longest = max(seconds, default=None)
    more = sum(s.more for s in shifts)
    took = "" if longest is None else f" after {ago(longest) if longest < 60 else clock(longest)}"
    return took + (f" (came and went {more} times meanwhile)" if more else "")
