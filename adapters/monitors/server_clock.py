"""Whether the answers of a server are of now: each of them tells the server's own time, which moves on as ours does.

A cache that stands still repeats an old answer, in time, whole, and with samples that were new when it was given. The
clocks of the two hosts need not agree: only how far the server's is ahead of ours must stay.
"""

from __future__ import annotations

AGREED = 5.0
"""Seconds by which the clocks of two hosts may differ that are set: then a first answer is of now, without a second."""
PACE = 2.0
"""Seconds by which a server's time may move on more or less than ours between two answers."""
DRIFT = 1e-3
"""How much faster a clock may go than another: what was known of them is worth less with time."""
STEADY = 5
"""Answers in pace after which a clock that was set back is believed."""


class ServerClock:
    """The progress of one server's time over its answers; `proven`: it moves, or agrees with that of this host."""

    def __init__(self) -> None:
        self.proven = False
        self._ahead = self._newest = self._since = 0.0
        self._last: tuple[float, float] | None = None
        self._steady = 0

    def take(self, told: float, asked: float, came: float, wall: float) -> float:
        """How old an answer is at least, in seconds, that tells the server's time (epoch seconds).

        `asked` and `came` are when it was asked for and when it came (monotonic seconds), `wall` our time then.
        """
        ahead = told - came
        if self._last is None:
            self.proven = -AGREED <= wall - told <= AGREED + (came - asked)
            self._ahead, self._newest, self._since = ahead, told, came
        else:
            before, then = self._last
            self._steady = self._steady + 1 if _in_pace(told - before, came - then, came - asked) else 0
            if told > self._newest:
                self.proven = self.proven or _in_pace(told - self._newest, came - self._since, came - asked)
                self._newest, self._since = told, came
            self._ahead = max(ahead, self._ahead - DRIFT * (came - then))
            if self._steady >= STEADY:
                self._ahead, self._newest, self._since = ahead, told, came
        self._last = told, came
        return max(0.0, self._ahead - (told - asked))


def _in_pace(theirs: float, ours: float, doubt: float) -> bool:
    """Whether a server's time moved on, and about as much as ours, of which some seconds are in doubt."""
    return theirs > 0 and abs(theirs - ours) <= PACE + doubt
