"""Answers of real components by which a failing service was said to pass, and figures in other units."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydantic import ValidationError

from adapters.monitors.exposition import Exposition
from adapters.monitors.figures import Naming, TimeUnit
from adapters.monitors.scrape import tally_of
from state.estate.model import Objectives
from state.health import Health
from state.verdicts.figures import judge_traffic
from state.world.readings import Lack, Scraping, ServiceTraffic

SCRAPED = Scraping(1.0, 10.0, 10.0, 0.0)
Line = Callable[[int], str]


def counted(ok: float, bad: float, started: float | None = None) -> str:
    start = "" if started is None else f"process_start_time_seconds {started}\n"
    return (
        f'{start}http_requests_total{{service="ok",code="200"}} {int(ok)}\n'
        f'http_requests_total{{service="ok",code="500"}} {int(bad)}\n'
    )


def polls(page: Line, seconds: int, naming: Naming | None = None) -> Iterator[ServiceTraffic]:
    """The figures at every poll of a page that changes with the second."""
    naming = naming or Naming()
    answers = Exposition(naming, ("ok",), 10.0)
    for second in range(seconds):
        answers.take(page(second).encode(), float(second))
        answers.forget(float(second))
        yield tally_of(answers).traffic({"ok": SCRAPED}, naming)["ok"]


def verdicts(page: Line, seconds: int) -> list[Health]:
    return [judge_traffic(seen, Objectives())[0] for seen in polls(page, seconds)]


def replicas(turns: int, bases: tuple[float, float], *, starts: bool) -> Line:
    """Two processes behind one address, the other one after so many answers; a fifth of the requests of each fails."""

    def page(second: int) -> str:
        which = second // turns % 2
        started = (1_700_000_000.0, 1_700_000_900.0)[which] if starts else None
        return counted(bases[which] + 40 * second, 100 + 10 * second, started)

    return page


@pytest.mark.parametrize("turns", [1, 7, 10])
@pytest.mark.parametrize("bases", [(1_000_000, 900_000), (1_000_000, 50_000)])
@pytest.mark.parametrize("starts", [True, False])
def test_s01_two_replicas_behind_one_address(turns: int, bases: tuple[float, float], starts: bool) -> None:
    said = list(polls(replicas(turns, bases, starts=starts), 120))
    known = 0 if starts or turns > 1 else 3  # two answers without a start time may be those of one busy process
    assert Health.PASS not in [judge_traffic(seen, Objectives())[0] for seen in said[known:]]
    later = said[3 * turns + 1 :]
    assert {seen.lack for seen in later} <= ({Lack.SEVERAL} if turns > 1 else {Lack.SEVERAL, Lack.FALLS})
    if turns > 1:
        assert "scrape each instance by its own address" in judge_traffic(later[-1], Objectives())[1]


@pytest.mark.parametrize("starts", [True, False])
@pytest.mark.parametrize("life", [4, 5, 11])
def test_11_a_crash_loop_has_the_figures_of_its_lives(starts: bool, life: int) -> None:
    """By what it counted since each start, as Prometheus does."""

    def page(second: int) -> str:
        spent, born = second % life + 0.5, 1_700_000_000.0 + second // life * life
        return counted(40 * spent, 10 * spent, born if starts else None)

    assert set(verdicts(page, 60)[2:]) == {Health.FAIL}


def test_one_restart_after_a_long_life_is_no_other_process() -> None:
    """Also without a start time, when its first requests come at once."""

    def page(second: int) -> str:
        spent = second + 20_000 if second < 15 else second - 14
        return counted(50 * spent + (200 if second >= 15 else 0), 0)

    assert set(verdicts(page, 40)[1:]) == {Health.PASS}


def test_a_start_time_that_is_computed_anew_is_the_same_process() -> None:
    said = verdicts(lambda second: counted(50 * second, 0, 1_700_000_000.0 + second % 2), 30)
    assert set(said[1:]) == {Health.PASS}


def test_s02_each_failure_is_a_new_series() -> None:
    def page(second: int) -> str:
        bad = 10 * second
        good = f'http_requests_total{{service="ok",code="200",path="/pay"}} {1000 + 40 * second}\n'
        each = (
            f'http_requests_total{{service="ok",code="500",path="/pay/{n}"}} 1\n' for n in range(max(0, bad - 500), bad)
        )
        return good + "".join(each)

    said = list(polls(page, 90))[1:]
    assert {judge_traffic(seen, Objectives())[0] for seen in said} == {Health.FAIL}
    assert [said[-1].rate, said[-1].error_ratio] == [pytest.approx(50), pytest.approx(0.2)]


def test_what_appears_with_the_requests_of_its_former_life_is_not_counted_anew() -> None:
    """A series that comes from elsewhere, such as a page that joins those of others."""
    moved = 'http_requests_total{service="ok",code="200",pod="b"} 900000\n'
    (*_, seen) = polls(lambda second: counted(40 * second, 10 * second) + (moved if second > 5 else ""), 12)
    assert seen.error_ratio == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("durations", "unit", "p99"),
    [
        ("http_server_duration_milliseconds_bucket", None, 0.05),
        ("http_server_duration_ms_bucket", None, 0.05),
        ("rq_time_bucket", "ms", 0.05),
        ("rq_time_bucket", None, None),
        ("rq_seconds_bucket", None, 50.0),
        ("rq_seconds_bucket", "us", 50e-6),
    ],
)
def test_s04_durations_have_the_unit_of_their_name_or_of_the_estate(
    durations: str, unit: str | None, p99: float | None
) -> None:
    def page(second: int) -> str:
        n = 50 * second
        bounds = "".join(
            f'{durations}{{service="ok",le="{le}"}} {n if le != "25" else 0}\n' for le in ("25", "50", "+Inf")
        )
        return counted(n, 0) + bounds

    naming = Naming(durations=durations, unit=None if unit is None else TimeUnit(unit))
    (*_, seen) = polls(page, 5, naming)
    assert seen.p99 == (None if p99 is None else pytest.approx(p99, rel=0.02))
    verdict, message = judge_traffic(seen, Objectives(p99=0.3))
    if p99 is None:
        assert (verdict, message) == (
            Health.UNKNOWN,
            "p99 unknown: the name of its histogram tells no unit: set `unit` of the monitor",
        )
    else:
        assert verdict is (Health.WARN if p99 > 0.3 else Health.PASS)


@pytest.mark.parametrize(
    ("requests", "kind", "lack"),
    [
        ("odd_rate", "", Lack.NO_COUNTER),
        ("odd_rate", "# TYPE odd_rate untyped\n", Lack.NO_COUNTER),
        ("odd_rate", "# TYPE odd_rate counter\n", Lack.NO_COUNTER),
        ("odd_rate_total", "", Lack.NO_COUNTER),
    ],
)
def test_10_a_rate_that_rises_is_no_counter_though_it_is_called_one(requests: str, kind: str, lack: Lack) -> None:
    def page(second: int) -> str:
        return f'{kind}{requests}{{service="ok",code="200"}} {10 + second / 60}\n'

    (*_, seen) = polls(page, 12, Naming(requests=requests))
    assert seen.lack is lack


def test_11_a_request_that_is_reported_twice_is_counted_as_the_estate_chooses() -> None:
    def page(second: int) -> str:
        both = (("source", 100 * second), ("destination", 90 * second))
        rows = (f'http_requests_total{{service="ok",code="200",reporter="{who}"}} {n}\n' for who, n in both)
        return "".join(rows)

    for reporters, rate in (((), 190.0), (("destination",), 90.0), (("source", "destination"), 190.0), (("x",), None)):
        naming = Naming(labels={"reporter": reporters} if reporters else {})
        (*_, seen) = polls(page, 5, naming)
        assert seen.rate == rate


@pytest.mark.parametrize("label", ['env="x"} or up{a', "le", "service", "code", ""])
def test_11_labels_that_cannot_choose_a_whole_are_refused(label: str) -> None:
    with pytest.raises(ValidationError):
        Naming.model_validate({"labels": {label: ["prod"]}})


@pytest.mark.parametrize("values", [[], [""], "prod"])
def test_11_labels_have_at_least_one_value(values: object) -> None:
    with pytest.raises(ValidationError):
        Naming.model_validate({"labels": {"env": values}})


@pytest.mark.parametrize("bad", [0, 1])
def test_14_few_requests_have_the_same_verdict_at_every_poll(bad: int) -> None:
    """One request in 20 s, of which all fail or none does."""

    def page(second: int) -> str:
        return counted(100 + second // 20 * (1 - bad), 100 + second // 20 * bad)

    said = list(polls(page, 400))[21:]
    assert {judge_traffic(seen, Objectives())[0] for seen in said} == {Health.FAIL if bad else Health.PASS}
    assert said[-1].rate == pytest.approx(1 / 20, rel=0.2)


def test_14_failures_of_few_requests_leave_with_the_requests_that_are_enough() -> None:
    def page(second: int) -> str:
        return counted(max(0, second - 100) // 20, min(second, 100) // 20)

    said = verdicts(page, 400)
    assert said[100] is Health.FAIL
    assert set(said[300:]) == {Health.PASS}


def test_14_many_requests_keep_their_window() -> None:
    """What failed more than a window ago is no part of it."""

    def page(second: int) -> str:
        return counted(10 * second, 10 * min(second, 30))

    said = list(polls(page, 60))
    assert said[30].error_ratio == pytest.approx(0.5)
    assert [said[42].rate, said[42].error_ratio] == [10.0, 0.0]


def test_14_a_service_without_requests_for_long_has_none() -> None:
    said = list(polls(lambda second: counted(100 + min(second, 40) // 20, 0), 400))
    assert said[50].rate != 0.0
    assert said[-1].rate == 0.0


def test_14_a_window_that_is_given_rules() -> None:
    naming = Naming(window=10.0)
    said = list(polls(lambda second: counted(100 + second // 20, 0), 60, naming))
    assert 0.0 in [seen.rate for seen in said[2:]]


@pytest.mark.parametrize(
    ("usual", "window"), [(0.0, 10.0), (50.0, 10.0), (0.7, 30.0), (0.1, 120.0), (0.05, 300.0), (1e-4, 300.0)]
)
def test_14_the_window_holds_enough_requests_up_to_five_minutes(usual: float, window: float) -> None:
    assert Naming().scraping(1.0, None, usual).window == window
    assert Naming(window=20.0).scraping(1.0, None, usual).window == 20.0
