"""Answers of Prometheus that stand still, by the server's time in them; its clock need not agree with ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.monitors.server_clock import AGREED, STEADY, ServerClock

WALL = 1_700_000_000.0
LATENCY = 0.1


def ages(told: Callable[[int], float], seconds: int) -> tuple[list[float], list[bool]]:
    """How old each answer is, asked for once a second, and whether the clock is proven by then."""
    clock, old, proven = ServerClock(), [], []
    for second in range(seconds):
        old.append(clock.take(WALL + told(second), float(second), second + LATENCY, WALL + second + LATENCY))
        proven.append(clock.proven)
    return old, proven


@pytest.mark.parametrize("differs", [0.0, 4.0, -4.0])
def test_answers_of_now_are_so_from_the_first_on(differs: float) -> None:
    old, proven = ages(lambda second: second + differs, 30)
    assert all(proven)
    assert max(old) <= LATENCY


@pytest.mark.parametrize("differs", [60.0, -60.0, 7200.0])
def test_a_clock_that_differs_is_proven_by_the_second_answer(differs: float) -> None:
    old, proven = ages(lambda second: second + differs, 30)
    assert proven == [False] + [True] * 29
    assert max(old) <= LATENCY


def test_an_answer_that_is_repeated_becomes_older_each_second() -> None:
    old, proven = ages(lambda second: float(min(second, 10)), 60)
    assert all(proven)
    assert max(old[:11]) <= LATENCY
    assert old[-1] == pytest.approx(49, abs=0.3)
    assert old == sorted(old)


@pytest.mark.parametrize("before", [AGREED + 1, 250.0])
def test_an_answer_that_is_old_at_the_start_and_repeated_is_never_proven(before: float) -> None:
    _, proven = ages(lambda _: -before, 60)
    assert not any(proven)


def test_a_cache_that_is_renewed_at_times_is_as_old_as_its_last_renewal() -> None:
    old, _ = ages(lambda second: float(second // 30 * 30), 120)
    assert [round(each) for each in old[60:90]] == [pytest.approx(each, abs=1) for each in range(30)]


def test_of_two_caches_that_alternate_the_older_is_old() -> None:
    old, _ = ages(lambda second: float(second) if second % 2 else second - 40.0, 60)
    assert all(round(each) == 40 for each in old[2::2])
    assert max(old[1::2]) <= LATENCY


def test_a_clock_that_is_set_back_is_believed_after_some_answers_in_pace() -> None:
    old, _ = ages(lambda second: second - (3600.0 if second >= 20 else 0.0), 40)
    assert all(each > 3000 for each in old[20 : 20 + STEADY])
    assert max(old[21 + STEADY :]) <= LATENCY


def test_clocks_that_drift_apart_make_no_answer_old() -> None:
    old, _ = ages(lambda second: second * (1 - 5e-4), 20_000)
    assert max(old) <= LATENCY


def test_one_answer_that_comes_late_is_not_old() -> None:
    clock = ServerClock()
    for asked, came, told in [(0.0, 0.1, 0.05), (1.0, 1.1, 1.05), (2.0, 2.9, 2.1), (3.0, 3.9, 3.9), (4.0, 4.1, 4.05)]:
        assert clock.take(WALL + told, asked, came, WALL + came) == 0.0
