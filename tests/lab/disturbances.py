"""What happens to an engine in hours of work, drawn at random: faults put in and taken back, runs, changed files."""

from __future__ import annotations

import asyncio
import random
import resource
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from adapters.lab.client import LabClient
from adapters.lab.errors import LabError
from state.api.requests import Decide, PlanChange, PlanRequest, PlanRunbook, PlanUndo, Stop
from state.errors import RecoveryError
from tests.contract.alertmanagers import post_alerts
from tests.support.real_engine import RealEngine

FAULTS = ("bad-release", "kill-node", "cut-replication", "hang-source", "wrong-dns", "freeze-primary", "split-brain")
MODES = ("latency", "blackhole", "refuse", "reset", "garbage")
HELD = (4.0, 25.0)
"""Seconds for which a disturbance lasts."""
STORM = 400
"""Alerts that begin at once."""
FEW_BYTES = 4096
"""What a file may grow to while the disk is full, for this process."""
PAUSE = (0.5, 3.0)
"""Seconds between two runs: within an hour there are more than an engine holds in memory."""
OVER = ("done", "failed", "stopped")


class Disturbances:
    """A lab and an engine on it, disturbed. `counts` is how often what happened."""

    def __init__(self, lab: LabClient, engine: RealEngine, chance: random.Random) -> None:
        self._lab, self._engine, self._chance = lab, engine, chance
        self.counts: Counter[str] = Counter()
        self._links = sorted(name for name in lab.description()["links"] if not name.startswith("raft-"))
        told = lab.description()
        self._alerts = f"http://127.0.0.1:{told['ports']['alertmanager']}" if "alertmanager" in told["present"] else ""

    async def go_on(self) -> None:
        """Put one in, hold it, take it back, wait; without end. All is taken back when this is cancelled."""
        kinds = [self._fault, self._fault, self._link, self._link, self._disk, self._storm]
        while True:
            with suppress(LabError):  # this fault is not possible just now: another one
                async with self._chance.choice(kinds)():
                    await asyncio.sleep(self._chance.uniform(*HELD))
            await asyncio.sleep(self._chance.uniform(1.0, 10.0))

    @asynccontextmanager
    async def _fault(self) -> AsyncIterator[None]:
        name = self._chance.choice(FAULTS)
        await self._lab.inject(name, seconds=120)
        self.counts[f"fault {name}"] += 1
        try:
            yield
        finally:
            await self._lab.undo(name, within=240)

    @asynccontextmanager
    async def _link(self) -> AsyncIterator[None]:
        """A link of the engine is slow, cut, silent or talks nonsense."""
        name, mode = self._chance.choice(self._links), self._chance.choice(MODES)
        await self._lab.set_link(name, mode, 0.4)
        self.counts[f"link {mode}"] += 1
        try:
            yield
        finally:
            await self._lab.set_link(name, "pass")

    @asynccontextmanager
    async def _disk(self) -> AsyncIterator[None]:
        """No file of the engine can grow: the journal's writes fail as on a full disk."""
        assert self._engine.process is not None
        pid, (was, hard) = self._engine.process.pid, resource.prlimit(self._engine.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FEW_BYTES, hard))
        self.counts["disk full"] += 1
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (was, hard))

    @asynccontextmanager
    async def _storm(self) -> AsyncIterator[None]:
        """Hundreds of alerts at once, which end by themselves."""
        if self._alerts:
            mark = self._chance.randrange(1 << 30)
            names = [
                {"labels": {"alertname": f"Storm{n}", "service": "checkout", "mark": str(mark)}} for n in range(STORM)
            ]
            await asyncio.to_thread(post_alerts, self._alerts, *names)
            self.counts["storm of alerts"] += 1
        yield


class Work:
    """People at work: changes, runbooks and undos begun, some stopped, decided at random; the estate reloaded."""

    def __init__(self, engine: RealEngine, chance: random.Random) -> None:
        self._engine, self._chance = engine, chance
        self.counts: Counter[str] = Counter()

    async def go_on(self) -> None:
        """One after the other, without end."""
        while True:
            try:
                await self._one(self._request())
                if self._chance.random() < 0.1:
                    await self._reload()
            except RecoveryError as refused:
                self.counts[f"{type(refused).__name__}"] += 1
            await asyncio.sleep(self._chance.uniform(*PAUSE))

    async def fill(self, runs: int) -> None:
        """So many quick changes, as many as an engine may hold in memory: what is bounded is then full."""
        left = iter(range(runs))

        async def at(balancer: str, backend: str, server: str) -> None:
            for n in left:
                change = {"balancer": balancer, "backend": backend, "server": server, "weight": 90 + n % 10}
                with suppress(RecoveryError):  # a busy machine has not read it in time
                    await self._end(await self._engine.act("server.weight", **change))

        async with asyncio.TaskGroup() as group:
            for site in ("east", "west"):
                for backend, server in (("catalog", "a"), ("checkout", "blue")):
                    group.create_task(at(f"edge-{site}", backend, server))

    def _request(self) -> PlanRequest:
        site, server = self._chance.choice(("east", "west")), self._chance.choice(("a", "b"))
        catalog = {"balancer": f"edge-{site}", "backend": "catalog", "server": server}
        kinds: list[Callable[[], PlanRequest]] = [
            lambda: PlanChange("server.weight", {**catalog, "weight": self._chance.randint(1, 100)}),
            lambda: PlanChange("server.drain", catalog),
            lambda: PlanChange("server.ready", catalog),
            lambda: PlanChange("server.ready", catalog),
            lambda: PlanChange(
                "backend.flip",
                {"balancer": f"edge-{site}", "backend": "checkout", "to": self._chance.choice(("blue", "green"))},
            ),
            lambda: PlanRunbook("capture-evidence", {"service": self._chance.choice(("checkout", "catalog"))}),
            lambda: PlanRunbook("drain-server", {"service": "catalog", "balancer": f"edge-{site}", "server": server}),
        ]
        if self._chance.random() < 0.03:
            return PlanChange("database.switchover", {"database": "orders"})
        return self._chance.choice(kinds)()

    async def _one(self, request: PlanRequest) -> None:
        run = await self._engine.submit(await self._engine.plan(request))
        self.counts["runs"] += 1
        await self._end(run)
        if self._chance.random() < 0.3:
            undone = await self._engine.submit(await self._engine.plan(PlanUndo(run)))
            self.counts["undos"] += 1
            await self._end(undone)

    async def _end(self, run: str) -> None:
        """Wait for it, decide what it asks, stop some and those that do not go on."""
        for _ in range(120):
            await asyncio.sleep(0.5)
            row = (await self._engine.client.run(run)).runs[run]
            if row.state in OVER:
                self.counts[f"run {row.state}"] += 1
                return
            if row.state == "waiting" and row.options:
                await self._engine.client.control(run, Decide(self._chance.choice(row.options)))
            elif row.state == "paused" or self._chance.random() < 0.02:
                await self._engine.client.control(run, Stop("something else is tried"))
        await self._engine.client.control(run, Stop("it takes too long"))
        self.counts["run left"] += 1

    async def _reload(self) -> None:
        """An objective is another one, and the engine takes it."""
        file = self._engine.place.file
        assert file is not None
        text = file.read_text()
        new = text.replace("rto: 15m", "rto: 16m") if "rto: 15m" in text else text.replace("rto: 16m", "rto: 15m")
        assert new != text
        file.write_text(new)
        try:
            await self._engine.client.reload()
        except RecoveryError:
            file.write_text(text)
            raise
        self.counts["reloads"] += 1
