"""Times on a wall clock as instants, both ways a change of the clocks can be read.

No event is made shorter by a change of the clocks: where its beginning comes twice the first one counts, and of its end
the second one; what begins in an hour that is skipped begins when the clocks go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

DAY = 86_400.0
EARLIEST, LAST = datetime(1900, 1, 1), datetime(2200, 1, 1)
"""Between these a calendar's times are."""


@dataclass(frozen=True, slots=True)
class WallTime:
    """What the clock shows in a zone (`shown`, without one); of a `whole_day` it is midnight."""

    shown: datetime
    zone: tzinfo
    whole_day: bool = False

    def moved(self, by: timedelta) -> WallTime:
        """So much later by the clock."""
        return WallTime(self.shown + by, self.zone, self.whole_day)

    def at(self, shown: datetime) -> WallTime:
        """Another time in the same zone."""
        return WallTime(shown, self.zone, self.whole_day)


def wall_time(value: date | datetime, zone: tzinfo) -> WallTime:
    """A date or a time as a calendar has it; `zone` is for those that name none. Raises ValueError for a year that is
    out of range."""
    if isinstance(value, datetime):
        found = WallTime(value.replace(tzinfo=None), value.tzinfo or zone)
    else:
        found = WallTime(datetime(value.year, value.month, value.day), zone, whole_day=True)
    if not EARLIEST <= found.shown < LAST:
        raise ValueError(f"year {found.shown.year}")
    return found


def beginning(time: WallTime) -> float:
    """The first instant, epoch seconds, at which the clock shows it or, where that is skipped, has gone past it."""
    instants = _instants(time)
    shown = [each for each in instants if _shown(each, time.zone) == time.shown]
    return min(shown) if shown else _passed(time, min(instants), max(instants))


def ending(time: WallTime) -> float:
    """The last instant at which the clock shows it; of a skipped one that by the clock before the change."""
    instants = _instants(time)
    shown = [each for each in instants if _shown(each, time.zone) == time.shown]
    return max(shown or instants)


def _instants(time: WallTime) -> set[float]:
    """The instant by what the clock differs from UTC a day before and a day after."""
    about = time.shown.replace(tzinfo=UTC).timestamp()
    return {about - _offset(about + aside, time.zone) for aside in (-DAY, DAY)}


def _offset(instant: float, zone: tzinfo) -> float:
    """Seconds that a zone is ahead of UTC."""
    return (_shown(instant, zone).replace(tzinfo=UTC) - _utc(instant)).total_seconds()


def _shown(instant: float, zone: tzinfo) -> datetime:
    return _utc(instant).astimezone(zone).replace(tzinfo=None)


def _utc(instant: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=instant)


def _passed(time: WallTime, early: float, late: float) -> float:
    """The first whole second, after `early` and not after `late`, at which the clock shows no earlier time."""
    while late - early > 1:
        middle = float((early + late) // 2)
        early, late = (early, middle) if _shown(middle, time.zone) >= time.shown else (middle, late)
    return late
