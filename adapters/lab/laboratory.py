"""One lab from start to end: plans it, starts its components in the quickest order, reports when it is live."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adapters.lab import render
from adapters.lab.cluster import Cluster
from adapters.lab.control import LabControl
from adapters.lab.errors import LabError
from adapters.lab.estate import estate, write_estate, write_secrets
from adapters.lab.faults.schedule import FaultSchedule
from adapters.lab.files import write_private
from adapters.lab.links.wiring import Wiring
from adapters.lab.nodes import NodeActs
from adapters.lab.options import LabOptions
from adapters.lab.powers import second_person
from adapters.lab.process import binaries
from adapters.lab.process.children import Children
from adapters.lab.progress import Reporter
from adapters.lab.services.dns_server import DnsServer
from adapters.lab.services.exporter import Exporter
from adapters.lab.services.load import Load
from adapters.lab.starting import Starter
from adapters.lab.targets import Bench
from adapters.lab.topology import SITES, PortPlan, build, make_credentials

CATALOG_RATE = 0.5  # catalog reads for each order


class Laboratory:
    """The supervisor's work. `directory` has the files for clients; `root` is the short temporary directory."""

    def __init__(self, directory: Path, root: Path, options: LabOptions, keeper: int) -> None:
        self._directory = directory
        self._root = root
        self._options = options
        self._keeper = keeper
        self._began = time.time()
        self._state = "starting"
        self._reporter = Reporter()
        self._down = asyncio.Event()
        self._control = LabControl(self.status, self._down)
        self._versions: dict[str, dict[str, str]] = {}
        self._missing: list[str] = []
        self._secrets: dict[str, Path] = {}
        self._load: Load | None = None
        self._exporter: Exporter | None = None
        self._dns: DnsServer | None = None
        self._bench = self._plan()
        self._schedule = FaultSchedule(self._bench)

    @property
    def control_path(self) -> Path:
        return self._root / "control.sock"

    def _plan(self) -> Bench:
        """Find the components, choose every port, render every file. Nothing runs yet."""
        options, report = self._options, self._reporter.report
        found = binaries.discover(options)
        self._missing = binaries.missing(options, found)
        for name, binary in found.items():
            report(name, "found", f"{binary.path} ({binary.origin})")
        present = {name for name in found if name != "named"}
        present |= {name for name in ("apps", "dns", "load") if options.wants(name)}
        if "postgres" in present and options.managed:
            if binaries.patroni_version() is None:
                present.discard("postgres")
                self._missing.append("patroni")
            else:
                present.add("patroni")
        faketime = binaries.find_faketime(options) if "patroni" in present else None
        present |= {"faketime"} if faketime is not None else set()
        for name in self._missing:
            report(name, "missing", _consequence(name))
        credentials = make_credentials()
        ports = PortPlan()
        followed = options.followed and {"patroni", "haproxy"} <= present
        topology = build(self._root, ports, options.members, followed=followed)
        wiring = Wiring(topology, ports.choose)
        wiring.build(present)
        self._ports = ports
        bench = Bench(
            topology=topology,
            credentials=credentials,
            binaries=found,
            present=present,
            children=Children(self._root),
            wiring=wiring,
            cluster=Cluster(topology, credentials, managed=options.managed),
            faketime=faketime,
        )
        self._secrets = write_secrets(self._directory, credentials)
        render.write_all(bench)
        second = second_person(self._directory)
        write_estate(self._directory, estate(topology, present, self.control_path, second))
        return bench

    async def run(self) -> int:
        """Start, run until a stop is requested, stop. Returns 0, or 1 when the lab did not become live."""
        report = self._reporter.report
        code = 0
        try:
            await self._run_until_stopped()
        except* (LabError, OSError) as errors:
            report("lab", "failed", "; ".join(_leaves(errors)))
            code = 1
        finally:
            self._state = "stopping"
            await self._stop()
        return code

    async def _run_until_stopped(self) -> None:
        """Start, then wait for a stop request. Raises LabError or OSError, alone or in a group."""
        await self._control.start(self.control_path)
        self._write_description()
        going = asyncio.create_task(self._down.wait())
        starting = asyncio.create_task(self._start())
        await asyncio.wait({going, starting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            raise LabError("stopped while starting")
        starting.result()
        await going

    def stop_soon(self) -> None:
        """Make `run` end; safe to call from a signal handler of the loop."""
        self._down.set()

    async def _start(self) -> None:
        bench, report = self._bench, self._reporter.report
        await bench.cluster.open()
        self._ports.release()
        await bench.wiring.start()
        report("links", "ready", f"{len(bench.wiring.names())} links")
        starter = Starter(bench, self._reporter)
        async with asyncio.TaskGroup() as group:
            for work in self._works(starter):
                group.create_task(work)
        await starter.serving()
        await self._start_traffic()
        self._control.attach(self._schedule, bench.wiring, bench.cluster, NodeActs(bench))
        self._state = "live"
        report("lab", "live", str(self._directory))
        self._write_description()

    def _works(self, starter: Starter) -> list[Coroutine[Any, Any, None]]:
        """What starts at the same time. Monitors first: Prometheus loads its targets 5 s after its start."""
        present = self._bench.present
        works = [starter.monitor(name) for name in ("prometheus", "alertmanager") if name in present]
        if "dns" in present:
            works.append(self._start_dns(starter))
        if "postgres" in present:
            works.append(self._start_database(starter))
        if "haproxy" in present:
            works += [starter.balancer(site) for site in SITES]
        if "apps" in present:
            works.append(starter.apps())
        works.append(self._read_versions())
        return works

    async def _start_dns(self, starter: Starter) -> None:
        self._dns = await starter.dns()

    async def _start_database(self, starter: Starter) -> None:
        await starter.database()
        self._exporter = Exporter(self._bench.topology, self._bench.credentials.recovery)
        await self._exporter.start(roles="patroni" not in self._bench.present)

    async def _start_traffic(self) -> None:
        present = self._bench.present
        if not {"load", "apps", "haproxy"} <= present:
            return
        rate = self._options.rate
        self._load = Load(self._bench.topology, orders=rate, reads=rate * CATALOG_RATE, resolve="dns" in present)
        await self._load.start()
        self._control.attach_load(self._load)
        self._reporter.report("load", "ready", f"{rate:g} orders/s, {rate * CATALOG_RATE:g} catalog reads/s")

    async def _read_versions(self) -> None:
        found = self._bench.binaries
        texts = await asyncio.gather(*(binaries.version_of(binary) for binary in found.values()))
        for (name, binary), text in zip(found.items(), texts, strict=True):
            self._versions[name] = {"version": text, "path": str(binary.path), "from": binary.origin}
        patroni = binaries.patroni_version()
        if patroni is not None and "patroni" in self._bench.present:
            self._versions["patroni"] = {"version": patroni, "path": "", "from": "this Python"}

    async def _stop(self) -> None:
        """Stop what runs in this process. The keeper ends the children and removes the files."""
        await self._schedule.stop()
        for part in (self._load, self._exporter, self._dns):
            if part is not None:
                await part.stop()
        await self._bench.wiring.stop()
        await self._bench.cluster.close()
        await self._control.stop()

    def status(self) -> dict[str, Any]:
        """What `GET /status` answers."""
        states = self._exporter.states if self._exporter is not None else {}
        return {
            "state": self._state,
            "directory": str(self._directory),
            "since": self._began,
            "ready": self._reporter.ready,
            "missing": self._missing,
            "present": sorted(self._bench.present),
            "versions": self._versions,
            "processes": self._bench.children.status(),
            "nodes": {name: asdict(state) for name, state in states.items()},
            "load": self._load.status() if self._load is not None else None,
            "faults": self._schedule.active(),
            "links": self._bench.wiring.status(),
        }

    def _write_description(self) -> None:
        """Write LAB.json: all a test or a person needs to connect to each part."""
        topology = self._bench.topology
        description = {
            "state": self._state,
            "directory": str(self._directory),
            "root": str(self._root),
            "control": str(self.control_path),
            "estate": str(self._directory / "estate.yaml"),
            "supervisor_pid": os.getpid(),
            "keeper_pid": self._keeper,
            "started_at": self._began,
            "ready": self._reporter.ready,
            "missing": self._missing,
            "present": sorted(self._bench.present),
            "versions": self._versions,
            "secrets": {name: str(path) for name, path in self._secrets.items()},
            "sites": SITES,
            "nodes": {name: asdict(node) for name, node in topology.nodes.items()},
            "standby_cluster": {name: asdict(node) for name, node in topology.standby.items()},
            "apps": {name: asdict(app) for name, app in topology.apps.items()},
            "ports": topology.ports(),
            "balancer_sockets": {site: str(topology.socket_of(site)) for site in SITES},
            "links": {name: str(entry["listens"]) for name, entry in self._bench.wiring.status().items()},
            "processes": self._bench.children.status(),
        }
        text = json.dumps(description, indent=1, default=str)
        write_private(self._directory / "LAB.json", text + "\n")


def _consequence(name: str) -> str:
    return {
        "prometheus": "metrics are scraped from the apps directly",
        "alertmanager": "there are no alerts",
        "haproxy": "there is no balancer and no traffic",
        "postgres": "there is no database; orders are kept in memory",
        "patroni": "there is no database; orders are kept in memory",
    }[name]


def _leaves(errors: BaseExceptionGroup[BaseException]) -> list[str]:
    texts: list[str] = []
    for error in errors.exceptions:
        texts += _leaves(error) if isinstance(error, BaseExceptionGroup) else [str(error)]
    return texts
