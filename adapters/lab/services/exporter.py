"""Queries every PostgreSQL node once a second and exports the answers with postgres_exporter's metric names.

Patroni's own metrics come from Patroni: a node whose agent is frozen reports nothing there, and may still accept
writes. These come from the servers.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import asyncpg
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from adapters.lab.topology import LOCAL, Node, Topology

log = logging.getLogger(__name__)
DEADLINE = 0.9  # seconds
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
QUERY = """
select pg_is_in_recovery() as replica,
       extract(epoch from now() - (select last_msg_receipt_time from pg_stat_wal_receiver))::float8 as age
"""


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a server reported about itself. `replica` is None when it gave no answer; `age` in seconds."""

    replica: bool | None
    age: float | None


class Exporter:
    """One connection for each node, opened again when it breaks."""

    def __init__(self, topology: Topology, password: str) -> None:
        self._topology = topology
        self._password = password
        self._connections: dict[str, asyncpg.Connection[asyncpg.Record]] = {}
        self._runners: list[asyncio.Task[None]] = []
        self._web: web.AppRunner | None = None
        self._roles: list[web.AppRunner] = []
        self.states: dict[str, NodeState] = {}

    async def start(self, *, roles: bool) -> None:
        """Begin to ask and to serve `/metrics`; with `roles` also, in Patroni's place, `/primary` and `/replica` of
        each node for the checks of balancers. Raises OSError when a port is taken."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        self._web = web.AppRunner(app, access_log=None)
        await self._web.setup()
        await web.TCPSite(self._web, LOCAL, self._topology.exporter).start()
        for node in self._topology.nodes.values() if roles else ():
            await self._serve_role(node)
        self._runners = [asyncio.create_task(self._follow(node)) for node in self._topology.nodes.values()]

    async def stop(self) -> None:
        for task in self._runners:
            task.cancel()
        await asyncio.gather(*self._runners, return_exceptions=True)
        for connection in self._connections.values():
            connection.terminate()
        for each in (self._web, *self._roles):
            if each is not None:
                await each.cleanup()

    async def _serve_role(self, node: Node) -> None:
        """By what the server said last: 200 for the role that it has, else 503."""

        async def answer(request: web.Request) -> web.Response:
            state = self.states.get(node.name)
            wanted = request.path == "/replica"
            return web.Response(status=200 if state is not None and state.replica is wanted else 503)

        app = web.Application()
        for path in ("/primary", "/replica"):
            app.router.add_route("*", path, answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        self._roles.append(runner)
        await runner.setup()
        await web.TCPSite(runner, node.host, node.api).start()

    async def _follow(self, node: Node) -> None:
        while True:
            # A task of its own: however it ends, or does not, its last answer must not stand for a later one.
            asking = asyncio.create_task(self._ask(node))
            try:
                await asyncio.wait({asking}, timeout=DEADLINE)
            finally:
                asking.cancel()
            if asking.done() and not asking.cancelled() and asking.exception() is None:
                self.states[node.name] = asking.result()
            else:
                self._lost(node, asking)
            await asyncio.sleep(1)

    def _lost(self, node: Node, asking: asyncio.Task[NodeState]) -> None:
        self.states[node.name] = NodeState(None, None)
        if connection := self._connections.pop(node.name, None):
            connection.terminate()
        if asking.done() and not asking.cancelled() and not isinstance(error := asking.exception(), ERRORS):
            log.error("reading %s failed", node.name, exc_info=error)

    async def _ask(self, node: Node) -> NodeState:
        connection = self._connections.get(node.name)
        if connection is None:
            connection = await asyncpg.connect(
                host=node.host,
                port=node.postgres,
                user="recovery",
                password=self._password,
                database="postgres",
                ssl=False,
                timeout=DEADLINE,
                server_settings={"application_name": "exporter"},
            )
            self._connections[node.name] = connection
        row = await connection.fetchrow(QUERY)
        if row is None:
            return NodeState(None, None)
        return NodeState(row["replica"], row["age"])

    async def _metrics(self, _request: web.Request) -> web.Response:
        registry = CollectorRegistry()
        up = Gauge("pg_up", "The server answered", ["node"], registry=registry)
        replica = Gauge("pg_replication_is_replica", "In recovery", ["node"], registry=registry)
        age = Gauge(
            "pg_stat_wal_receiver_age_seconds", "Since the last message of the primary", ["node"], registry=registry
        )
        for name, state in self.states.items():
            up.labels(name).set(state.replica is not None)
            if state.replica is not None:
                replica.labels(name).set(state.replica)
            if state.replica:
                # A replica without a receiver gets nothing: that must not look like a missing value.
                age.labels(name).set(float("inf") if state.age is None else max(0.0, state.age))
        return web.Response(body=generate_latest(registry), headers={"Content-Type": METRICS_TYPE})
