"""When a watchdog alert was last confirmed, by our monotonic clock: the source's clock need not agree with ours."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

DATE_STEP = 1.0
"""Seconds: an answer's field `Date` has whole seconds."""


@dataclass(slots=True)
class _WatchdogTimes:
    """One alert as it was read last: its time now and at most (the source's epoch seconds), and when it was read and
    confirmed (our monotonic seconds)."""

    updated: float
    newest: float
    read: float
    confirmed: float | None


class Confirmations:
    """The progress of watchdog alerts over the readings of one source.

    A time that has moved on since our last reading was confirmed after it. Only a time that is seen for the first time
    is compared with a clock, the source's own where its answer tells it; a time ahead of that clock proves nothing.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _WatchdogTimes] = {}

    def take(self, fingerprint: str, updated: float, clock: float, now: float) -> float | None:
        """When this alert, updated at a time by the source's clock, was confirmed (monotonic seconds), if at all.

        `clock` is the source's time now as well as it is known, `now` our monotonic time.
        """
        last = self._seen.get(fingerprint)
        confirmed = last.confirmed if last is not None else None
        proofs = [] if confirmed is None else [confirmed]
        if last is not None and updated > last.newest:
            proofs.append(last.read)
        if (last is None or updated != last.updated) and updated <= clock:
            proofs.append(now - (clock - updated))
        newest = updated if last is None else max(updated, last.newest)
        progress = _WatchdogTimes(updated, newest, now, max(proofs, default=None))
        self._seen[fingerprint] = progress
        return progress.confirmed

    def keep(self, fingerprints: set[str]) -> None:
        """Forget the alerts that are no more."""
        self._seen = {name: self._seen[name] for name in fingerprints & self._seen.keys()}


def clock_of(date: str, wall: float) -> float:
    """The source's time by its answer, at most (epoch seconds); without a usable one ours."""
    try:
        return parsedate_to_datetime(date).timestamp() + DATE_STEP
    except ValueError:
        return wall
