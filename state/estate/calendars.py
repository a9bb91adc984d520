"""When the events of a calendar file are: plain instants, with the time for which they are known."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

AHEAD = 400 * 86_400.0
"""Seconds after its reading for which the times of a calendar are worked out."""
BEHIND = 2 * 86_400.0
"""The same before it: the clock of a host may be set back."""


@dataclass(frozen=True, slots=True)
class Span:
    """One event: from `start` until `end` in epoch seconds, and its title in the calendar, which is text from
    outside."""

    start: float
    end: float
    title: str


@dataclass(frozen=True, slots=True)
class CalendarTimes:
    """What was read of a calendar file. `spans` stand in the order of their beginnings and are all of those that are
    open at some instant from `since` until before `until`, epoch seconds; of other instants nobody knows. `written` is
    when the file was last changed, `digest` of its content, `left_out` tells people what in it protects nothing.

    `problem` says why nothing is known at all, in whole words with file and line; then there are no spans.
    Two are equal when they say the same, whenever each was read.
    """

    file: str
    digest: str = ""
    written: float = field(default=0.0, compare=False)
    since: float = field(default=0.0, compare=False)
    until: float = field(default=0.0, compare=False)
    spans: tuple[Span, ...] = field(default=(), compare=False)
    left_out: str = ""
    problem: str = ""
    starts: tuple[float, ...] = field(default=(), compare=False)
    """The beginnings of `spans`."""
    latest: tuple[int, ...] = field(default=(), compare=False)
    """For each span, which one of those up to it ends last."""

    def open_at(self, wall: float) -> Span | None:
        """The one that is open at an instant, of several the one that ends last."""
        index = bisect_right(self.starts, wall) - 1
        found = self.spans[self.latest[index]] if index >= 0 else None
        return found if found is not None and found.end > wall else None

    def after(self, wall: float) -> Span | None:
        """The first one that begins later than an instant."""
        index = bisect_right(self.starts, wall)
        return self.spans[index] if index < len(self.spans) else None

    def knows(self, wall: float) -> bool:
        """Whether it is known what is open at an instant."""
        return not self.problem and self.since <= wall < self.until


def calendar_times(
    file: str, digest: str, written: float, known: tuple[float, float], spans: Iterable[Span], left_out: str = ""
) -> CalendarTimes:
    """What is known of a file whose events were worked out from an instant until another one (`known`)."""
    inside = sorted((s for s in spans if s.end > s.start), key=lambda s: (s.start, s.end, s.title))
    latest: list[int] = []
    for index, span in enumerate(inside):
        latest.append(latest[-1] if latest and inside[latest[-1]].end >= span.end else index)
    return CalendarTimes(
        file,
        digest,
        written,
        *known,
        tuple(inside),
        left_out,
        starts=tuple(s.start for s in inside),
        latest=tuple(latest),
    )


def unread(file: str, problem: str) -> CalendarTimes:
    """What is known of a file that cannot be read."""
    return CalendarTimes(file, problem=problem)
