"""When a watchdog was confirmed: by the change between our own readings, never by two clocks kept by nobody."""

from __future__ import annotations

from adapters.monitors.watchdog import Confirmations, clock_of
from state.units import utc_since

WALL = 1_795_460_000.0
WITHIN = 300.0


def test_a_slow_clock_that_moves_on_confirms() -> None:
    seen = Confirmations()
    assert seen.take("dog", WALL - 600, WALL, 100.0) == -500.0  # ten minutes old, as far as is known
    assert seen.take("dog", WALL - 597, WALL + 3, 103.0) == 100.0
    assert seen.take("dog", WALL - 597, WALL + 6, 106.0) == 100.0


def test_a_time_in_the_future_that_stands_still_never_confirms() -> None:
    seen = Confirmations()
    later = WALL + 4 * 3600
    for passed in range(0, 6 * 3600, 60):  # our clock goes past that time, which proves no more than before
        assert seen.take("dog", later, WALL + passed, float(passed)) is None


def test_a_fast_clock_that_moves_on_confirms() -> None:
    seen = Confirmations()
    assert seen.take("dog", WALL + 3600, WALL, 100.0) is None
    assert seen.take("dog", WALL + 3660, WALL + 60, 160.0) == 100.0


def test_a_watchdog_that_stands_still_is_confirmed_no_later_than_it_was() -> None:
    seen = Confirmations()
    assert [seen.take("dog", WALL - 10, WALL + passed, 100.0 + passed) for passed in (0.0, 500.0)] == [90.0, 90.0]


def test_two_that_stand_still_behind_one_address_are_no_progress() -> None:
    seen = Confirmations()
    told = [seen.take("dog", WALL - 600 + turn % 2, WALL + turn, 100.0 + turn) for turn in range(600)]
    assert max(at for at in told[2:] if at is not None) <= 100.0


def test_a_change_during_a_long_gap_is_as_old_as_the_clock_says_or_the_gap() -> None:
    seen = Confirmations()
    seen.take("dog", WALL, WALL, 0.0)
    assert seen.take("dog", WALL + 3590, WALL + 3600, 3600.0) == 3590.0
    assert seen.take("dog", WALL + 20_000, WALL + 7200, 7200.0) == 3600.0


def test_an_alert_that_is_no_more_is_forgotten() -> None:
    seen = Confirmations()
    seen.take("dog", WALL + 60, WALL, 0.0)
    seen.keep(set())
    assert seen.take("dog", WALL + 120, WALL, 1.0) is None


def test_the_clock_of_the_source_is_in_its_answer() -> None:
    assert clock_of("Fri, 27 Nov 2026 02:00:00 GMT", WALL) == 1795744801.0
    assert (clock_of("", WALL), clock_of("soon", WALL)) == (WALL, WALL)


def test_an_alert_of_three_days_ago_has_its_date_and_no_time_is_unknown() -> None:
    now = 1795744800.0
    assert utc_since(now - 3600, now) == "01:00:00Z"
    assert utc_since(now - 3 * 86_400, now) == "2026-11-24 02:00:00Z"
    assert utc_since(-62135596800.0, now) == "unknown"
