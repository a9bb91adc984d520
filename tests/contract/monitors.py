"""Monitors for tests: a Prometheus that answers by rote, and reading a source once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.context import AdapterContext
from adapters.monitors import prometheus
from state.errors import ReadFailure, Trouble
from state.ports.source import Source
from state.world.readings import MetricsReading, Reading
from tests.contract.components import serving
from tests.contract.web import Canned

SERVICES = ("checkout", "catalog")
STAMPS = [[1795460000.0 + 15.0 * n, "1"] for n in range(10)]


def series(figure: str, value: str, **labels: str) -> dict[str, Any]:
    if figure == "rate":
        labels = {"code": "200", **labels}
    return {"metric": {"recovery_figure": figure, **labels}, "value": [1795460000.0, value]}


class FakePrometheus(Canned):
    """Answers each kind of question: how many samples, when they were taken, the figures, and its time."""

    def __init__(self, rows: list[dict[str, Any]], more: dict[str, Any], known: tuple[str, ...] = SERVICES) -> None:
        super().__init__({})
        self.rows, self.more, self.known = rows, more, known
        self.clock: Callable[[], float] = time.time
        self.kinds: list[str] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            asked = parse_qs(urlsplit(line.decode().split()[1]).query)
            while (await reader.readline()).strip():
                pass
            if "metric" in asked:
                writer.write(_declared(asked["metric"][0], self.kinds))
                continue
            query = asked["query"][0]
            result, more = [*self.rows, series("now", str(self.clock()))], self.more
            if query.startswith("topk"):
                result, more = [{"metric": {"service": s}, "value": [0, "80"]} for s in self.known], {}
            elif query.endswith("]") and " " not in query:
                result, more = [{"metric": {}, "values": STAMPS}], {}
            elif "query_range" in line.decode():
                result, more = [], {}
            data = json.dumps({"status": "success", "data": {"result": result}, **more}).encode()
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


def _declared(metric: str, kinds: list[str] | None) -> bytes:
    """The types of a metric, if they are kept at all."""
    if kinds is None:
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    told = {metric: [{"type": kind, "help": "", "unit": ""} for kind in kinds]} if kinds else {}
    data = json.dumps({"status": "success", "data": told}).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


AGE = series("age", "0.6", service="checkout")


def one_prometheus(server: Canned, context: AdapterContext, **options: Any) -> list[Source]:
    known = replace(context, watched={"prom": SERVICES})
    made = prometheus.OPTIONS.model_validate({"kind": "prometheus", "url": server.url, **options})
    return list(prometheus.build("prom", made, known))


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


def watching(context: AdapterContext) -> AdapterContext:
    """The same with a service that the monitors are asked for."""
    return replace(context, watched={"apps": ("checkout",), "prom": ("checkout",)})
