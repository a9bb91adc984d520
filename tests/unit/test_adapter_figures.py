"""Rates, shares and quantiles as Prometheus defines them, and what counts as no data."""

from __future__ import annotations

import math

import pytest

from adapters.monitors.exposition import Exposition
from adapters.monitors.figures import Naming, Tally
from adapters.monitors.histograms import Percentile, quantile
from adapters.monitors.scrape import tally_of
from state.errors import ReadFailure
from state.estate.model import Objectives
from state.health import Health
from state.verdicts.figures import judge_traffic
from state.world.readings import Lack, Scraping, ServiceTraffic

INF = math.inf
SCRAPED = Scraping(1.0, 10.0, 10.0, 0.0)


@pytest.mark.parametrize(
    ("buckets", "value", "beyond", "lack"),
    [
        ({0.1: 50.0, 0.2: 100.0, INF: 100.0}, 0.198, False, None),
        ({0.1: 100.0, INF: 100.0}, 0.099, False, None),
        ({0.1: 99.0, INF: 100.0}, 0.1, False, None),
        ({0.1: 98.9, INF: 100.0}, 0.1, True, None),
        ({0.1: 10.0, 0.2: 10.0, INF: 100.0}, 0.2, True, None),
        ({0.1: 90.0, 0.2: 80.0, INF: 100.0}, 0.2, True, None),
        ({0.1: 0.0, INF: 0.0}, None, False, None),
        ({0.1: 5.0}, None, False, Lack.NO_INF),
        ({0.1: 40.0, 1.0: 40.0, INF: 0.0}, None, False, Lack.UNEVEN),
        ({0.1: 102.0, INF: 100.0}, None, False, Lack.UNEVEN),
        ({INF: 5.0}, None, False, Lack.ONLY_INF),
        ({}, None, False, Lack.NO_BUCKETS),
        ({0.1: math.nan, INF: 100.0}, None, False, Lack.NOT_A_NUMBER),
        ({math.nan: 1.0, INF: 100.0}, None, False, Lack.NOT_A_NUMBER),
    ],
)
def test_quantile_follows_histogram_quantile(
    buckets: dict[float, float], value: float | None, beyond: bool, lack: Lack | None
) -> None:
    found = quantile(0.99, buckets)
    assert found == Percentile(None if value is None else pytest.approx(value), beyond, lack)


def page(*counters: str) -> bytes:
    head = ["# HELP http_requests_total All.", "# TYPE http_requests_total counter", 'other{service="checkout"} 9']
    return "\n".join([*head, *counters, ""]).encode()


def requests(value: float, code: str = "200", release: str = "v1", service: str = "checkout") -> str:
    return f'http_requests_total{{service="{service}",release="{release}",code="{code}"}} {value}'


def bucket(le: str, value: float, release: str = "v1") -> str:
    labels = f'service="checkout",release="{release}",le="{le}"'
    return f"http_request_duration_seconds_bucket{{{labels}}} {value}"


def traffic(*pages: bytes, every: float = 1.0, service: str = "checkout") -> ServiceTraffic:
    answers = Exposition(Naming(), (service,), 10.0)
    for turn, each in enumerate(pages):
        answers.take(each, turn * every)
    answers.forget((len(pages) - 1) * every)
    return tally_of(answers).traffic({service: SCRAPED}, Naming())[service]


def summed(targets: list[Exposition]) -> Tally:
    """The rates over several targets, as the adapter adds them up."""
    tally = Tally()
    for answers in targets:
        tally.add(tally_of(answers), answers.services())
    return tally


def test_rate_is_increase_per_second() -> None:
    seen = traffic(page(requests(100)), page(requests(110)), page(requests(130)))
    assert (seen.rate, seen.error_ratio) == (15.0, 0.0)
    assert [(r.release, r.rate, r.error_ratio) for r in seen.releases] == [("v1", 15.0, 0.0)]


def test_a_restarted_server_counts_from_zero() -> None:
    assert traffic(page(requests(1000)), page(requests(1010)), page(requests(6))).rate == 8.0


@pytest.mark.parametrize("turns", [3, 15])
@pytest.mark.parametrize("many", [1, 100])
def test_sym_a_series_that_is_on_some_pages_only_counts_what_it_grew(turns: int, many: int) -> None:
    """After servo#146: the failures, a fifth of all requests, stand on every page of so many."""
    answers = Exposition(Naming(), ("checkout",), 10.0)
    ratios = []
    for turn in range(5 * turns):
        failed = [requests(100_000 + many * turn, "500")] if turn % turns == 0 else []
        answers.take(page(requests(100_000 + 4 * many * turn), *failed), float(turn))
        answers.forget(float(turn))
        seen = tally_of(answers).traffic({"checkout": SCRAPED}, Naming())["checkout"]
        if turn > 2 * turns and failed:
            ratios.append(seen.error_ratio)
    assert len(ratios) == 2
    assert all(ratio is not None and 0.1 < ratio < 0.4 for ratio in ratios)


def test_only_the_window_counts() -> None:
    seen = traffic(*(page(requests(value)) for value in (0, 1000, 1010, 1020)), every=5.0)
    assert seen.rate == 2.0


def test_no_5xx_series_is_zero_and_no_requests_is_no_data() -> None:
    assert traffic(page(requests(1)), page(requests(5))).error_ratio == 0.0
    idle = traffic(page(requests(5)), page(requests(5)))
    assert (idle.rate, idle.error_ratio, idle.p99) == (0.0, None, None)
    first = traffic(page(requests(5)))
    assert (first.rate, first.error_ratio, first.releases, first.lack) == (None, None, (), Lack.FEW_SAMPLES)


def test_errors_are_the_5xx_of_their_release() -> None:
    before = page(requests(0), requests(0, "500", "v2"), requests(0, "200", "v2"), requests(0, "404"))
    after = page(requests(50), requests(20, "500", "v2"), requests(20, "200", "v2"), requests(10, "404"))
    seen = traffic(before, after)
    assert seen.rate == 100.0
    assert seen.error_ratio == pytest.approx(0.2)
    assert [(r.release, r.error_ratio) for r in seen.releases] == [("v1", 0.0), ("v2", 0.5)]


def test_latency_comes_from_the_buckets_increase() -> None:
    before = page(requests(0), bucket("0.1", 1000), bucket("0.5", 1000), bucket("+Inf", 1000))
    after = page(requests(100), bucket("0.1", 1000), bucket("0.5", 1100), bucket("+Inf", 1100))
    seen = traffic(before, after)
    assert seen.p99 == pytest.approx(0.496)
    assert seen.releases[0].p99 == pytest.approx(0.496)


def test_targets_are_summed() -> None:
    both = []
    for start in (0, 100):
        answers = Exposition(Naming(), ("checkout",), 10.0)
        answers.take(page(requests(start)), 0.0)
        answers.take(page(requests(start + 10)), 1.0)
        both.append(answers)
    assert summed(both).traffic({"checkout": SCRAPED}, Naming())["checkout"].rate == 20.0


def test_labels_are_unescaped_and_timestamps_passed_over() -> None:
    odd = r'http_requests_total{service="a\"}\\b\nc",release="v",code="200"} '
    seen = traffic((odd + "1 1700000000000\n").encode(), (odd + "3 1700000001000\n").encode(), service='a"}\\b\nc')
    assert seen.rate == 2.0


@pytest.mark.parametrize(
    "line", ["http_requests_total{x", 'http_requests_total{service="a"} ', "http_requests_total{} y"]
)
def test_a_wanted_line_that_does_not_read_is_no_reading(line: str) -> None:
    with pytest.raises(ReadFailure):
        Exposition(Naming(), ("a",), 10.0).take(line.encode(), 0.0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_trap_12_counters_that_are_no_number_were_not_seen(value: float) -> None:
    answers = Exposition(Naming(), ("checkout",), 10.0)
    answers.take(page(requests(1)), 0.0)
    answers.take(page(requests(value)), 1.0)
    seen = tally_of(answers).traffic({"checkout": SCRAPED}, Naming())["checkout"]
    assert (seen.rate, seen.error_ratio, seen.lack) == (None, None, Lack.NOT_A_NUMBER)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_counter_that_is_no_number_leaves_no_figure_of_the_others(value: float) -> None:
    seen = traffic(page(requests(1), requests(0, "500")), page(requests(9), requests(value, "500")))
    assert (seen.rate, seen.error_ratio, seen.lack) == (None, None, Lack.NOT_A_NUMBER)


def test_bounds_are_numbers_however_they_are_spelt() -> None:
    before = page(requests(0), bucket("0.5", 0), bucket("1", 0), bucket("+Inf", 0))
    after = page(requests(100), bucket("0.50", 0), bucket("1.0", 100), bucket("+Inf", 100))
    both = []
    for odd in (before.replace(b'le="1"', b'le="1.0"').replace(b'le="0.5"', b'le="0.50"'), before):
        answers = Exposition(Naming(), ("checkout",), 10.0)
        answers.take(odd, 0.0)
        answers.take(after if b"0.50" in odd else after.replace(b"0.50", b"0.5").replace(b"1.0", b"1"), 1.0)
        both.append(answers)
    seen = summed(both).traffic({"checkout": SCRAPED}, Naming())["checkout"]
    assert (seen.p99, seen.p99_beyond) == (pytest.approx(0.995), False)


def test_a_p99_beyond_the_last_bucket_is_at_least_its_bound() -> None:
    before = page(requests(0), bucket("0.1", 0), bucket("0.25", 0), bucket("+Inf", 0))
    after = page(requests(100), bucket("0.1", 10), bucket("0.25", 50), bucket("+Inf", 100))
    seen = traffic(before, after)
    assert (seen.p99, seen.p99_beyond, seen.releases[0].p99_beyond) == (0.25, True, True)
    for limit, health in ((0.1, Health.WARN), (0.25, Health.WARN), (0.3, Health.UNKNOWN), (10.0, Health.UNKNOWN)):
        found, message = judge_traffic(seen, Objectives(p99=limit))
        assert (found, "p99 ≥ 250 ms" in message) == (health, True)


def coded(values: dict[str, float], label: str = "code", more: str = "") -> bytes:
    lines = []
    for value, count in values.items():
        code = f',{label}="{value}"' if value else ""
        lines.append(f'http_requests_total{{service="checkout"{more}{code}}} {count}\n')
    return "".join(lines).encode()


@pytest.mark.parametrize(
    ("options", "codes", "ratio", "message"),
    [
        ({}, ["200", "302"], 0.0, ""),
        ({}, ["2xx", "5xx"], 0.5, ""),
        ({}, ["200", "503"], 0.5, ""),
        ({}, [""], None, "no label `code`"),
        ({}, ["200", ""], None, "no label `code`"),
        ({}, ["200", "Unavailable"], None, "no HTTP status"),
        ({"code": "grpc_code"}, ["OK", "Unavailable"], None, "set `errors` or `code`"),
        ({"code": "grpc_code", "errors": ("Unavailable",)}, ["OK", "Unavailable"], 0.5, ""),
        ({"code": "grpc_code", "errors": ("Unavailable",)}, ["OK", ""], None, "no label `grpc_code`"),
        ({"code": "grpc_status"}, ["2"], None, "no HTTP status"),
        ({"code": "response_code_class"}, ["2", "5"], 0.5, ""),
        ({"code": "response_code_class"}, ["2"], 0.0, ""),
        ({"code": "response_code_class"}, ["2", "0"], None, "no HTTP status"),
    ],
)
def test_the_error_ratio_is_known_only_where_every_request_tells_its_outcome(
    options: dict[str, object], codes: list[str], ratio: float | None, message: str
) -> None:
    naming = Naming.model_validate(options)
    answers = Exposition(naming, ("checkout",), 10.0)
    for turn in range(2):
        answers.take(coded(dict.fromkeys(codes, 10.0 * turn), naming.code), float(turn))
    seen = tally_of(answers).traffic({"checkout": SCRAPED}, naming)["checkout"]
    health, found = judge_traffic(seen, Objectives())
    assert (seen.error_ratio, [each.error_ratio for each in seen.releases]) == (ratio, [ratio])
    assert message in found
    assert health is (Health.UNKNOWN if ratio is None else Health.FAIL if ratio else Health.PASS)


def test_series_without_requests_do_not_hide_the_ratio_of_the_others() -> None:
    before, after = {"200": 5.0, "": 3.0}, {"200": 9.0, "": 3.0}
    assert traffic(coded(before), coded(after)).error_ratio == 0.0


def test_a_gauge_is_no_counter_of_requests() -> None:
    seen = traffic(*(page(requests(value)) for value in (50, 48, 55, 51, 53, 50)))
    assert (seen.rate, seen.error_ratio, seen.lack) == (None, None, Lack.FALLS)
    assert "no counter" in judge_traffic(seen, Objectives())[1]
    gauge = page(requests(5)).replace(b"total counter", b"total gauge")
    with pytest.raises(ReadFailure, match="is a gauge"):
        Exposition(Naming(), ("checkout",), 10.0).take(gauge, 0.0)
