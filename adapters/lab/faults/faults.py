"""Faults of applications, links, processes and roles."""

from __future__ import annotations

import json
import signal
from typing import ClassVar

from adapters.lab.cluster import SQL_ERRORS
from adapters.lab.errors import LabError, NoSuchFaultError
from adapters.lab.faults.fault import Fault
from adapters.lab.links.links import Mode
from adapters.lab.process.processes import postgres_family, send, state_of
from adapters.lab.targets import DNS_ERRORS, Bench
from adapters.lab.topology import CONTRACTED, SCHEMA_VERSION, SITES
from adapters.lab.waiting import until
from state.config_files.suggestions import not_found

WRONG_ADDRESS = "127.0.9.9"  # loopback, where nothing of the lab listens: refused at once


class BadRelease(Fault):
    """A release that fails takes all traffic, as a bad deploy would."""

    name = "bad-release"
    description = "green (v42) fails 20% of requests, 400 ms late, and takes all checkout traffic in both sites"
    undo_text = "repair green, set the weights of blue to 100 and green to 0"
    needs = frozenset({"apps", "haproxy"})
    errors: ClassVar[float] = 0.2
    latency: ClassVar[float] = 0.4

    async def choose(self, target: str | None) -> str:
        if target not in (None, "green"):
            raise NoSuchFaultError(f"{self.name} works on green only, not on {target!r}")
        return "green"

    async def _set(self, errors: float, latency: float) -> None:
        for site in SITES:
            app = self.bench.topology.apps[f"green-{site}"]
            url = f"http://{app.host}:{app.port}/fault?errors={errors}&latency={latency}"
            status, _ = await self.bench.cluster.post(url)
            if status != 200:
                raise LabError(f"{app.name} did not accept the fault")

    async def inject(self, target: str) -> None:
        await self._set(self.errors, self.latency)
        for site in SITES:
            await self.bench.set_weight(site, "green", 100)
            await self.bench.set_weight(site, "blue", 0)

    async def undo(self, target: str) -> None:
        for site in SITES:
            await self.bench.set_weight(site, "blue", 100)
            await self.bench.set_weight(site, "green", 0)
        await self._set(0, 0)

    async def undone(self, target: str) -> bool:
        for site in SITES:
            weights = (await self.bench.weight(site, "blue"), await self.bench.weight(site, "green"))
            app = self.bench.topology.apps[f"green-{site}"]
            status, body = await self.bench.cluster.get(f"http://{app.host}:{app.port}/fault")
            if weights != (100, 0) or status != 200 or any(json.loads(body).values()):
                return False
        return True


class ContractMigration(Fault):
    """A step of the schema that the older release does not survive, and that loses data on the way back."""

    name = "contract-migration"
    description = f"checkout's schema is at {CONTRACTED}: v41 does not run on it, and v42 cannot be left without loss"
    undo_text = f"put the schema's version back to {SCHEMA_VERSION}"
    needs = frozenset({"postgres"})

    async def choose(self, target: str | None) -> str:
        if target not in (None, "checkout"):
            raise NoSuchFaultError(f"{self.name} works on checkout only, not on {target!r}")
        return "checkout"

    async def _primary(self) -> str:
        primary = await self.bench.cluster.primary()
        if primary is None:
            raise LabError("no node is the primary now")
        return primary

    async def inject(self, target: str) -> None:
        sql = "insert into schema_migrations (version) values ($1) on conflict do nothing"
        await self.bench.cluster.query(await self._primary(), sql, CONTRACTED)

    async def undo(self, target: str) -> None:
        sql = "delete from schema_migrations where version = $1"
        await self.bench.cluster.query(await self._primary(), sql, CONTRACTED)

    async def undone(self, target: str) -> bool:
        rows = await self.bench.cluster.query(await self._primary(), "select max(version) from schema_migrations")
        return bool(rows[0][0] == SCHEMA_VERSION)


class FreezePrimary(Fault):
    """The primary stops answering but keeps its connections."""

    name = "freeze-primary"
    description = "SIGSTOP of every PostgreSQL process of the primary: it keeps its connections and never answers"
    undo_text = "SIGCONT; Patroni lets it rejoin, and is started where somebody ended it"
    needs = frozenset({"postgres"})
    seconds = 60
    limit = 300

    async def choose(self, target: str | None) -> str:
        name = target or await self.bench.cluster.primary()
        if name is None or name not in self.bench.topology.nodes:
            raise LabError(f"{name!r} is not a node of this lab" if name else "no node is the primary now")
        return name

    async def inject(self, target: str) -> None:
        family = postgres_family(self.bench.data_of(target))
        if not family:
            raise LabError(f"PostgreSQL on {target} is not running")
        send(family, signal.SIGSTOP)
        send(postgres_family(self.bench.data_of(target)), signal.SIGSTOP)  # those started after the first list

    async def undo(self, target: str) -> None:
        send(postgres_family(self.bench.data_of(target)), signal.SIGCONT)
        await self.bench.resume_node(target)

    async def undone(self, target: str) -> bool:
        family = postgres_family(self.bench.data_of(target))
        frozen = [pid for pid in family if state_of(pid) == "stopped"]
        return bool(family) and not frozen and await self.bench.cluster.settled()


class KillNode(Fault):
    """A node is killed at once."""

    name = "kill-node"
    description = "SIGKILL of Patroni and PostgreSQL of a node, a standby by default"
    undo_text = "start Patroni again and wait until the node streams"
    needs = frozenset({"postgres"})

    async def choose(self, target: str | None) -> str:
        return await self.bench.standby(target)

    async def inject(self, target: str) -> None:
        self.bench.kill_node(target)
        await self.bench.children.wait(target)

    async def undo(self, target: str) -> None:
        await self.bench.resume_node(target)

    async def undone(self, target: str) -> bool:
        return await self.bench.cluster.settled()


class CutReplication(Fault):
    """A standby is silently cut off from its primary."""

    name = "cut-replication"
    description = "the replication link of a standby drops all data: it falls behind without an error"
    undo_text = "open the link and close its old connections; the standby connects again"
    needs = frozenset({"postgres"})

    async def choose(self, target: str | None) -> str:
        return await self.bench.standby(target)

    async def inject(self, target: str) -> None:
        await self.bench.wiring.set(f"replication-{target}", Mode.BLACKHOLE)

    async def undo(self, target: str) -> None:
        await self.bench.wiring.set(f"replication-{target}", Mode.PASS)
        self.bench.wiring.link(f"replication-{target}").cut(reset=True)

    async def undone(self, target: str) -> bool:
        return target in await self.bench.cluster.streaming() or await self.bench.cluster.primary() == target


class SplitBrainFault(Fault):
    """Two nodes accept writes."""

    name = "split-brain"
    description = "the agent of a standby is frozen and its PostgreSQL promoted: two nodes accept writes"
    undo_text = "SIGCONT of the agent, which demotes, rewinds and follows; without one its data are copied anew"
    needs = frozenset({"postgres"})
    seconds = 60
    limit = 300
    settles_within = 60

    async def choose(self, target: str | None) -> str:
        name = await self.bench.standby(target)
        if await self.bench.cluster.in_recovery(name) is not True:
            raise LabError(f"{name} is not a standby")
        return name

    async def inject(self, target: str) -> None:
        self.bench.freeze_agent(target)
        try:
            await self.bench.promote(target)
            # pg_rewind before 16 reads the timeline from the last checkpoint, and would find nothing to rewind.
            await self.bench.cluster.query(target, "checkpoint")
            sql = "insert into orders (number, site, release) values (-extract(epoch from now())::bigint, 'rogue', '-')"
            await self.bench.cluster.query(target, sql)
        except (*SQL_ERRORS, LabError) as error:
            await self.undo(target)
            raise LabError(f"{target} was not made a second primary: {error}") from error

    async def undo(self, target: str) -> None:
        if self.bench.managed:
            await self.bench.resume_node(target)
        elif await self.bench.cluster.in_recovery(target) is not True:
            await self.bench.new_node(target)

    async def undone(self, target: str) -> bool:
        if state_of(self.bench.children.pid(target)) != "running":
            return False
        return await self.bench.cluster.settled()


class HangSource(Fault):
    """A source accepts connections and never answers."""

    name = "hang-source"
    description = "a link of the engine accepts connections and never answers; by default a monitor's"
    undo_text = "let the link pass again"

    async def choose(self, target: str | None) -> str:
        names = self.bench.wiring.names()
        if target is None:
            target = next((n for n in ("engine-prometheus", "engine-patroni-n2", *names) if n in names), None)
        if target not in names:
            raise NoSuchFaultError(str(not_found("link", str(target), names)))
        return target

    async def inject(self, target: str) -> None:
        await self.bench.wiring.set(target, Mode.BLACKHOLE)

    async def undo(self, target: str) -> None:
        await self.bench.wiring.set(target, Mode.PASS)

    async def undone(self, target: str) -> bool:
        return self.bench.wiring.status_of(target).mode == Mode.PASS


class WrongDns(Fault):
    """A name points to an address where nothing listens."""

    name = "wrong-dns"
    description = f"the A record of a name, checkout by default, points to {WRONG_ADDRESS}, where nothing listens"
    undo_text = "restore the addresses, unless they were already changed"
    needs = frozenset({"dns"})

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._before: dict[str, list[str]] = {}

    async def choose(self, target: str | None) -> str:
        name = target or "checkout"
        try:
            addresses = await self.bench.resolve(name)
        except DNS_ERRORS as error:
            raise LabError(f"the DNS server does not answer: {type(error).__name__}") from error
        if not addresses:
            raise NoSuchFaultError(f"no record {name!r}")
        self._before[name] = addresses
        return name

    async def inject(self, target: str) -> None:
        await self.bench.point(target, [WRONG_ADDRESS])

    async def undo(self, target: str) -> None:
        if not await self.undone(target):
            await self.bench.point(target, self._before[target])

    async def undone(self, target: str) -> bool:
        try:
            return WRONG_ADDRESS not in await self.bench.resolve(target)
        except DNS_ERRORS:
            return False


class ReloadBalancer(Fault):
    """A balancer loses the changes made at run time."""

    name = "reload-balancer"
    description = "a site's HAProxy is reloaded: every change made at run time is lost"
    undo_text = "nothing to undo: the configuration file applies again"
    needs = frozenset({"haproxy"})
    seconds = 0
    limit = 0

    async def choose(self, target: str | None) -> str:
        site = target or "east"
        if site not in SITES:
            raise NoSuchFaultError(str(not_found("site", site, SITES)))
        return site

    async def inject(self, target: str) -> None:
        old = self.bench.children.pid(f"haproxy-{target}")
        await self.bench.start_balancer(target, replace=True)
        pid = f"Pid: {self.bench.children.pid(f'haproxy-{target}')}"

        async def replaced() -> bool:
            try:
                info = await self.bench.runtime(target, "show info")
            except LabError:
                return False
            return pid in info.splitlines()

        await until(f"haproxy-{target} took over from {old}", replaced, 5)

    async def undo(self, target: str) -> None:
        return

    async def undone(self, target: str) -> bool:
        return True
