"""How old entries are, for what cannot be taken back: the wall clock alone is not believed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

from state.engine.events import ClockJumped
from state.errors import Refused
from state.journal.events import Recorded
from state.units import counted, utc_date

DAY = 86_400.0
NOTABLE = 60.0
"""Seconds by which a clock may be wrong without a word."""
ABSENT = 31 * DAY
"""Seconds without an entry after which it is asked whether the clock is right: an engine writes one a minute."""


class Ages:
    """Ages at one instant (`wall`, and `mono` of the engine with this `boot`), the lesser of what the clocks say.

    `jumps` are the entries that say how the wall clock was set: what it went forward later makes nothing older. Raises
    Refused when it was set a short time ago.
    """

    def __init__(self, jumps: Iterable[Recorded], wall: float, mono: float, boot: str) -> None:
        self._wall, self._mono, self._boot = wall, mono, boot
        told = [(each, each.body.seconds) for each in jumps if isinstance(each.body, ClockJumped)]
        self._seqs = [each.seq for each, _ in told]
        self._sums = [0.0, *accumulate(seconds for _, seconds in told)]
        self._before: Recorded | None = None
        for each, seconds in told:
            if abs(seconds) > NOTABLE and self._ago(each) < DAY:
                way = "forward" if seconds > 0 else "back"
                raise _refused(f"the wall clock was set {way} less than a day ago, entry {each.seq} says")

    def of(self, entry: Recorded) -> float:
        """Seconds since an entry was recorded, as far as they are certain."""
        age = self._wall - entry.at - max(0.0, self._set_since(entry))
        return min(age, self._mono - entry.mono) if entry.boot == self._boot else age

    def follow(self, entry: Recorded) -> None:
        """The next entry of the journal. Raises Refused when by what it says the clock is wrong, or was."""
        ago, before = self._ago(entry), self._before
        self._before = entry
        if ago < -NOTABLE:
            raise _refused(f"entry {entry.seq} is of {utc_date(entry.at)}, and the clock says {utc_date(self._wall)}")
        if before is not None and entry.at - before.at > ABSENT and ago < DAY:
            days = counted(int((entry.at - before.at) / DAY), "day")
            raise _refused(f"by the clock {days} without an entry ended less than a day ago, with entry {entry.seq}")

    def _ago(self, entry: Recorded) -> float:
        """Seconds since an entry by a clock that was set back after it, if it was."""
        return self._wall - entry.at - min(0.0, self._set_since(entry))

    def _set_since(self, entry: Recorded) -> float:
        """Seconds by which the wall clock was set forward after an entry, all in all."""
        return self._sums[-1] - self._sums[bisect_right(self._seqs, entry.seq)]


def _refused(fact: str) -> Refused:
    return Refused("retention", fact, "Look whether the host's clock is right, and begin again a day later")
