"""The demo services: `python -m adapters.lab.services.demo_app SPEC.json`.

A spec lists the servers of one process. `POST /order` stores an order, `GET /catalog` reads, `/order/health` and
`/catalog/health` say whether the database answers, `/healthz` whether the process does, `/metrics` is for Prometheus.
`/version` says which artifact the process runs and since when.
`POST /fault?errors=0.2&latency=0.4` makes a release bad; `GET /fault` reads it back.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

STARTED = time.time()
DATABASE_DEADLINE = 2.0  # seconds
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DATABASE_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(slots=True)
class AppFault:
    """What a bad release does: the ratio of requests answered 500, and the seconds added to each."""

    errors: float = 0.0
    latency: float = 0.0


class Metrics:
    """The usual three of an HTTP service."""

    def __init__(self, service: str, release: str) -> None:
        self.registry = CollectorRegistry()
        labels = ["service", "release"]
        self._requests = Counter("http_requests", "Requests answered", [*labels, "code"], registry=self.registry)
        self._durations = Histogram(
            "http_request_duration_seconds", "Seconds to answer", labels, buckets=BUCKETS, registry=self.registry
        )
        info = Gauge("release_info", "The release that runs", ["service", "release"], registry=self.registry)
        info.labels(service, release).set(1)
        self._names = (service, release)
        for code in ("200", "201", "500", "503"):
            self._requests.labels(*self._names, code)  # an existing series reads as 0, a missing one as no data
        self._durations.labels(*self._names)

    def observe(self, code: int, seconds: float) -> None:
        self._requests.labels(*self._names, str(code)).inc()
        self._durations.labels(*self._names).observe(seconds)


class AppServer:
    """One server of a backend: its routes on one port."""

    def __init__(self, spec: dict[str, Any], database: OrdersDatabase | None) -> None:
        self.spec = spec
        self.fault = AppFault()
        self.metrics = Metrics(spec["service"], spec["release"])
        self._database = database
        self._stored = 0

    def routes(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/order", self.order)
        app.router.add_get("/catalog", self.catalog)
        app.router.add_get("/order/health", self.health)
        app.router.add_get("/catalog/health", self.health)
        app.router.add_get("/healthz", self.alive)
        app.router.add_get("/metrics", self.exposition)
        app.router.add_get("/version", self.version)
        app.router.add_get("/fault", self.read_fault)
        app.router.add_post("/fault", self.set_fault)
        return app

    async def alive(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def version(self, _request: web.Request) -> web.Response:
        told = {"service": self.spec["service"], "version": self.spec["release"], "digest": self.spec["digest"]}
        return web.json_response({**told, "started": STARTED}, headers={"Cache-Control": "no-store"})

    async def exposition(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.metrics.registry), headers={"Content-Type": METRICS_TYPE})

    async def read_fault(self, _request: web.Request) -> web.Response:
        return web.json_response({"errors": self.fault.errors, "latency": self.fault.latency})

    async def set_fault(self, request: web.Request) -> web.Response:
        try:
            self.fault = AppFault(float(request.query.get("errors", 0)), float(request.query.get("latency", 0)))
        except ValueError:
            raise web.HTTPBadRequest(text="errors and latency must be numbers\n") from None
        return await self.read_fault(request)

    async def order(self, request: web.Request) -> web.Response:
        try:
            number = int((await request.json())["number"])
        except (ValueError, KeyError, TypeError):
            raise web.HTTPBadRequest(text='the body must be {"number": N}\n') from None
        return await self._answer("order", number)

    async def catalog(self, _request: web.Request) -> web.Response:
        return await self._answer("catalog", 0)

    async def health(self, _request: web.Request) -> web.Response:
        return await self._answer("health", 0)

    async def _answer(self, what: str, number: int) -> web.Response:
        """Do the work under the fault of the release, and count it unless it is a health check."""
        began = time.perf_counter()
        if self.fault.latency:
            await asyncio.sleep(self.fault.latency)
        if random.random() < self.fault.errors:  # noqa: S311 - chance, not cryptography
            code, body = 500, {"error": "release fault"}
        else:
            code, body = await self._work(what, number)
        if what != "health":
            self.metrics.observe(code, time.perf_counter() - began)
        names = {"release": self.spec["release"], "server": self.spec["server"], "site": self.spec["site"]}
        return web.json_response({**body, **names}, status=code)

    async def _work(self, what: str, number: int) -> tuple[int, dict[str, Any]]:
        if self._database is None:
            self._stored += what == "order"
            return (201 if what == "order" else 200), {"stored": "memory"}
        try:
            async with asyncio.timeout(DATABASE_DEADLINE):
                if what == "order":
                    await self._database.store(number, self.spec["site"], self.spec["release"])
                    return 201, {"number": number}
                return 200, {"orders": await self._database.read()}
        except DATABASE_ERRORS as error:
            return 503, {"error": type(error).__name__}


class OrdersDatabase:
    """A small pool to the site's balancer, opened when first used."""

    def __init__(self, spec: dict[str, Any], writes: bool) -> None:
        self._spec = spec
        self._writes = writes
        self._password = Path(spec["password_file"]).read_text(encoding="utf-8").strip()
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            host=self._spec["host"],
            port=self._spec["port"],
            user=self._spec["user"],
            password=self._password,
            database="postgres",
            ssl=False,
            min_size=0,
            max_size=5,
            timeout=DATABASE_DEADLINE,
            command_timeout=DATABASE_DEADLINE,
            max_inactive_connection_lifetime=10,
            server_settings={"application_name": self._spec["application_name"]},
        )

    def _opened(self) -> asyncpg.Pool[asyncpg.Record]:
        if self._pool is None:
            raise asyncpg.InterfaceError("the pool is not open")
        return self._pool

    async def store(self, number: int, site: str, release: str) -> None:
        await self._opened().execute(
            "insert into orders (number, site, release) values ($1, $2, $3)", number, site, release
        )

    async def read(self) -> int:
        """The latest order number; with `writes` also proves that the session may write."""
        if self._writes:
            await self._opened().execute("update heartbeat set at = now()")
        return int(await self._opened().fetchval("select coalesce(max(number), 0) from orders"))


async def serve(spec: dict[str, Any]) -> None:
    """Serve every server of the spec until the process ends. Raises OSError when a port is taken."""
    database: OrdersDatabase | None = None
    if spec["database"] is not None:
        database = OrdersDatabase(spec["database"], writes=spec["database"]["writes"])
        await database.open()
    for each in spec["servers"]:
        runner = web.AppRunner(AppServer(each, database).routes(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, each["host"], each["port"]).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
