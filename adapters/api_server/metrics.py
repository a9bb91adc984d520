"""The engine's own metrics for Prometheus, on a loopback port, only when asked for."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from adapters.api_server.accepting import Accepting
from adapters.api_server.accounts import NOT_KNOWN
from adapters.api_server.answers import errors_as_json
from adapters.api_server.dropping import drop_overdue
from adapters.api_server.room import Room, Standing
from adapters.api_server.throttle import Throttle
from adapters.api_server.verdict_metrics import verdicts
from state.api.run_states import RunState
from state.api.service import EngineService
from state.api.views.header import HeaderView
from state.api.views.runbooks import RunbooksView
from state.api.wire import columns, is_table
from state.capabilities import topics

LOOPBACK = "127.0.0.1"
BACKLOG = 128


@dataclass(slots=True)
class LoopLag:
    """How late the event loop was, in seconds: at the last measurement and at most since the start."""

    last: float = 0.0
    worst: float = 0.0

    def record(self, late: float) -> None:
        """Take one measurement."""
        self.last = late
        self.worst = max(self.worst, late)


class EngineMetrics(Collector):
    """Reads the engine's views at the moment of a scrape; keeps no state of its own."""

    def __init__(self, service: EngineService, lag: LoopLag, streams: Callable[[], int]) -> None:
        self._service = service
        self._lag = lag
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        yield _one("recovery_loop_lag_seconds", "How late the event loop was at the last measurement.", self._lag.last)
        yield _one("recovery_loop_lag_worst_seconds", "The most it was late since the start.", self._lag.worst)
        yield _one("recovery_tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))
        yield _one("recovery_streams", "Consoles attached to the stream.", self._streams())
        header: HeaderView = self._service.view("header")
        yield _one("recovery_journal_seq", "Sequence number of the newest journal entry.", header.journal_seq)
        yield from self._sources(header)
        yield from verdicts(self._service)
        yield self._runs(self._service.view("runbooks"))
        yield self._rows()

    def _sources(self, header: HeaderView) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "recovery_source_age_seconds",
            "Age of the last good read; absent when there never was one.",
            labels=["source"],
        )
        limit = GaugeMetricFamily("recovery_source_limit_seconds", "Age past which it is old.", labels=["source"])
        failing = GaugeMetricFamily(
            "recovery_source_failing", "1 while the last read failed.", labels=["source", "trouble"]
        )
        now = self._service.mono()
        for key, row in header.sources.items():
            if row.mono is not None:
                age.add_metric([key], max(0.0, now - row.mono))
            limit.add_metric([key], row.limit)
            failing.add_metric([key, row.trouble], 1.0 if row.trouble else 0.0)
        yield from (age, limit, failing)

    def _runs(self, view: RunbooksView) -> Metric:
        runs = GaugeMetricFamily("recovery_runs", "Runs the engine knows, by state.", labels=["state"])
        for state in RunState:
            runs.add_metric([state.value], sum(run.state is state for run in view.runs.values()))
        return runs

    def _rows(self) -> Metric:
        """What every topic shows, so that a new capability is measured without a line here."""
        rows = GaugeMetricFamily(
            "recovery_rows",
            "Rows of every table a console can follow; health is empty where rows have none.",
            labels=["topic", "table", "health"],
        )
        for topic in topics():
            view = self._service.view(topic)
            for table, kind in columns(type(view)).items():
                if is_table(kind):
                    shown = getattr(view, table).values()
                    counts = Counter(str(getattr(row, "health", "")) for row in shown)
                    for health, count in (counts or {"": 0}).items():
                        rows.add_metric([topic, table, health], count)
        return rows


def _one(name: str, message: str, value: float) -> Metric:
    return GaugeMetricFamily(name, message, value=value)


class MetricsServer:
    """`GET /metrics` on loopback. Over TCP the kernel names no account: all who ask share the room of one."""

    def __init__(self, metrics: EngineMetrics, port: int) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(metrics)
        self._port = port
        self._runner: web.AppRunner | None = None
        self._room = Room()
        self._throttle = Throttle(self._room, os.getuid())
        self._accepting: Accepting | None = None
        self._dropping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        listening = socket.create_server((LOOPBACK, self._port), backlog=BACKLOG)
        listening.setblocking(False)
        app = web.Application(middlewares=[errors_as_json])
        app.router.add_get("/metrics", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, auto_decompress=False)
        await self._runner.setup()
        assert self._runner.server is not None, "a runner that was set up has a server"
        self._accepting = Accepting(
            listening, self._room, self._runner.server, lambda _: Standing.STRANGER, lambda _: NOT_KNOWN
        )
        self._accepting.start()
        self._dropping = asyncio.create_task(drop_overdue([self._room]), name="late at /metrics")

    async def stop(self) -> None:
        """Stop listening."""
        if self._accepting is not None and self._dropping is not None:
            self._accepting.close()
            self._dropping.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.Response:
        self._room.begin(request.protocol)
        try:
            if (seat := self._room.seat(request.protocol)) is not None:
                await self._throttle.admit(seat)
            return self._scraped()
        finally:
            self._room.end(request.protocol)

    def _scraped(self) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
