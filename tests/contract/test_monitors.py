"""Monitors: the real Prometheus and Alertmanager where the machine has them, recorded answers everywhere."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.context import AdapterContext
from adapters.monitors import alertmanager, http, prometheus, scrape
from adapters.monitors.promql import PromApi
from adapters.net.http_read import HttpReader
from adapters.registry import kinds
from state.errors import ReadFailure, Trouble
from state.ports.source import Source
from state.world.readings import AlertsReading, Lack, MetricsReading, ProbeReading, Reading, Scraping
from tests.contract.components import free_port, listens, serving, wait_for
from tests.contract.web import Canned, canned


async def read_once(sources: Any) -> Reading:
    (source,) = sources
    try:
        return await source.read()  # type: ignore[no-any-return]
    finally:
        await source.close()


async def trouble_of(sources: Any) -> Trouble:
    with pytest.raises(ReadFailure) as failure:
        await read_once(sources)
    return failure.value.trouble


def test_every_monitor_found_is_under_contract() -> None:
    assert {kind for role, kind in kinds() if role == "monitors"} == {"prometheus", "scrape", "alertmanager", "http"}


SERVICES = ("checkout", "catalog")
STAMPS = [[1795460000.0 + 15.0 * n, "1"] for n in range(10)]


def series(figure: str, value: str, **labels: str) -> dict[str, Any]:
    return {"metric": {"recovery_figure": figure, **labels}, "value": [1795460000.0, value]}


class FakePrometheus(Canned):
    """Answers each kind of question: how many samples, when they were taken, the figures."""

    def __init__(self, rows: list[dict[str, Any]], more: dict[str, Any], known: tuple[str, ...] = SERVICES) -> None:
        super().__init__({})
        self.rows, self.more, self.known = rows, more, known

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            query = parse_qs(urlsplit(line.decode().split()[1]).query)["query"][0]
            while (await reader.readline()).strip():
                pass
            result, more = self.rows, self.more
            if query.startswith("topk"):
                result, more = [{"metric": {"service": s}, "value": [0, "80"]} for s in self.known], {}
            elif query.startswith("http_requests_total{"):
                result, more = [{"metric": {}, "values": STAMPS}], {}
            elif "query_range" in line.decode():
                result, more = [], {}
            data = json.dumps({"status": "success", "data": {"result": result}, **more}).encode()
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


AGE = series("age", "0.6", service="checkout")


def one_prometheus(server: Canned, context: AdapterContext) -> list[Source]:
    known = replace(context, watched={"prom": SERVICES})
    return list(prometheus.build("prom", prometheus.OPTIONS(kind="prometheus", url=server.url), known))


def one_alertmanager(server: Canned, context: AdapterContext) -> list[Source]:
    return list(alertmanager.build("am", alertmanager.OPTIONS(kind="alertmanager", url=server.url), context))


async def figures(
    context: AdapterContext, *rows: dict[str, Any], known: tuple[str, ...] = SERVICES, **more: Any
) -> MetricsReading:
    server = FakePrometheus(list(rows), more, known)
    async with serving(server.serve) as server.port:
        reading = await read_once(one_prometheus(server, context))
    assert isinstance(reading, MetricsReading)
    return reading


def buckets(rates: dict[str, str], **labels: str) -> list[dict[str, Any]]:
    return [series("bucket", rate, le=bound, **labels) for bound, rate in rates.items()]


async def test_prometheus_gives_figures_by_service_and_release(context: AdapterContext) -> None:
    v1, v2 = {"service": "checkout", "release": "v1"}, {"service": "checkout", "release": "v2"}
    reading = await figures(
        context,
        AGE,
        series("rate", "30", **v1),
        series("rate", "10", **v2),
        series("errors", "4", **v2),
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


@pytest.mark.parametrize("figure", ["rate", "errors"])
async def test_trap_12_a_rate_that_is_no_number_leaves_no_figure(context: AdapterContext, figure: str) -> None:
    v1, v2 = {"service": "checkout", "release": "v1"}, {"service": "checkout", "release": "v2"}
    reading = await figures(
        context, AGE, series("rate", "30", **v1), series("rate", "9", **v2), series(figure, "NaN", **v2)
    )
    checkout = reading.services["checkout"]
    assert (checkout.rate, checkout.error_ratio, checkout.lack) == (None, None, Lack.NOT_A_NUMBER)


@pytest.mark.parametrize(("figure", "lack"), [("no_code", Lack.NO_CODE), ("strange", Lack.STRANGE_CODE)])
async def test_requests_that_do_not_tell_their_outcome_leave_no_error_ratio(
    context: AdapterContext, figure: str, lack: Lack
) -> None:
    v1, v2 = {"service": "checkout", "release": "v1"}, {"service": "checkout", "release": "v2"}
    rows = [AGE, series("rate", "30", **v1), series("rate", "9", **v2)]
    checkout = (await figures(context, *rows, series(figure, "9", **v2))).services["checkout"]
    assert (checkout.rate, checkout.error_ratio, checkout.errors_lack) == (39.0, None, lack)
    assert [each.error_ratio for each in checkout.releases] == [0.0, None]
    assert (await figures(context, *rows, series(figure, "0", **v2))).services["checkout"].error_ratio == 0.0


@pytest.mark.parametrize(("share", "lack"), [("0.1", None), ("0.4", Lack.FALLS)])
async def test_what_falls_often_is_no_counter(context: AdapterContext, share: str, lack: Lack | None) -> None:
    rate = series("rate", "30", service="checkout", release="v1")
    reading = await figures(context, AGE, rate, series("falls", share, service="checkout"))
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
    ("answer", "trouble"),
    [
        ((200, {"status": "error", "errorType": "bad_data", "error": "parse error"}), Trouble.ERROR),
        ((400, {"status": "error", "error": "parse error"}), Trouble.ERROR),
        ((200, "<html>"), Trouble.ERROR),
        ((200, {"status": "success", "data": {"result": [{"metric": {}, "value": []}]}}), Trouble.ERROR),
        ((200, {"status": "success", "data": None}), Trouble.ERROR),
        ((200, [1]), Trouble.ERROR),
        ((401, "no"), Trouble.DENIED),
        (None, Trouble.TIMEOUT),
    ],
)
async def test_rubbish_is_no_reading(context: AdapterContext, answer: Any, trouble: Trouble) -> None:
    answers = {f"GET {path}": answer for path in ("/api/v1/query", "/api/v2/alerts")}
    async with canned(answers) as server:
        assert await trouble_of(one_prometheus(server, context)) is trouble
        if answer != (200, [1]):
            assert await trouble_of(one_alertmanager(server, context)) is trouble


def alert(name: str, state: str = "active", **labels: str) -> dict[str, Any]:
    return {
        "annotations": {"summary": f"{name} is firing"},
        "startsAt": "2026-11-23T21:00:00.123456789Z",
        "endsAt": "2026-11-23T21:10:00Z",
        "updatedAt": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "fingerprint": f"f-{name}",
        "receivers": [{"name": "x"}],
        "status": {"state": state, "silencedBy": [], "inhibitedBy": []},
        "labels": {"alertname": name, **labels},
    }


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


async def test_alerts_are_listed_and_the_watchdog_is_proof_not_alert(context: AdapterContext) -> None:
    rows = [alert("HighErrorRate", severity="page"), alert("Quiet", "suppressed"), alert("Watchdog")]
    async with canned({"GET /api/v2/alerts": (200, rows)}) as server:
        reading = await read_once(one_alertmanager(server, context))
    assert isinstance(reading, AlertsReading)
    assert reading.watchdog
    assert [(a.name, a.state, a.severity) for a in reading.alerts] == [
        ("HighErrorRate", "active", "page"),
        ("Quiet", "suppressed", ""),
    ]
    assert reading.alerts[0].started_at == pytest.approx(1795467600.123456)


@pytest.mark.parametrize("wrong", [{"fingerprint": ["a"]}, {"fingerprint": 7}, {"status": {"state": ["a", 1]}}])
async def test_a_row_of_another_form_is_no_reading(context: AdapterContext, wrong: dict[str, Any]) -> None:
    """Nothing that cannot be compared and counted gets past the adapter: one row would stop every verdict."""
    rows = [alert("Watchdog", "active"), {**alert("HighErrors", "active"), **wrong}]
    async with canned({"GET /api/v2/alerts": (200, rows)}) as server:
        with pytest.raises(ReadFailure):
            await read_once(one_alertmanager(server, context))


@pytest.mark.parametrize("rows", [[], [alert("Watchdog", "suppressed")]])
async def test_no_alerts_without_watchdog_claim_nothing(context: AdapterContext, rows: list[Any]) -> None:
    async with canned({"GET /api/v2/alerts": (200, rows)}) as server:
        reading = await read_once(one_alertmanager(server, context))
    assert isinstance(reading, AlertsReading)
    assert (reading.alerts, reading.watchdog) == ((), False)


@pytest.mark.parametrize(("status", "ok"), [(200, True), (503, False), (404, False)])
async def test_probe_tells_status_and_time(context: AdapterContext, status: int, ok: bool) -> None:
    async with canned({"GET /health": (status, "x")}) as server:
        target = {"site": "east", "service": "checkout", "url": f"{server.url}/health"}
        sources = http.build("probes", http.OPTIONS(kind="http", targets={"checkout-east": target}), context)
        assert sources[0].key == "probe:probes/checkout-east"
        reading = await read_once(sources)
    assert isinstance(reading, ProbeReading)
    assert (reading.status, reading.ok) == (status, ok)
    assert 0 < reading.seconds < 1


def watching(context: AdapterContext) -> AdapterContext:
    """The same with a service that the monitors are asked for."""
    return replace(context, watched={"apps": ("checkout",), "prom": ("checkout",)})


METRICS = 'http_requests_total{{service="checkout",release="v1",code="200"}} {}\n'


async def test_scrape_goes_on_with_the_targets_that_answer(context: AdapterContext) -> None:
    async with canned({"GET /metrics": (200, METRICS.format(0))}) as server:
        targets = {
            "alive": {"site": "east", "url": f"{server.url}/metrics"},
            "dead": {"site": "west", "url": "http://127.0.0.1:1/metrics"},
        }
        (source,) = scrape.build("apps", scrape.OPTIONS(kind="scrape", targets=targets), watching(context))
        first = await source.read()
        await asyncio.sleep(0.1)
        server.answers["GET /metrics"] = (200, METRICS.format(10))
        second = await source.read()
        assert isinstance(first, MetricsReading)
        assert isinstance(second, MetricsReading)
        assert first.services["checkout"].rate is None
        assert second.services["checkout"].rate == pytest.approx(100, rel=0.3)
        server.answers["GET /metrics"] = (500, "down")
        with pytest.raises(ReadFailure):
            await source.read()
        await source.close()


async def test_scrape_of_pages_without_requests_is_no_data(context: AdapterContext) -> None:
    async with canned({"GET /metrics": (200, "go_goroutines 5\n")}) as server:
        options = scrape.OPTIONS(kind="scrape", targets={"a": {"site": "east", "url": f"{server.url}/metrics"}})
        reading = await read_once(scrape.build("apps", options, watching(context)))
    assert isinstance(reading, MetricsReading)
    assert reading.services["checkout"].lack is Lack.NO_SERIES


@pytest.mark.parametrize("model", [prometheus.OPTIONS, alertmanager.OPTIONS])
@pytest.mark.parametrize("url", ["http://192.0.2.1:9090", "ftp://127.0.0.1", "http://u:p@127.0.0.1"])
def test_addresses_that_are_refused(model: Any, url: str) -> None:
    with pytest.raises(ValueError, match=r"url|https|plain"):
        model(kind="x", url=url)
    assert model(kind="x", url="http://192.0.2.1:9090", plaintext=True).plaintext


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
                f'http_requests_total{{service="checkout",release="v1",code="200"}} {spent * 90}',
                f'http_requests_total{{service="checkout",release="v2",code="500"}} {spent * 10}',
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


@pytest.fixture
def running_alertmanager(folder: Path) -> Iterator[int]:
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program is not None, "the contract suite needs alertmanager on PATH"
    port = free_port()
    config = folder / "alertmanager.yml"
    config.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    process = subprocess.Popen(
        [
            program,
            f"--config.file={config}",
            f"--storage.path={folder / 'am'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: listens(port))
        yield port
    finally:
        process.kill()
        process.wait()


async def test_real_alertmanager(context: AdapterContext, running_alertmanager: int) -> None:
    url = f"http://127.0.0.1:{running_alertmanager}"
    (source,) = alertmanager.build("am", alertmanager.OPTIONS(kind="alertmanager", url=url), context)
    empty = await source.read()
    assert isinstance(empty, AlertsReading)
    assert (empty.alerts, empty.watchdog, empty.doubtful) == ((), False, None)
    posted = [{"labels": {"alertname": name, "severity": "page"}} for name in ("Watchdog", "HighLatency")]
    reader, writer = await asyncio.open_connection("127.0.0.1", running_alertmanager)
    body = json.dumps(posted).encode()
    head = f"POST /api/v2/alerts HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    assert b" 200 " in await reader.readline()
    writer.close()
    for _ in range(100):
        reading = await source.read()
        assert isinstance(reading, AlertsReading)
        if reading.watchdog and reading.alerts:
            break
        await asyncio.sleep(0.05)
    assert [(a.name, a.severity) for a in reading.alerts] == [("HighLatency", "page")]
    assert reading.alerts[0].started_at == pytest.approx(time.time(), abs=10)
    await source.close()
