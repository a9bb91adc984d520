"""Answers of the kinds that monitors were wrong on: other stores, half answers, starting servers, odd pages and lists.

Each has the right value: a figure, or a reason that a person can act on.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.monitors import http
from state.errors import ReadFailure, Trouble
from state.health import Health
from state.world.readings import Lack, MetricsReading, ProbeReading
from tests.contract.alertmanagers import Desk
from tests.contract.monitors import AGE, buckets, figures, one_prometheus, read_once, series
from tests.contract.test_monitor_cases import scraping
from tests.contract.web import canned

CHECKOUT = {"service": "checkout", "release": "v1"}
RATE = series("rate", "10", **CHECKOUT)


def zipped(body: bytes) -> bytes:
    """Without the time of day, so that every process of a run names a test alike."""
    return gzip.compress(body, mtime=0)


def answer(body: bytes | str, *fields: str, status: str = "200 OK") -> bytes:
    """An answer as it is sent."""
    data = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(data)}", "", ""]
    return "\r\n".join(head).encode() + data


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (answer("Service Unavailable", status="503 X"), "503: Service Unavailable (it says so while it starts"),
        ((503, {"status": "error", "error": "query timed out in expression evaluation"}), "503: query timed out in"),
        ((422, {"status": "error", "error": "too many samples"}), "prom answered 422: too many samples$"),
        ((400, {"status": "error", "error": "no org id"}), "no org id"),
        (answer('{"status":"success","data":{"resu'), "not Prometheus'"),
        ((200, {"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}), "gives a scalar"),
        (
            (200, {"status": "success", "data": {"result": []}, "warnings": ["No StoreAPIs matched for this query"]}),
            "in part: No StoreAPIs matched",
        ),
        (
            (200, {"status": "success", "data": {"result": [{"metric": {}, "histogram": [1, {"count": "3"}]}]}}),
            "native histogram, which is not read",
        ),
    ],
)
async def test_what_prometheus_says_instead_of_an_answer(context: AdapterContext, told: Any, why: str) -> None:
    async with canned({"GET /api/v1/query": told}) as server:
        with pytest.raises(ReadFailure, match=why.replace("(", r"\(")) as failure:
            await read_once(one_prometheus(server, context))
    assert failure.value.trouble is Trouble.ERROR


@pytest.mark.parametrize("result", [None, []])
async def test_an_empty_vector_is_no_data_in_both_spellings(context: AdapterContext, result: Any) -> None:
    """Proxies in front of Prometheus write null for it."""
    data = {"status": "success", "data": {"resultType": "vector", "result": result}, "warnings": None, "infos": None}
    async with canned({"GET /api/v1/query": (200, data)}) as server:
        reading = await read_once(one_prometheus(server, context))
    assert isinstance(reading, MetricsReading)
    assert reading.services["checkout"].lack is Lack.NO_SERIES


async def test_series_that_were_left_out_of_a_sum_are_no_figure(context: AdapterContext) -> None:
    mixed = 'PromQL warning: encountered a mix of histograms and floats for metric name "http_requests_total"'
    with pytest.raises(ReadFailure, match="in part: PromQL warning"):
        await figures(context, AGE, RATE, warnings=[mixed])
    whole = await figures(context, AGE, RATE, infos=["PromQL info: metric might not be a counter"])
    assert whole.services["checkout"].rate == 10.0


async def test_two_spellings_of_one_bound_are_one_bucket(context: AdapterContext) -> None:
    """Prometheus 3 writes 1.0 where its targets still have 1."""
    rows = buckets({"0.1": "0", "1": "50", "1.0": "50", "+Inf": "50", "+inf": "50"}, **CHECKOUT)
    assert (await figures(context, AGE, RATE, *rows)).services["checkout"].p99 == pytest.approx(0.991)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
async def test_an_age_that_is_no_number_is_no_fresh_sample(context: AdapterContext, value: str) -> None:
    reading = await figures(context, series("age", value, service="checkout"), RATE)
    assert (reading.services["checkout"].rate, reading.services["checkout"].lack) == (None, Lack.OLD)


LINE = 'http_requests_total{service="pay",release="v1",code="200"} '
BAD = 'http_requests_total{service="pay",release="v1",code="500"} '


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (answer(b"\x0a\x13http", "Content-Type: application/vnd.google.protobuf"), "Protocol Buffers"),
        (answer(b"\x28\xb5\x2f\xfd\x00\x00"), "compressed, and does not say so"),
        (answer(b"\x28\xb5\x2f\xfd\x00\x00", "Content-Encoding: zstd"), r"compressed \(zstd\)"),
        (answer(zlib.compress(LINE.encode()), "Content-Encoding: deflate"), r"compressed \(deflate\)"),
        (answer(zipped(LINE.encode())[:-9], "Content-Encoding: gzip"), "cut short"),
        (answer(zipped(zipped(b"up 1\n")), "Content-Encoding: gzip"), "compressed, and does not say so"),
        (answer((LINE + "1\n").encode("utf-16")), "line 1 of the metrics cannot be read"),
        (answer(LINE + "1\n" + LINE + "2\n"), "the same series again"),
        (answer(LINE + "1\n" + 'http_requests_total{code="200",release="v1",service="pay"} 2\n'), "line 2"),
        (answer(""), "empty answer"),
    ],
)
async def test_a_page_that_is_not_read_says_why(context: AdapterContext, page: bytes, why: str) -> None:
    async with canned({"GET /metrics": page}) as server:
        with pytest.raises(ReadFailure, match=why):
            await read_once([scraping(context, server.url)])


def shuffled(turn: int, value: float, code: str) -> str:
    labels = ['service="pay"', 'release="v1"', f'code="{code}"']
    return f"http_requests_total{{{','.join(labels[turn % 3 :] + labels[: turn % 3])}}} {value}\n"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(lambda turn: shuffled(turn, 80 * turn, "200") + shuffled(turn + 1, 20 * turn, "500"), id="order"),
        pytest.param(lambda turn: f"{LINE}{8e1 * turn:e}\r\n{BAD}{20 * turn}\r\n", id="crlf and exponent"),
        pytest.param(lambda turn: f"\ufeff{LINE}{80 * turn}\n{BAD}{20 * turn}\n", id="byte order mark"),
        pytest.param(
            lambda turn: (
                f'{LINE}{80 * turn}\n{BAD}{20 * turn} # {{trace_id="{turn}"}} 1 1.0\n'
                f'http_requests_created{{service="pay"}} 1.7e9\n# EOF\n'
            ),
            id="openmetrics",
        ),
    ],
)
async def test_pages_that_are_written_otherwise_have_the_same_figures(context: AdapterContext, page: Any) -> None:
    async with canned({"GET /metrics": answer(page(0))}) as server:
        source = scraping(context, server.url)
        for turn in range(1, 4):
            await source.read()
            await asyncio.sleep(0.05)
            server.answers["GET /metrics"] = answer(page(turn))
        reading = await source.read()
        await source.close()
    assert isinstance(reading, MetricsReading)
    pay = reading.services["pay"]
    assert (pay.lack, pay.error_ratio) == (None, pytest.approx(0.2))


def alert(**other: Any) -> dict[str, Any]:
    return {
        "labels": {"alertname": "Slow", "severity": "critical"},
        "annotations": None,
        "startsAt": "2026-11-27T00:00:00Z",
        "updatedAt": datetime.now(UTC).isoformat(),
        "fingerprint": "f1",
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
    } | other


def state(name: str, **by: Any) -> dict[str, Any]:
    return {"state": name, "silencedBy": [], "inhibitedBy": [], **by}


UNNAMED = alert(labels={"alertname": " ", "job": " ", "pod": "x", "severity": "P0"})
NO_PRINT = [{k: v for k, v in alert(labels={"alertname": n}).items() if k != "fingerprint"} for n in ("A", "B")]


@pytest.mark.parametrize(
    ("rows", "health", "message"),
    [
        ([alert(startsAt="2036-01-01T00:00:00Z")], Health.FAIL, "1 firing: Slow"),
        ([alert(startsAt="0001-01-01T00:00:00Z")], Health.FAIL, "1 firing: Slow"),
        ([alert(startsAt="2026-11-27T02:00:00.123456789+02:00")], Health.FAIL, "1 firing: Slow"),
        ([alert(), alert()], Health.FAIL, "1 firing: Slow"),
        ([UNNAMED], Health.FAIL, "1 firing: (no name, pod=x)"),
        (NO_PRINT, Health.WARN, "2 firing: B, A; severity (none) is not in `severities`, taken as a warning"),
        ([alert(status=state("unprocessed"))], Health.FAIL, "1 firing: Slow"),
        ([alert(status=state("suppressed"))], Health.PASS, "1 suppressed: Slow (suppressed)"),
        ([alert(status=state("suppressed", silencedBy=["s"]))], Health.PASS, "1 suppressed: Slow (silenced)"),
        ([alert(status=state("suppressed", inhibitedBy=["x"])), NO_PRINT[0]], Health.WARN, "1 firing: A"),
        ([alert(status=state("suppressed", mutedBy=["nights"]))], Health.PASS, "Slow (muted by nights)"),
    ],
)
async def test_alerts_of_odd_forms(tmp_path: Path, rows: list[Any], health: Health, message: str) -> None:
    """A silence without its end, and what inhibits without a fingerprint, are told as far as they are known."""
    watchdog = alert(labels={"alertname": "Watchdog"}, fingerprint="dog")
    answers: dict[str, Any] = {
        "GET /api/v2/alerts": (200, [watchdog, *rows]),
        "GET /api/v2/silences": (200, [{"id": "s", "createdBy": "ada"}]),
    }
    async with canned(answers) as server:
        desk = Desk(tmp_path, {"am": server.url})
        verdict = await desk.read()
        await desk.close()
    assert verdict.health is health
    assert message in verdict.message
    assert verdict.proven


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (
            answer("the Alertmanager is not configured", status="503 X"),
            "503 to /api/v2/alerts: the Alertmanager is not",
        ),
        ((200, {"status": "success", "data": []}), "the answer is not Alertmanager's"),
        (answer("null"), "the answer is not Alertmanager's"),
        ((200, [alert(labels=None)]), "the answer is not Alertmanager's"),
    ],
)
async def test_what_is_no_list_of_alerts_is_no_reading(tmp_path: Path, told: Any, why: str) -> None:
    async with canned({"GET /api/v2/alerts": told}) as server:
        desk = Desk(tmp_path, {"am": server.url})
        with pytest.raises(ReadFailure, match=why):
            await desk.read()
        await desk.close()


def status(started: datetime, peers: Any = None) -> tuple[int, Any]:
    return 200, {"cluster": {"status": "settling", "peers": peers}, "uptime": started.isoformat()}


async def test_a_watchdog_is_awaited_after_the_start_and_missed_later(tmp_path: Path) -> None:
    """An Alertmanager keeps no alerts over a restart, and a Prometheus sends them again after a minute."""
    now = datetime.now(UTC).replace(microsecond=0)
    answers: dict[str, Any] = {"GET /api/v2/alerts": (200, []), "GET /api/v2/status": status(now)}
    async with canned(answers) as server:
        desk = Desk(tmp_path, {"am": server.url})
        verdict = await desk.read()
        until = now + timedelta(minutes=2)
        assert (verdict.health, verdict.proven, verdict.awaited) == (Health.UNKNOWN, False, until.timestamp())
        assert verdict.message == f"am: just started, its watchdog alert is awaited until {until:%H:%M:%SZ}"
        await desk.close()
        server.answers["GET /api/v2/status"] = status(now - timedelta(minutes=3))
        desk = Desk(tmp_path, {"am": server.url})
        verdict = await desk.read()
        assert verdict.message == "am: no watchdog alert, so alerting may be down"
        await desk.close()
        server.answers["GET /api/v2/status"] = status(now, [{"name": "one"}])
        server.answers["GET /api/v2/alerts"] = (
            200,
            [alert(), alert(labels={"alertname": "Watchdog"}, fingerprint="d")],
        )
        desk = Desk(tmp_path, {"am": server.url})
        assert (await desk.read()).message == "1 firing: Slow"
        await desk.close()


async def test_a_watchdog_that_no_one_processed_yet_proves_nothing(tmp_path: Path) -> None:
    row = alert(labels={"alertname": "Watchdog"}, status=state("unprocessed"))
    async with canned({"GET /api/v2/alerts": (200, [row])}) as server:
        desk = Desk(tmp_path, {"am": server.url})
        verdict = await desk.read()
        await desk.close()
    assert (verdict.health, verdict.message) == (
        Health.UNKNOWN,
        "am: the watchdog alert is unprocessed, so alerting may be down",
    )


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"HTTP/1.1 200\nConnection: close\n\nok", 200),
        (b"HTTP/1.0 503 Service Unavailable\n\n", 503),
        (b"HTTP/1.1 200 OK\nX-A: a\n  folded\nContent-Length: 2\n\nok", 200),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 200 OK\r\nX-A: caf\xe9\r\nContent-Length: 2\r\n\r\nok", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc", 200),
        (b"HTTP/1.1 500 X\r\nContent-Encoding: zstd\r\nContent-Length: 3\r\n\r\nabc", 500),
    ],
)
async def test_health_pages_are_read_as_other_clients_read_them(
    context: AdapterContext, raw: bytes, status: int
) -> None:
    assert await probed(context, raw) == status


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n", "Expected LF|not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok", "before a complete answer"),
        (b"ICY 200 OK\r\n\r\nok", "Bad status line"),
        (b"ok\n", "Bad status line"),
    ],
)
async def test_half_answers_and_no_http_are_no_health(context: AdapterContext, raw: bytes, why: str) -> None:
    with pytest.raises(ReadFailure, match=why):
        await probed(context, raw)


async def probed(context: AdapterContext, raw: bytes) -> int:
    async with canned({"GET /health": raw}) as server:
        target = {"site": "east", "service": "checkout", "url": f"{server.url}/health"}
        reading = await read_once(http.build("probes", http.OPTIONS(kind="http", targets={"east": target}), context))
    assert isinstance(reading, ProbeReading)
    return reading.status
