"""A real Prometheus that has the estate's series at every usual pace among 50,000 others: right figures, or the reason
why there is none, from queries that are about the estate's services only."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.monitors import prometheus
from state.errors import ReadFailure
from state.estate.model import Objectives, Polling
from state.health import Health
from state.units import short_duration
from state.verdicts.figures import judge_traffic, scraping_note
from state.world.readings import Lack, MetricsReading, MissingTarget, ServiceTraffic
from state.world.shapes import misfit
from tests.contract.histories import FOREIGN, SECONDS_OF_PACE, PastPrometheus, ServiceHistory, remembering

OBJECTIVES = Objectives(error_ratio=0.2, p99=0.3)
SELECTOR = re.compile(r"\b(http_\w+|up|process_start_time_seconds)(\{[^}]*\}|)")
OF_TARGETS = ("up", "process_start_time_seconds")
EVERY = [pytest.param(float(seconds), id=f"{seconds}s") for seconds in SECONDS_OF_PACE]


def limit(every: float) -> float:
    """The age in seconds at which a sample is too old."""
    return max(10.0, 2.5 * every)


HISTORY = [
    *(ServiceHistory(f"steady-{each}", each, instance=f"steady-{each}:1") for each in SECONDS_OF_PACE),
    *(
        ServiceHistory(f"old-{each}", each, last=-1.0 - limit(each), instance=f"old-{each}:1")
        for each in SECONDS_OF_PACE
    ),
    *(ServiceHistory(f"late-{each}", each, last=-1.1 * each, instance=f"late-{each}:1") for each in (60, 300)),
    ServiceHistory("half", 15, instance="half:1"),
    ServiceHistory("half", 15, instance="half:2", last=-300.0),
    ServiceHistory("gone", 15, instance="gone:1", last=-1800.0),
    ServiceHistory("single", 15, instance="single:1", first=-5.0, last=-5.0, stays_up=True),
    ServiceHistory("restarted", 15, instance="restarted:1", reset=-40.0),
    ServiceHistory("broken", 15, instance="broken:1", value="NaN"),
    ServiceHistory("unused", 15, instance="unused:1", value="7"),
]


@pytest.fixture(scope="module")
def past() -> Iterator[PastPrometheus]:
    folder = Path(tempfile.mkdtemp(prefix="rp-", dir="/tmp"))
    try:
        with remembering(folder, HISTORY) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def read(past: PastPrometheus, *services: str, **options: Any) -> MetricsReading:
    """The first answer that comes in time, with what is remembered of the last hour in its `past`."""
    context = AdapterContext(Path("/tmp"), Polling(), watched={"prom": services})
    made = prometheus.OPTIONS.model_validate({"kind": "prometheus", "url": past.url, **options})
    (source,) = prometheus.build("prom", made, context)
    end = time.monotonic() + 120
    try:
        while True:
            try:
                reading = await source.read()
            except ReadFailure:
                assert time.monotonic() < end, "it never answers in time"
            else:
                assert isinstance(reading, MetricsReading)
                return reading
            await asyncio.sleep(0.2)
    finally:
        await source.close()


async def figures(past: PastPrometheus, service: str, **options: Any) -> ServiceTraffic:
    return (await read(past, service, **options)).services[service]


@pytest.mark.parametrize("every", EVERY)
async def test_figures_are_right_at_every_pace(past: PastPrometheus, every: float) -> None:
    seen = await figures(past, f"steady-{every:g}")
    assert (seen.lack, seen.missing) == (None, ())
    assert seen.rate == pytest.approx(100, rel=0.02)
    assert seen.error_ratio == pytest.approx(0.1, rel=0.02)
    assert seen.p99 == pytest.approx(0.296, rel=0.01)
    assert seen.scraping is not None
    assert seen.scraping.interval == pytest.approx(every, rel=0.01)
    assert seen.scraping.window == pytest.approx(max(10.0, 4 * every), rel=0.01)
    assert seen.scraping.limit == pytest.approx(limit(every), rel=0.01)
    assert seen.scraping.age is not None
    assert 0 <= seen.scraping.age <= every + 1
    assert judge_traffic(seen, OBJECTIVES) == (Health.PASS, "")
    assert scraping_note(seen.scraping) == ""


async def test_all_paces_at_once_each_with_its_own_window(past: PastPrometheus) -> None:
    names = [f"steady-{each}" for each in SECONDS_OF_PACE]
    seen = (await read(past, *names)).services
    paces = [each.scraping for each in seen.values() if each.scraping is not None]
    assert sorted(round(each.window) for each in paces) == [10, 60, 240, 1200]
    assert [each.rate for each in seen.values()] == [pytest.approx(100, rel=0.02)] * 4


@pytest.mark.parametrize("every", EVERY)
async def test_a_window_below_two_scrapes_is_unknown_and_says_what_to_set(past: PastPrometheus, every: float) -> None:
    seen = await figures(past, f"steady-{every:g}", window=f"{0.66 * every:.2f}s")
    verdict, message = judge_traffic(seen, OBJECTIVES)
    pace, better = short_duration(every), short_duration(4 * every)
    assert (verdict, seen.rate, seen.lack) == (Health.UNKNOWN, None, Lack.FEW_SAMPLES)
    assert message.endswith(f"holds fewer than two samples of a {pace} scrape: set `window: {better}` or more")


@pytest.mark.parametrize("every", EVERY)
async def test_a_window_of_few_scrapes_has_figures_and_a_note(past: PastPrometheus, every: float) -> None:
    seen = await figures(past, f"steady-{every:g}", window=f"{2.5 * every:g}s")
    assert seen.rate == pytest.approx(100, rel=0.02)
    assert seen.scraping is not None
    assert "holds only 2 samples" in scraping_note(seen.scraping)


@pytest.mark.parametrize("every", EVERY)
async def test_samples_beyond_the_limit_are_no_figures(past: PastPrometheus, every: float) -> None:
    seen = await figures(past, f"old-{every:g}")
    verdict, message = judge_traffic(seen, OBJECTIVES)
    assert (verdict, seen.rate, seen.lack) == (Health.UNKNOWN, None, Lack.OLD)
    assert message.startswith(
        f"its newest sample is over {short_duration(limit(every))} old, scraped every {short_duration(every)}"
    )


@pytest.mark.parametrize("every", [60.0, 300.0])
async def test_one_scrape_that_failed_takes_nothing_away(past: PastPrometheus, every: float) -> None:
    """At five minutes the last sample lies beyond what Prometheus itself looks back for an instant."""
    seen = await figures(past, f"late-{every:g}")
    assert seen.error_ratio == pytest.approx(0.1, rel=0.02)
    assert seen.rate == pytest.approx(100, rel=0.25)  # Prometheus' `rate` does not reach that far beyond a sample
    assert seen.scraping is not None
    assert seen.scraping.age is not None
    assert every < seen.scraping.age < limit(every)


async def test_a_service_without_series_among_all_the_others_says_so(past: PastPrometheus) -> None:
    seen = await figures(past, "absent")
    verdict, message = judge_traffic(seen, OBJECTIVES)
    assert (verdict, seen.lack) == (Health.UNKNOWN, Lack.NO_SERIES)
    assert message.startswith("no series counts its requests: check `requests`")


async def test_the_target_that_fails_is_named_and_the_figures_are_those_of_the_rest(past: PastPrometheus) -> None:
    seen = await figures(past, "half")
    assert seen.rate == pytest.approx(100, rel=0.05)
    (lost,) = seen.missing
    assert (replace(lost, since=None), seen.targets) == (MissingTarget("app half:2", True, lack=Lack.DOWN), 2)
    assert lost.since is not None
    gone = await figures(past, "gone")
    verdict, message = judge_traffic(gone, OBJECTIVES)
    assert verdict is Health.UNKNOWN
    assert re.fullmatch(r"no target that .* its requests; without app gone:1 \(silent .*Z, its scrapes fail\)", message)


async def test_one_sample_a_restart_and_what_is_no_number(past: PastPrometheus) -> None:
    seen = (await read(past, "single", "restarted", "broken")).services
    assert judge_traffic(seen["single"], OBJECTIVES) == (Health.UNKNOWN, "fewer than two samples yet")
    assert seen["restarted"].rate is not None
    assert 50 < seen["restarted"].rate <= 101
    assert seen["restarted"].error_ratio == pytest.approx(0.1, rel=0.05)
    assert (seen["broken"].rate, seen["broken"].lack) == (None, Lack.NOT_A_NUMBER)


async def test_the_last_hour_is_there_at_every_pace(past: PastPrometheus) -> None:
    steady = tuple(f"steady-{n}" for n in SECONDS_OF_PACE)
    context = AdapterContext(Path("/tmp"), Polling(), watched={"prom": (*steady, "unused")})
    (source,) = prometheus.build("prom", prometheus.OPTIONS(kind="prometheus", url=past.url), context)
    found: dict[str, Any] = {}
    end = time.monotonic() + 120
    while not found.keys() >= {*steady, "unused"}:
        assert time.monotonic() < end, found.keys()
        await asyncio.sleep(0.2)
        try:
            reading = await source.read()
        except ReadFailure:
            continue
        assert isinstance(reading, MetricsReading)
        assert misfit(reading) is None, "what is no number is no figure, and closes no other one"
        found.update(reading.past)
    await source.close()
    assert {figures[1:] for figures in found.pop("unused")} == {(None, 0.0, None)}, (
        "of no request there is no percentile"
    )
    for points in found.values():
        assert len(points) > 60
        _, ratio, rate, p99 = points[-1]
        assert (ratio, rate) == (pytest.approx(0.1, rel=0.02), pytest.approx(100, rel=0.02))
        assert p99 == pytest.approx(0.296, rel=0.01)


async def test_no_question_touches_the_others(past: PastPrometheus) -> None:
    """By Prometheus' own count: a question about one of the metrics as a whole has half of the others in memory."""
    await read(past, *(f"steady-{each}" for each in SECONDS_OF_PACE), "absent", "half")
    asked = past.asked()
    assert {"query", "query_range"} >= {each["httpRequest"]["path"].rpartition("/")[2] for each in asked}
    for each in asked:
        query = each["params"]["query"]
        selectors = SELECTOR.findall(query)
        assert selectors, query
        assert all("service=" in labels or (name in OF_TARGETS and "instance=" in labels) for name, labels in selectors)
        assert each["stats"]["samples"]["peakSamples"] < FOREIGN / 2, query
