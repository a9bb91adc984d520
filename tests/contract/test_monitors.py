"""Alertmanager, probes and direct scraping: recorded answers, and a real Alertmanager."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.monitors import alertmanager, http, prometheus, scrape
from adapters.registry import kinds
from state.errors import ReadFailure, Trouble
from state.ports.source import Source
from state.world.readings import AlertsReading, Lack, MetricsReading, ProbeReading
from tests.contract.components import listens, wait_for
from tests.contract.monitors import one_prometheus, read_once, trouble_of, watching
from tests.contract.web import Canned, canned
from tests.support.ports import free_port


def test_every_monitor_found_is_under_contract() -> None:
    assert {kind for role, kind in kinds() if role == "monitors"} == {
        "prometheus",
        "scrape",
        "alertmanager",
        "http",
        "version",
    }


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


def one_alertmanager(server: Canned, context: AdapterContext) -> list[Source]:
    return list(alertmanager.build("am", alertmanager.OPTIONS(kind="alertmanager", url=server.url), context))


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


@pytest.mark.parametrize("status", [200, 503])
async def test_s10_a_probe_of_a_large_page_has_its_status(context: AdapterContext, status: int) -> None:
    async with canned({"GET /": (status, "x" * 3_000_000)}) as server:
        target = {"site": "east", "service": "checkout", "url": f"{server.url}/"}
        (source,) = http.build("probes", http.OPTIONS(kind="http", targets={"checkout-east": target}), context)
        for _ in range(3):
            reading = await source.read()
            assert isinstance(reading, ProbeReading)
            assert (reading.status, reading.ok) == (status, status == 200)
        await source.close()


async def test_s10_a_probe_of_a_page_that_is_cut_short_is_an_error(context: AdapterContext) -> None:
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\nConnection: close\r\n\r\n" + b"x" * 1000
    async with canned({"GET /": short}) as server:
        target = {"site": "east", "service": "checkout", "url": f"{server.url}/"}
        sources = http.build("probes", http.OPTIONS(kind="http", targets={"checkout-east": target}), context)
        assert await trouble_of(sources) is Trouble.ERROR


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
    waive = {"tls": "VLAN 12 has these hosts only"}
    assert model(kind="x", url="http://192.0.2.1:9090", waive=waive).waive.given == waive
    for address in ("https://192.0.2.1:9090", "http://127.0.0.1:9090"):
        with pytest.raises(ValueError, match="no waiver, because nothing here goes without it"):
            model(kind="x", url=address, waive=waive)


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
