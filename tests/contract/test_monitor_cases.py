"""Answers on which monitors were wrong: exemplars, compression, bare line ends, windows too short for the scrapes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.context import AdapterContext
from adapters.monitors import http, scrape
from adapters.monitors.figures import Naming
from adapters.monitors.promql import one_of
from state.errors import ReadFailure
from state.estate.model import Objectives
from state.health import Health
from state.ports.source import Source
from state.verdicts.figures import judge_traffic, scraping_note
from state.world.readings import Lack, MetricsReading, ProbeReading, ServiceTraffic
from tests.contract.web import canned

CASES = Path(__file__).parents[1] / "fixtures" / "cases"


def scraping(context: AdapterContext, url: str, service: str = "pay") -> Source:
    options = scrape.OPTIONS(kind="scrape", targets={"a": {"site": "east", "url": f"{url}/metrics"}})
    (source,) = scrape.build("apps", options, replace(context, watched={"apps": (service,)}))
    return source


@pytest.mark.parametrize("page", ["metrics-a.txt", "metrics-b.txt"])
async def test_01_exemplars_ignored_accept(context: AdapterContext, page: str) -> None:
    text = (CASES / "01-exemplars-ignored-accept" / page).read_text()
    later = text.replace(" 800", " 840").replace(" 200", " 210").replace('trace_id="', 'trace_id="f')
    async with canned({"GET /metrics": (200, text)}) as server:
        source = scraping(context, server.url)
        await source.read()
        await asyncio.sleep(0.1)
        server.answers["GET /metrics"] = (200, later)
        reading = await source.read()
        await source.close()
    assert isinstance(reading, MetricsReading)
    pay = reading.services["pay"]
    assert pay.error_ratio == pytest.approx(0.2)
    assert judge_traffic(pay, Objectives())[0] is Health.FAIL


@pytest.mark.parametrize("interval", [1.0, 15.0, 60.0, 300.0])
def test_27_window_shorter_than_two_scrapes(interval: float) -> None:
    short = Naming.model_validate({"window": f"{interval * 0.66:.2f}s"}).scraping(interval, 0.5)
    verdict, message = judge_traffic(
        ServiceTraffic("a", None, None, None, lack=Lack.FEW_SAMPLES, scraping=short), Objectives()
    )
    assert verdict is Health.UNKNOWN
    assert "holds fewer than two samples of a" in message
    assert "set `window: " in message
    own = Naming().scraping(interval, 0.5)
    assert (own.window >= 4 * interval, own.limit >= 2.5 * interval, scraping_note(own)) == (True, True, "")
    thin = Naming.model_validate({"window": f"{interval * 2:g}s"}).scraping(interval, 0.5)
    assert "holds only 2 samples" in scraping_note(thin)


async def test_31_bare_lf(context: AdapterContext) -> None:
    async with canned({"GET /health": (CASES / "31-bare-lf" / "answer.http").read_bytes()}) as server:
        target = {"site": "east", "service": "checkout", "url": f"{server.url}/health"}
        (source,) = http.build("probes", http.OPTIONS(kind="http", targets={"east": target}), context)
        reading = await source.read()
        await source.close()
    assert isinstance(reading, ProbeReading)
    assert (reading.status, reading.ok) == (200, True)


@pytest.mark.parametrize("named", [True, False])
async def test_32_always_gzip(context: AdapterContext, named: bool) -> None:
    body = (CASES / "32-always-gzip" / "metrics.txt.gz").read_bytes()
    field = "Content-Encoding: gzip\r\n" if named else ""
    raw = f"HTTP/1.1 200 OK\r\n{field}Content-Length: {len(body)}\r\n\r\n".encode() + body
    async with canned({"GET /metrics": raw}) as server:
        source = scraping(context, server.url, "checkout")
        if named:
            assert isinstance(await source.read(), MetricsReading)
        else:
            with pytest.raises(ReadFailure, match="compressed"):
                await source.read()
        await source.close()


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<html><body>log in</body></html>\n", "HTML page, not metrics"),
        ("\n<!DOCTYPE html>\n<title>Sign in</title>\n", "HTML page, not metrics"),
        ('{"status": "error"}\n', "line 1 of the metrics"),
        ('up 1\nhttp_requests_total{service="pay"} 1\nnonsense\nup 1\n', "line 3 of the metrics"),
        ('up 1\nhttp_requests_total{service="pay"} one\n', "line 2 of the metrics"),
    ],
)
async def test_a_page_that_is_not_metrics_is_an_error_with_its_line(
    context: AdapterContext, page: str, message: str
) -> None:
    async with canned({"GET /metrics": (200, page)}) as server:
        source = scraping(context, server.url)
        with pytest.raises(ReadFailure, match=message):
            await source.read()
        await source.close()


def test_a_matcher_asks_for_these_services_and_no_others() -> None:
    assert one_of("service", ["pay.v1", 'a"b\\c', "x"]) == 'service=~"pay\\\\.v1|a\\"b\\\\\\\\c|x"'


async def test_a_large_page_is_read_beside_the_event_loop_and_then_rarely(context: AdapterContext) -> None:
    line = 'http_requests_total{{service="pay",release="v1",code="200",path="/a/long/path/to/a/page/of/it/{}"}} {}\n'
    text = "".join(line.format(n, n) for n in range(50_000))
    async with canned({"GET /metrics": (200, text)}) as server:
        source = scraping(context, server.url)
        reading = asyncio.create_task(source.read())
        turns = 0
        while not reading.done():
            await asyncio.sleep(0.001)
            turns += 1
        outcomes = await asyncio.gather(reading, return_exceptions=True)
        for _ in range(50):
            if isinstance(outcomes[0], MetricsReading):
                break
            outcomes = await asyncio.gather(source.read(), return_exceptions=True)
        assert turns > 20
        assert isinstance(outcomes[0], MetricsReading)
        assert outcomes[0].services["pay"].lack is Lack.FEW_SAMPLES
        server.answers["GET /metrics"] = (500, "it must not be asked so soon")
        assert isinstance(await source.read(), MetricsReading)
        await source.close()


async def test_a_page_above_the_limit_is_refused_with_the_limit(context: AdapterContext) -> None:
    async with canned({"GET /metrics": (200, "up 1\n" * (scrape.LARGEST // 5 + 1))}) as server:
        source = scraping(context, server.url)
        with pytest.raises(ReadFailure, match="8"):
            await source.read()
        await source.close()
