"""A real Prometheus that scrapes the estate's series at every usual pace, and 50,000 others beside them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from adapters.context import AdapterContext
from adapters.monitors import prometheus
from state.errors import ReadFailure
from state.estate.model import Polling
from state.ports.source import Source
from state.world.readings import MetricsReading, ServiceTraffic
from tests.contract.components import Serve, serving
from tests.contract.histories import BUCKETS, FOREIGN, RATES, SECONDS_OF_PACE, started

SCRAPES = """
scrape_configs:
  - job_name: app
    scrape_interval: {every}s
    scrape_timeout: {timeout}s
    static_configs: [{{targets: ["127.0.0.1:{app}"]}}]
  - job_name: company
    scrape_interval: 5s
    scrape_timeout: 5s
    static_configs: [{{targets: ["127.0.0.1:{company}"]}}]
"""
OTHERS = "".join(
    f'http_requests_total{{service="team-{n // 50}",release="v1",code="200",pod="pod-{n}"}} {n}\n'
    for n in range(FOREIGN)
)


def own_page(spent: float) -> str:
    """The estate's one service after so many seconds: its rates as in the written histories."""
    labels = 'service="checkout",release="v1"'
    rows = [(f'http_requests_total{{{labels},code="{code}"}}', rate) for code, rate in RATES.items()]
    rows += [(f'http_request_duration_seconds_bucket{{{labels},le="{le}"}}', rate) for le, rate in BUCKETS.items()]
    return "".join(f"{series} {rate * spent}\n" for series, rate in rows)


def pages(page: Callable[[], str]) -> Serve:
    """An exporter."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                data = page().encode()
                kind = b"Content-Type: text/plain; version=0.0.4"
                writer.write(b"HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(data), data))
                await writer.drain()

    return serve


async def settled(source: Source, every: float) -> ServiceTraffic:
    """The figures some time after the window is full."""
    end = time.monotonic() + 120 + 12 * every
    full = 0.0
    while time.monotonic() < end:
        with suppress(ReadFailure):
            reading = await source.read()
            assert isinstance(reading, MetricsReading)
            found = reading.services["checkout"]
            if found.rate is not None:
                full = full or time.monotonic() + 5 * max(every, 2.5)
                if time.monotonic() >= full:
                    return found
        await asyncio.sleep(0.5)
    raise AssertionError("Prometheus never had rates")


@pytest.mark.torture
@pytest.mark.parametrize("every", SECONDS_OF_PACE)
async def test_figures_while_everything_is_scraped(folder: Path, every: int) -> None:
    began = time.monotonic()
    place = folder / f"live-{every}"
    place.mkdir()
    own, others = pages(lambda: own_page(time.monotonic() - began)), pages(lambda: OTHERS)
    async with serving(own) as app, serving(others) as company:
        scrapes = SCRAPES.format(every=every, timeout=min(every, 5), app=app, company=company)
        with started(place, scrapes) as running:
            context = AdapterContext(folder, Polling(), watched={"prom": ("checkout",)})
            (source,) = prometheus.build("prom", prometheus.OPTIONS(kind="prometheus", url=running.url), context)
            try:
                seen = await settled(source, every)
            finally:
                await source.close()
            assert max(each["stats"]["samples"]["peakSamples"] for each in running.asked()) < FOREIGN / 2
    assert seen.lack is None
    assert seen.rate == pytest.approx(100, rel=0.15)
    assert seen.error_ratio == pytest.approx(0.1, rel=0.05)
    assert seen.p99 == pytest.approx(0.296, rel=0.05)
    assert seen.scraping is not None
    assert seen.scraping.interval == pytest.approx(every, rel=0.1)
