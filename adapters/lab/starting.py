"""Starts each component and waits until it answers; readiness is read from the component, never assumed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from adapters.lab.cluster import SQL_ERRORS
from adapters.lab.errors import LabError
from adapters.lab.files import write_private
from adapters.lab.plain import set_up
from adapters.lab.process.children import python, unprivileged
from adapters.lab.progress import Reporter
from adapters.lab.render import zone_records
from adapters.lab.services.dns_server import DnsServer, Zone
from adapters.lab.targets import DNS_ERRORS, Bench
from adapters.lab.topology import KEY_ALGORITHM, KEY_NAME, LOCAL, SITES, TTL, ZONE, digest_of
from adapters.lab.waiting import until

STAGGER = 0.6  # seconds; raft peers that start together may miss each other and retry only after 5 s
LIMIT = 60.0  # seconds for any component
NAMED_LIMIT = 3.0  # seconds for BIND, which has a replacement


class Starter:
    """Starts components on a bench and reports on each."""

    def __init__(self, bench: Bench, reporter: Reporter) -> None:
        self._bench = bench
        self._report = reporter.report

    async def _answers(
        self,
        component: str,
        condition: Callable[[], Awaitable[bool]],
        *,
        child: str | None = None,
        limit: float = LIMIT,
    ) -> None:
        """Wait until a component answers. Raises LabError when its process ended or the limit passed."""

        async def answers_or_ended() -> bool:
            if child is not None and (code := self._bench.children.exit_code(child)) is not None:
                raise LabError(f"{component} ended with {code}: {self._bench.children.log_tail(child)}")
            return await condition()

        await until(f"{component} answers", answers_or_ended, limit, every=0.05)
        self._report(component, "ready")

    def _ok(self, url: str) -> Callable[[], Awaitable[bool]]:
        async def ok() -> bool:
            return (await self._bench.cluster.get(url))[0] == 200

        return ok

    async def monitor(self, name: str) -> None:
        """Start Prometheus or Alertmanager."""
        bench, root = self._bench, self._bench.topology.root
        port: int = getattr(bench.topology, name)
        data = "--storage.tsdb.path" if name == "prometheus" else "--storage.path"
        argv = [
            str(bench.binaries[name].path),
            f"--config.file={root / name}.yml",
            f"{data}={root / name}-data",
            f"--web.listen-address={LOCAL}:{port}",
            "--log.level=warn",
        ]
        argv += ["--storage.tsdb.retention.time=2h"] if name == "prometheus" else ["--cluster.listen-address="]
        self._report(name, "starting")
        await bench.children.start(name, argv, bench.binaries[name].environment)
        await self._answers(name, self._ok(f"http://{LOCAL}:{port}/-/ready"), child=name)

    async def dns(self) -> DnsServer | None:
        """Start BIND where it is installed, else the built-in server, which is returned."""
        named = self._bench.binaries.get("named")
        if named is not None:
            config = self._bench.topology.root / "named.conf"
            argv = [str(named.path), "-g", "-n", "1", "-c", str(config)]
            await self._bench.children.start("named", unprivileged(argv), named.environment)
            try:
                await self._answers("dns", self._resolves, child="named", limit=NAMED_LIMIT)
            except LabError as error:  # AppArmor of some distributions forbids BIND to read its files here
                self._report("dns", "starting", f"built-in server instead of BIND: {error}")
                await self._bench.children.end("named")
            else:
                return None
        key = (KEY_NAME, self._bench.credentials.tsig, KEY_ALGORITHM)
        server = DnsServer(Zone(ZONE, zone_records(), TTL), key)
        await server.start(LOCAL, self._bench.topology.dns)
        await self._answers("dns", self._resolves)
        return server

    async def _resolves(self) -> bool:
        try:
            return bool(await self._bench.resolve("checkout"))
        except DNS_ERRORS:
            return False

    async def balancer(self, site: str) -> None:
        """Start the HAProxy of a site."""
        name = f"haproxy-{site}"
        await self._bench.start_balancer(site)
        url = f"http://{SITES[site]}:{self._bench.topology.stats}/metrics"
        await self._answers(name, self._ok(url), child=name)

    async def database(self) -> None:
        """Start every node, prepare the database on the first primary, wait until all standbys stream."""
        bench = self._bench
        for name in bench.topology.nodes if bench.managed else ():
            self._report(name, "starting")
            await bench.start_node(name)
            await asyncio.sleep(STAGGER)
        if not bench.managed:
            await set_up(bench, self._report)
        await self._answers("primary", self._has_primary)
        primary = await bench.cluster.primary()

        async def prepared() -> bool:
            try:
                await bench.cluster.prepare(primary or "n1")
            except SQL_ERRORS:
                return False
            return True

        await self._answers("database", prepared)
        await self._answers("replication", bench.cluster.healthy)
        if bench.topology.standby:
            await self._standby_cluster()

    async def _standby_cluster(self) -> None:
        """Start the members that follow the primary: the first with the lock copies it and leads, the others follow."""
        members = self._bench.topology.standby
        for name in members:
            self._report(name, "starting")
            await self._bench.start_node(name)
            await asyncio.sleep(STAGGER)
        await self._answers("standby cluster", self._followed)

    async def _followed(self) -> bool:
        """One leads, by its own word, and all others stream from it."""
        cluster, members = self._bench.cluster, self._bench.topology.standby
        for name in members:
            if (code := self._bench.children.exit_code(name)) is not None:
                raise LabError(f"{name} ended with {code}: {self._bench.children.log_tail(name)}")
        told = await cluster.members(members)
        roles = sorted(str(each["role"]) for each in told.values() if each["state"] in ("running", "streaming"))
        return roles == ["replica"] * (len(members) - 1) + ["standby_leader"]

    async def _has_primary(self) -> bool:
        for name in self._bench.topology.nodes:
            if (code := self._bench.children.exit_code(name)) is not None:
                raise LabError(f"{name} ended with {code}: {self._bench.children.log_tail(name)}")
        return await self._bench.cluster.primary() is not None

    async def apps(self) -> None:
        """Start the processes of the demo apps, and wait until each server is alive."""
        topology = self._bench.topology
        for process in topology.processes:
            spec = topology.root / f"{process}.json"
            write_private(spec, json.dumps(self._spec(process)))
            await self._bench.children.start(process, python("adapters.lab.services.demo_app", str(spec)))
        each = [
            self._answers(app.name, self._ok(f"http://{app.host}:{app.port}/healthz"), child=app.process)
            for app in topology.apps.values()
        ]
        await asyncio.gather(*each)

    def _spec(self, process: str) -> dict[str, object]:
        topology = self._bench.topology
        servers = [app for app in topology.apps.values() if app.process == process]
        names = ("server", "service", "release", "site", "host", "port")
        writes = servers[0].service == "checkout"
        database = None
        if {"postgres", "haproxy"} <= self._bench.present:
            only_primary = len(topology.nodes) == 1
            database = {
                "host": servers[0].host,
                "port": topology.pg_rw if writes or only_primary else topology.pg_ro,
                "user": "shop",
                "password_file": str(topology.root / "shop-password"),
                "application_name": process,
                "writes": writes,
            }
        specs = [
            {**{key: getattr(app, key) for key in names}, "digest": digest_of(app.service, app.release)}
            for app in servers
        ]
        return {"servers": specs, "database": database}

    async def serving(self) -> None:
        """Wait until both sites answer a request from end to end."""
        if not {"apps", "haproxy"} <= self._bench.present:
            return
        for site, host in SITES.items():
            for path in ("/order/health", "/catalog/health"):
                url = f"http://{host}:{self._bench.topology.frontend}{path}"
                await self._answers(f"{site} {path}", self._ok(url))
