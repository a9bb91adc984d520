"""A PostgreSQL cluster under Patroni: every node read twice, as server and as manager."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from adapters.context import AdapterContext, Polled, split_address
from adapters.databases.etcd import EtcdStore
from adapters.databases.patroni_acts import PatroniActs
from adapters.databases.patroni_history import StoredHistory
from adapters.databases.patroni_identity import MemberName
from adapters.databases.patroni_options import PatroniOptions, StoreEntry
from adapters.databases.patroni_parse import Dynamic, last_contact, parse_config, parse_node, parse_object
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_cluster import PostgresCluster, access_of, acting_access
from adapters.databases.postgres_lease import engine_name
from adapters.databases.postgres_progress import Progress
from adapters.databases.remembered import LeaseWatch
from adapters.net.answers_read import read_json
from adapters.net.certificate_watch import CertificateWatch
from adapters.net.http_act import HttpActor
from adapters.net.http_client import Reply
from adapters.net.http_read import HttpReader
from adapters.net.origin import Credential, Origin
from state.errors import ReadFailure, Trouble
from state.estate.addresses import is_loopback
from state.ports.database import LeaderLease
from state.ports.target import UNREADABLE, Identity, began
from state.verdicts.votes import STANDBY_LEADER
from state.world.readings import PatroniReading, PostgresReading

KIND = "patroni"
OPTIONS = PatroniOptions
CONFIG_SECONDS = 30.0
LARGEST = 256 << 10
"""Bytes of an answer: a cluster of a thousand members has fewer, and reading them at once takes a few milliseconds."""
R = TypeVar("R")


class PatroniNode:
    """One member's REST API."""

    def __init__(self, node: str, scope: str, api: str, reader: HttpReader, actor: HttpActor) -> None:
        self.node = node
        self._scope = scope
        self.name = MemberName(node, api)
        self.reader = reader
        self._actor = actor
        self._dynamic = Dynamic()
        self._progress = Progress()
        self._config_at = float("-inf")
        origin = reader.origin
        secure = origin.scheme == "https"
        self._certificate = (
            CertificateWatch(origin.host, origin.port, postgres=False, via=reader.via, trusted=reader.trusted)
            if secure
            else None
        )

    @property
    def acts_at(self) -> str:
        """Its address, the same for every account of this host."""
        origin, via = self.reader.origin, self.reader.via
        host = "loopback" if via is None and is_loopback(origin.host) else origin.host.lower()
        return f"patroni {f'{via.name} ' if via is not None else ''}{host}:{origin.port}"

    async def read(self, *, deadline: float) -> PatroniReading:
        """What the member reports about itself, and the cluster as its store has it. Raises ReadFailure, also when it
        is a member of another cluster or another member.

        When only the cluster view fails (store unreachable), the reading comes without members.
        """
        end = time.monotonic() + deadline
        where = f"Patroni {self.node}"
        own = parse_object(await self.reader.get("/patroni", deadline=deadline, cap=LARGEST), where)
        began = time.monotonic()
        cluster = await self.cluster(end)
        if time.monotonic() - self._config_at > CONFIG_SECONDS or self._otherwise(own):
            await self._read_config(end)
        contact = last_contact(own)
        age = None if contact is None else self._progress.still("dcs", contact, began)
        reading = parse_node(self.node, own, cluster or {}, self._dynamic, age)
        if reading.scope != self._scope:
            message = f"{self.node} says it is a member of scope {reading.scope}, not of {self._scope}"
            raise ReadFailure(Trouble.ERROR, message)
        await self.name.prove(own, cluster)
        if self._certificate is None:
            return reading
        days = await self._certificate.days(deadline=end - time.monotonic())
        seen = self._certificate
        return replace(reading, certificate_days=days, certificate_unread=seen.unread, certificate_refused=seen.refused)

    async def send(self, method: str, path: str, body: Mapping[str, Any] | None, deadline: float) -> Reply:
        """Send a request with the credential, once. Raises EffectRefused and EffectUnknown."""
        return await self._actor.send(method, path, body, deadline=deadline)

    async def refused(self, *, signed: bool, deadline: float) -> Reply:
        """The answer to a change of nothing: Patroni judges who asks before it refuses the empty document (400).

        Without the credential when not `signed`. Raises EffectRefused and EffectUnknown as an effect does.
        """
        actor = self._actor if signed else replace(self._actor, credential=None)
        return await actor.send("PATCH", "/config", {}, deadline=deadline)

    async def history(self, deadline: float) -> list[Any]:
        """Rows of timeline, the position where it ended, and why. Raises ReadFailure."""
        rows = read_json(await self.reader.get("/history", deadline=deadline, cap=LARGEST))
        return rows if isinstance(rows, list) else []

    async def close(self) -> None:
        await self.reader.close()

    async def cluster(self, end: float) -> dict[str, Any] | None:
        """The cluster as its store has it, asked until `end` (monotonic seconds); None when it is not told."""
        try:
            body = await self.reader.get("/cluster", deadline=max(0.0, end - time.monotonic()), cap=LARGEST)
            return parse_object(body, f"Patroni {self.node}")
        except ReadFailure:
            return None

    def _otherwise(self, own: Mapping[str, Any]) -> bool:
        """Whether its role is not that of the configuration as it was read: one of the two has just changed."""
        role = own.get("role")
        expected = {STANDBY_LEADER: True, "primary": False, "master": False}.get(role if isinstance(role, str) else "")
        return expected is not None and self._dynamic.standby is (not expected)

    async def _read_config(self, end: float) -> None:
        try:
            body = await self.reader.get("/config", deadline=max(0.0, end - time.monotonic()), cap=LARGEST)
            self._dynamic = parse_config(parse_object(body, f"Patroni {self.node}"))
        except ReadFailure:
            return
        self._config_at = time.monotonic()


class PatroniCluster(PostgresCluster, PatroniActs):
    """Fulfils Database, HasManagers, HasLease and ActsAt, and what PostgresCluster and PatroniActs do."""

    def __init__(
        self,
        name: str,
        scope: str,
        servers: Sequence[PostgresNode],
        managers: Sequence[PatroniNode],
        acting: Access | None = None,
    ) -> None:
        PostgresCluster.__init__(self, name, servers, acting)
        self._managers = {manager.node: manager for manager in managers}
        PatroniActs.__init__(self, name, self._managers)
        self._scope, self._lease, self._history = scope, LeaseWatch(), StoredHistory()

    def acts_at(self) -> tuple[str, ...]:
        """The API of every member: a switchover is asked of any."""
        return tuple(manager.acts_at for manager in self._managers.values())

    async def read_node(self, node: str, *, deadline: float) -> PostgresReading:
        """What the PostgreSQL server reports; of the one that has the leader lock with its descent by the store, where
        the account may not read its history files. Raises ReadFailure."""
        end = time.monotonic() + deadline
        reading = await super().read_node(node, deadline=deadline)
        lease = self._lease.told()
        leads = not reading.in_recovery and lease.holder == node and lease.free_for is None
        if reading.history is not None or not leads:
            return reading
        found = await self._history.of(self._managers[node], reading, deadline=end - time.monotonic())
        return replace(reading, history=found)

    async def read_member(self, node: str, *, deadline: float) -> PatroniReading:
        """What the manager reports. Raises ReadFailure."""
        reading = await self._managers[node].read(deadline=deadline)
        self._lease.saw(reading)
        return reading

    def lease(self) -> LeaderLease:
        """The leader lock, as the members told it."""
        return self._lease.told()

    async def identify(self, *, deadline: float) -> Identity:
        """Scope, system identifier, leader, its timeline, and each node's server process.

        Raises ReadFailure unless exactly one node says that it leads. A node that does not answer is written as
        `unreadable`.
        """
        return await self._identified(deadline, unled=False)

    async def identify_unled(self, *, deadline: float) -> Identity:
        """The same where no node says that it leads; of several that do all are named. Raises ReadFailure when no
        member answers."""
        return await self._identified(deadline, unled=True)

    async def _identified(self, deadline: float, *, unled: bool) -> Identity:
        members, servers = await asyncio.gather(
            asyncio.gather(*(_attempt(self.read_member(node, deadline=deadline)) for node in self.nodes)),
            asyncio.gather(*(_attempt(self.read_node(node, deadline=deadline)) for node in self.nodes)),
        )
        read = [each for each in members if each is not None]
        leaders = [each.node for each in read if each.role in ("primary", STANDBY_LEADER)]
        leader = " and ".join(leaders)
        if len(leaders) > 1 and not unled:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: {leader} say that they lead")
        if not leaders and not (unled and read):
            raise ReadFailure(Trouble.ERROR, f"{self.name}: no node that answers says it leads")
        facts = {"scope": self._scope, "leader": leader or "no node"}
        facts["system id"] = ", ".join(sorted({each.system_id for each in read}))
        for node, server in zip(self.nodes, servers, strict=True):
            if server is not None:
                facts[node] = f"{server.system_id} at {server.server_address} since {began(server.started_at)}"
                if node == leader:
                    facts["timeline"] = str(server.timeline)
            else:
                facts[node] = UNREADABLE
        facts.setdefault("timeline", UNREADABLE)
        return Identity(self.name, facts)

    def manager(self, node: str) -> PatroniNode:
        """One node's manager."""
        return self._managers[node]

    async def close_member(self, node: str) -> None:
        await self._managers[node].close()


async def _attempt(read: Awaitable[R]) -> R | None:
    """The reading, or None when there is none."""
    try:
        return await read
    except ReadFailure:
        return None


def build(name: str, options: PatroniOptions, context: AdapterContext) -> tuple[PatroniCluster, Sequence[Polled]]:
    """The cluster of one estate entry and its sources `postgres:db/node` and `patroni:db/node`.

    Raises ConfigError for a secret or a file of certificates that cannot be used.
    """
    cluster = cluster_of(name, options, context, engine_name())
    sources = _sources(name, cluster, context)
    if options.store is not None:
        store = _store(name, options, options.store, context)
        sources.append(context.source(f"store:{name}", store.read, store.close))
    return cluster, sources


def cluster_of(name: str, options: PatroniOptions, context: AdapterContext, engine: str = "") -> PatroniCluster:
    """The cluster of one estate entry; with the name of an engine, the servers' leases are its own. Raises ConfigError
    as `build` does."""
    ca = context.authorities(f"databases.{name}", options.ca)
    client, via = context.client(options.cert, options.key), context.way(options.via)
    access = access_of(name, options, context)
    credential = _credential(options, context)
    servers, managers = [], []
    for node, each in options.nodes.items():
        servers.append(PostgresNode(node, *split_address(each.postgres), access, engine))
        reader = HttpReader(each.api, ca=ca, client=client, via=via)
        actor = HttpActor(Origin.of(each.api), ca, credential, client=client, via=via)
        managers.append(PatroniNode(node, options.scope, each.api, reader, actor))
    return PatroniCluster(name, options.scope, servers, managers, acting_access(options, context, access))


def _store(name: str, options: PatroniOptions, entry: StoreEntry, context: AdapterContext) -> EtcdStore:
    ca = context.authorities(f"databases.{name}", options.ca)
    client, via = context.client(options.cert, options.key), context.way(options.via)
    servers = [HttpReader(url, ca=ca, client=client, via=via) for url in entry.etcd]
    return EtcdStore(options.scope, entry.namespace, servers, entry.user, context.secret(entry.password))


def _credential(options: PatroniOptions, context: AdapterContext) -> Credential | None:
    secret = context.secret(options.api_password)
    return None if secret is None or options.api_user is None else Credential(secret, options.api_user)


def _sources(name: str, cluster: PatroniCluster, context: AdapterContext) -> list[Polled]:
    sources = []
    for node in cluster.nodes:
        read, close = partial(cluster.read_node, node), partial(cluster.close_node, node)
        sources.append(context.source(f"postgres:{name}/{node}", read, close, steady=True))
        ask, leave = partial(cluster.read_member, node), partial(cluster.close_member, node)
        sources.append(context.source(f"patroni:{name}/{node}", ask, leave))
    return sources
