"""Prometheus' figures: by recorded answers, and by a real one beside our own scraping."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.monitors import prometheus, scrape
from adapters.monitors.promql import PromApi
from adapters.net.http_read import HttpReader
from state.errors import ReadFailure
from state.ports.source import Source
from state.world.readings import Lack, MetricsReading, Scraping
from tests.contract.components import listens, serving, wait_for
from tests.contract.monitors import AGE, FakePrometheus, buckets, figures, one_prometheus, read_once, series, watching
from tests.support.ports import free_port


async def test_prometheus_gives_figures_by_service_and_release(context: AdapterContext) -> None:
    v1, v2 = {"service": "checkout", "release": "v1"}, {"service": "checkout", "release": "v2"}
    reading = await figures(
        context,
        AGE,
        series("rate", "30", **v1),
        series("rate", "6", **v2),
        series("rate", "4", code="503", **v2),
        *buckets({"0.1": "30", "+Inf": "30"}, **v1),
        *buckets({"0.1": "0", "0.5": "5", "+Inf": "10"}, **v2),
    )
    checkout = reading.services["checkout"]
    assert (checkout.rate, checkout.error_ratio, checkout.p99, checkout.p99_beyond) == (40.0, 0.1, 0.5, True)
    assert [(r.release, r.rate, r.error_ratio, r.p99, r.p99_beyond) for r in checkout.releases] == [
        ("v1", 30.0, 0.0, pytest.approx(0.099), False),
        ("v2", 10.0, 0.4, 0.5, True),
    ]
    assert checkout.scraping == Scraping(15.0, 60.0, 37.5, 0.6)
    assert reading.services["catalog"].lack is Lack.OLD


@pytest.mark.parametrize("code", ["200", "500"])
async def test_trap_12_a_rate_that_is_no_number_leaves_no_figure(context: AdapterContext, code: str) -> None:
    v1, v2 = {"service": "checkout", "release": "v1"}, {"service": "checkout", "release": "v2"}
    reading = await figures(
        context, AGE, series("rate", "30", **v1), series("rate", "9", **v2), series("rate", "NaN", code=code, **v2)
    )
    checkout = reading.services["checkout"]
    assert (checkout.rate, checkout.error_ratio, checkout.lack) == (None, None, Lack.NOT_A_NUMBER)


@pytest.mark.parametrize(("code", "lack"), [("", Lack.NO_CODE), ("OK", Lack.STRANGE_CODE)])
async def test_requests_that_do_not_tell_their_outcome_leave_no_error_ratio(
    context: AdapterContext, code: str, lack: Lack
) -> None:
    v1, v2 = {"service": "checkout", "release": "v1"}, {"service": "checkout", "release": "v2"}
    rows = [AGE, series("rate", "30", **v1), series("rate", "5", **v2)]
    checkout = (await figures(context, *rows, series("rate", "4", code=code, **v2))).services["checkout"]
    assert (checkout.rate, checkout.error_ratio, checkout.errors_lack) == (39.0, None, lack)
    assert [each.error_ratio for each in checkout.releases] == [0.0, None]
    assert (await figures(context, *rows, series("rate", "0", code=code, **v2))).services["checkout"].error_ratio == 0.0


@pytest.mark.parametrize(("share", "lack"), [("0.1", None), ("0.4", Lack.FALLS)])
async def test_what_falls_often_is_no_counter(context: AdapterContext, share: str, lack: Lack | None) -> None:
    rate = series("rate", "30", service="checkout", release="v1")
    reading = await figures(context, AGE, rate, series("falls", share, service="checkout"))
    assert reading.services["checkout"].lack is lack


@pytest.mark.parametrize(
    ("requests", "kinds", "broken", "lack"),
    [
        ("http_requests_total", None, False, None),
        ("http_requests_total", [], False, None),
        ("http_requests_total", ["unknown"], False, None),
        ("http_requests_total", ["gauge"], False, Lack.NO_COUNTER),
        ("http_requests_total", ["gauge", "counter"], False, None),
        ("requests", None, False, None),
        ("requests", None, True, Lack.NO_COUNTER),
        ("requests", ["counter"], True, Lack.NO_COUNTER),
        ("requests", ["counter"], False, None),
        ("http_requests_total", ["counter"], True, Lack.NO_COUNTER),
        ("svc_requests_5m_total", None, False, Lack.NO_COUNTER),
        ("svc:http_requests_rate5m_sum", None, False, Lack.NO_COUNTER),
        ("svc_requests_5m_total", ["counter"], False, None),
        ("requests", ["gauge"], False, Lack.NO_COUNTER),
        ("job:http_requests:rate5m", None, False, Lack.NO_COUNTER),
        ("job:http_requests:sum", None, False, None),
    ],
)
async def test_10_what_is_declared_or_named_or_valued_as_no_counter_gives_no_figure(
    context: AdapterContext, requests: str, kinds: list[str] | None, broken: bool, lack: Lack | None
) -> None:
    rows = [AGE, series("rate", "30", service="checkout", release="v1")]
    rows += [series("broken", "1", service="checkout")] if broken else []
    server = FakePrometheus(rows, {})
    server.kinds = kinds
    async with serving(server.serve) as server.port:
        reading = await read_once(one_prometheus(server, context, requests=requests))
    assert isinstance(reading, MetricsReading)
    assert reading.services["checkout"].lack is lack


@pytest.mark.parametrize(
    ("rates", "lack"),
    [({}, Lack.NO_BUCKETS), ({"+Inf": "5"}, Lack.ONLY_INF), ({"0.1": "5"}, Lack.NO_INF)],
)
async def test_why_there_is_no_p99(context: AdapterContext, rates: dict[str, str], lack: Lack) -> None:
    labels = {"service": "checkout", "release": "v1"}
    reading = await figures(context, AGE, series("rate", "5", **labels), *buckets(rates, **labels))
    checkout = reading.services["checkout"]
    assert (checkout.rate, checkout.p99, checkout.p99_lack) == (5.0, None, lack)


async def test_trap_12_stale_and_absent_services_have_no_figures_but_a_reason(context: AdapterContext) -> None:
    old, rate = series("age", "40", service="catalog"), series("rate", "1", service="catalog", release="v1")
    reading = await figures(context, old, rate, known=("catalog",))
    assert (reading.services["catalog"].rate, reading.services["catalog"].lack) == (None, Lack.OLD)
    assert reading.services["checkout"].lack is Lack.NO_SERIES
    rated = await figures(context, series("age", "30", service="catalog"), rate)
    assert (rated.services["catalog"].rate, rated.services["catalog"].lack) == (1.0, None)


@pytest.mark.parametrize(
    ("more", "whole"),
    [
        ({}, True),
        ({"warnings": []}, True),
        ({"isPartial": False}, True),
        ({"warnings": ["PromQL info: metric might not be a counter"]}, True),
        ({"infos": ["PromQL info: metric might not be a counter"]}, True),
        ({"warnings": ["receive series from east-store:10901: context deadline exceeded"]}, False),
        ({"warnings": ["PromQL info: x", "remote_read: connection refused"]}, False),
        ({"isPartial": True}, False),
    ],
)
async def test_an_answer_that_lacks_the_data_of_a_store_is_no_reading(
    context: AdapterContext, more: dict[str, Any], whole: bool
) -> None:
    rows = [AGE, series("rate", "10", service="checkout", release="v1")]
    if whole:
        assert (await figures(context, *rows, **more)).services["checkout"].rate == 10.0
    else:
        with pytest.raises(ReadFailure, match="in part"):
            await figures(context, *rows, **more)


CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 150ms}}
scrape_configs:
  - job_name: app
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@pytest.fixture
def running_prometheus(folder: Path) -> Iterator[tuple[int, int]]:
    program = shutil.which("prometheus")
    assert program is not None, "the contract suite needs prometheus on PATH"
    app, port = free_port(), free_port()
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(port=app))
    process = subprocess.Popen(
        [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: listens(port))
        yield port, app
    finally:
        process.kill()
        process.wait()


async def test_real_prometheus_and_scrape_agree(context: AdapterContext, running_prometheus: tuple[int, int]) -> None:
    port, app = running_prometheus
    began = time.monotonic()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            spent = time.monotonic() - began
            lines = [
                f'http_requests_total{{service="checkout",release="v1",code="200"}} {int(spent * 90)}',
                f'http_requests_total{{service="checkout",release="v2",code="500"}} {int(spent * 10)}',
            ]
            for release, share in (("v1", 90), ("v2", 10)):
                for le, part in (("0.1", 0.5), ("0.3", 1.0), ("+Inf", 1.0)):
                    labels = f'service="checkout",release="{release}",le="{le}"'
                    lines.append(f"http_request_duration_seconds_bucket{{{labels}}} {spent * share * part}")
            data = ("\n".join(lines) + "\n").encode()
            kind = "Content-Type: text/plain; version=0.0.4"
            writer.write(f"HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)

    server = await asyncio.start_server(_quietly(serve), "127.0.0.1", app)
    url = f"http://127.0.0.1:{port}"
    options = prometheus.OPTIONS.model_validate({"kind": "prometheus", "url": url, "window": "2s"})
    (source,) = prometheus.build("prom", options, watching(context))
    target = {"site": "east", "url": f"http://127.0.0.1:{app}/metrics"}
    (direct,) = scrape.build("apps", scrape.OPTIONS(kind="scrape", targets={"a": target}), watching(context))
    try:
        await _until_rated(source)
        await direct.read()
        await asyncio.sleep(2.5)  # Prometheus divides by the whole window, so it must be full
        theirs = await source.read()
        ours = await direct.read()
        assert isinstance(ours, MetricsReading)
        assert isinstance(theirs, MetricsReading)
        for reading in (theirs, ours):
            checkout = reading.services["checkout"]
            assert checkout.rate == pytest.approx(100, rel=0.1)
            assert checkout.error_ratio == pytest.approx(0.1, rel=0.1)
            assert checkout.p99 == pytest.approx(0.296, rel=0.02)
            assert [r.error_ratio for r in checkout.releases] == [0.0, pytest.approx(1.0)]
            assert checkout.scraping is not None
            assert checkout.scraping.age is not None
            assert 0 <= checkout.scraping.age < 2
        api = PromApi("p", HttpReader(url))
        (row,) = await api.query_range("vector(7)", time.time() - 2, time.time(), 1, deadline=1)
        assert [value for _, value in row.points] == [7.0, 7.0, 7.0]
        with pytest.raises(ReadFailure, match="400"):
            await api.query("sum(", deadline=1)
        await api.close()
    finally:
        await source.close()
        await direct.close()
        server.close()
        await asyncio.sleep(0.05)


def _quietly(serve: Any) -> Any:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    return handle


async def _until_rated(source: Source) -> MetricsReading:
    for _ in range(150):
        with suppress(ReadFailure):  # it starts, and then has no samples yet
            reading = await source.read()
            assert isinstance(reading, MetricsReading)
            if len(reading.services["checkout"].releases) == 2 and reading.services["checkout"].p99:
                return reading
        await asyncio.sleep(0.1)
    raise AssertionError("Prometheus never had rates")
