"""What typed keys mean for a confirmation: pure functions, so that any sequence of keys can be tested.

Keys within the arming time after the card was drawn are dropped. More than three printable keys within 30 ms, or
any paste, are not typed by hand: they are dropped and the gate arms again; what was confirmed by hand before them
stays. A slow connection delivers what was typed in pieces, which count as long as no piece looks like a paste. The
last key counts only if no key follows it for a moment, and a single letter only if no key came in the moment before
it, so no letter at either end of a pasted text confirms anything. What is dropped is counted, with the reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

BURST_KEYS = 4
BURST_SECONDS = 0.03
SETTLE_SECONDS = 0.12
LONGEST = 200


class KeyOutcome(StrEnum):
    """The result of one key."""

    DROPPED = "dropped"
    BURST = "burst"
    TYPED = "typed"
    WRONG = "wrong"
    COMPLETE = "complete"


class DropReason(StrEnum):
    """Why keys do not count."""

    EARLY = "early"
    """They came before the question could be read."""
    BURST = "burst"
    """They came all at once, like a paste."""
    PASTE = "paste"
    """The terminal says that they were pasted."""
    MORE = "more"
    """A key came right before or after the one that would have confirmed."""
    HIDDEN = "hidden"
    """The question was not in sight."""
    FROZEN = "frozen"
    """Somebody who must be there was not."""
    RESIZED = "resized"
    """The terminal has another size: it is read anew."""


class Dropped(NamedTuple):
    """Keys that do not count, since the last one that does."""

    reason: DropReason
    keys: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thing to type. `once` = a wrong entry of full length voids the card; case is ignored with `fold`."""

    name: str
    text: str
    once: bool = False
    fold: bool = False

    def matches(self, typed: str) -> bool:
        return typed.casefold() == self.text.casefold() if self.fold else typed == self.text


class Gate:
    """Collects what must be typed, one text after the other. Times are seconds of one monotonic clock."""

    def __init__(self, wanted: Sequence[Wanted], arm: float) -> None:
        self._wanted = tuple(wanted)
        self._arm = max(0.0, arm)
        self._armed_at = float("inf")
        self._recent: deque[float] = deque(maxlen=BURST_KEYS)
        self._done: dict[str, str] = {}
        self._done_at: dict[str, float] = {}
        self._completed_at: float | None = None
        self._last = float("-inf")
        self._bursting = False
        self.typed = ""
        self.void = False
        self.dropped: Dropped | None = None
        """What did not count, until a key counts again."""

    def shown(self, now: float) -> None:
        """The card has been drawn: arming starts."""
        self._armed_at = now + self._arm

    def armed(self, now: float) -> bool:
        return now >= self._armed_at

    @property
    def current(self) -> Wanted | None:
        """What is to be typed now; None when all is typed."""
        return self._wanted[len(self._done)] if len(self._done) < len(self._wanted) else None

    def key(self, char: str, at: float) -> KeyOutcome:
        """One printable key pressed at that time."""
        alone = at - self._last >= SETTLE_SECONDS
        self._last = at
        self._recent.append(at)
        if len(self._recent) == BURST_KEYS and at - self._recent[0] <= BURST_SECONDS:
            keys, self._bursting = 1 if self._bursting else BURST_KEYS, True
            return self.reset(at, DropReason.BURST, keys, since=self._recent[0])
        self._bursting = False
        if self.void or not self.armed(at):
            return self._drop(DropReason.EARLY, 1)
        wanted = self.current
        if wanted is None:
            # Another key followed the last one: the confirmation was not deliberate.
            return self.reset(at, DropReason.MORE, 1)
        if len(wanted.text) == 1 and not alone:
            return self._drop(DropReason.MORE, 1)
        return self._count(wanted, char, at)

    def _count(self, wanted: Wanted, char: str, at: float) -> KeyOutcome:
        """A key that counts."""
        self.dropped = None
        self.typed = (self.typed + char)[-LONGEST:]
        if wanted.matches(self.typed):
            self._done[wanted.name] = self.typed
            self._done_at[wanted.name] = at
            self.typed = ""
            if self.current is None:
                self._completed_at = at
                return KeyOutcome.COMPLETE
            return KeyOutcome.TYPED
        if wanted.once and len(self.typed) >= len(wanted.text):
            self.void = True
            return KeyOutcome.WRONG
        if len(wanted.text) == 1:
            self.typed = ""
        return KeyOutcome.TYPED

    def other_key(self, at: float) -> None:
        """Enter or another key without a character: right after the last letter it is a sign of a paste."""
        self._last = at
        if self._completed_at is not None:
            self.reset(at, DropReason.MORE, 1)

    def erase(self) -> None:
        """Backspace."""
        self.typed = self.typed[:-1]

    def reset(self, at: float, reason: DropReason, keys: int, *, since: float = float("-inf")) -> KeyOutcome:
        """Not typed by hand: empty the input and arm again. What was complete before `since` was typed by hand."""
        self._drop(reason, keys)
        self._done = {name: text for name, text in self._done.items() if self._done_at[name] < since}
        self._completed_at = None
        self.typed = ""
        self._armed_at = max(self._armed_at, at + self._arm)
        return KeyOutcome.BURST

    def _drop(self, reason: DropReason, keys: int) -> KeyOutcome:
        before = self.dropped
        self.dropped = Dropped(reason, keys + (before.keys if before is not None and before.reason is reason else 0))
        return KeyOutcome.DROPPED

    def accepted(self, now: float) -> dict[str, str] | None:
        """What was typed, once it is complete and no key followed for a moment."""
        if self._completed_at is None or now - self._completed_at < SETTLE_SECONDS:
            return None
        return dict(self._done)
