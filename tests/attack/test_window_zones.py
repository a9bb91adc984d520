"""Windows around changes of the clocks, in zones that change them oddly: every instant that shows a beginning protects
for the whole duration after it. Held against a search of quarters of an hour that knows nothing of cron."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from state.estate.windows import WindowEntry
from state.verdicts.windows import open_now

QUARTER = 900
ZONES = (
    *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns"),
    *("Europe/Dublin", "Antarctica/Troll", "America/Sao_Paulo", "Asia/Tehran", "Pacific/Apia"),
)
BEGIN, UNTIL = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2026, 2028))


def changes(zone: ZoneInfo) -> list[int]:
    """The hours in which its clocks change, and one of no meaning."""
    shown = [datetime.fromtimestamp(each, zone).utcoffset() for each in range(BEGIN, UNTIL, 3600)]
    found = [place for place, (one, other) in enumerate(pairwise(shown)) if one != other]
    return [BEGIN + 3600 * (place + 1) for place in [*found, 5000]]


def begun(zone: ZoneInfo, hour: int, minute: int, at: int, duration: int) -> bool:
    """Whether the clock has shown the beginning less than the duration ago."""
    first = at - at % QUARTER
    shown = (datetime.fromtimestamp(each, zone) for each in range(first, at - duration, -QUARTER))
    return any((each.hour, each.minute) == (hour, minute) for each in shown)


@pytest.mark.parametrize("name", ZONES)
def test_every_beginning_that_a_clock_shows_protects(name: str) -> None:
    zone, chance, protected = ZoneInfo(name), random.Random(name), 0
    for change in changes(zone):
        for _ in range(8):
            local = datetime.fromtimestamp(change + chance.randint(-6, 6) * 1800, zone)
            minute, duration = chance.choice([0, 15, 30, 45]), chance.choice([1800, 3600, 7200, 86_400])
            entry = WindowEntry(cron=f"{minute} {local.hour} * * *", zone=name, duration=duration)
            for at in range(change - 40 * QUARTER, change + 60 * QUARTER, 2 * QUARTER):
                if begun(zone, local.hour, minute, at, duration):
                    protected += 1
                    assert open_now("w", entry, at) is not None, (entry.cron, duration, at)
    assert protected > 20
