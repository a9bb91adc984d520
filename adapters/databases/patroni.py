"""A PostgreSQL cluster under Patroni: every node read twice, as server and as manager, and switchover.

Patroni answers a switchover only after polling for its end, gives no reason when its leader refuses, and continues
after its caller has disconnected. Only a complete 200, 202, 400 or 412 is trusted; everything else is unknown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from adapters.context import AdapterContext, Polled, split_address
from adapters.databases.etcd import EtcdStore
from adapters.databases.patroni_identity import MemberName
from adapters.databases.patroni_options import PatroniOptions, StoreEntry
from adapters.databases.patroni_parse import Dynamic, last_contact, parse_config, parse_node, parse_object
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_lease import engine_name
from adapters.databases.postgres_progress import Progress
from adapters.net.answers_read import read_json
from adapters.net.http_act import HttpActor
from adapters.net.http_client import Reply
from adapters.net.http_read import HttpReader
from adapters.net.origin import Credential, Origin, tls_context
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.addresses import is_loopback
from state.ports.target import Identity, Receipt, began
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
        if time.monotonic() - self._config_at > CONFIG_SECONDS:
            await self._read_config(end)
        contact = last_contact(own)
        age = None if contact is None else self._progress.still("dcs", contact, began)
        reading = parse_node(self.node, own, cluster or {}, self._dynamic, age)
        if reading.scope != self._scope:
            message = f"{self.node} says it is a member of scope {reading.scope}, not of {self._scope}"
            raise ReadFailure(Trouble.ERROR, message)
        await self.name.prove(own, cluster)
        return reading

    async def switch_over(self, leader: str, candidate: str, deadline: float) -> Reply:
        """Request the switchover, once."""
        body = {"leader": leader, "candidate": candidate}
        return await self._actor.send("POST", "/switchover", body, deadline=deadline)

    async def restart(self, deadline: float) -> Reply:
        """Request a restart of its server, once, on the condition that it is a replica."""
        return await self._actor.send("POST", "/restart", {"role": "replica"}, deadline=deadline)

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

    async def _read_config(self, end: float) -> None:
        try:
            body = await self.reader.get("/config", deadline=max(0.0, end - time.monotonic()), cap=LARGEST)
            self._dynamic = parse_config(parse_object(body, f"Patroni {self.node}"))
        except ReadFailure:
            return
        self._config_at = time.monotonic()


class PatroniCluster:
    """Fulfils Database, CanSwitchOver, CanRestart, CanTellFork, ActsAt and HasServers."""

    def __init__(self, name: str, scope: str, servers: Sequence[PostgresNode], managers: Sequence[PatroniNode]) -> None:
        self.name = name
        self.nodes: Sequence[str] = [server.node for server in servers]
        self.servers: Sequence[PostgresNode] = tuple(servers)
        self._scope = scope
        self._servers = {server.node: server for server in servers}
        self._managers = {manager.node: manager for manager in managers}

    def acts_at(self) -> tuple[str, ...]:
        """The API of every member: a switchover is asked of any."""
        return tuple(manager.acts_at for manager in self._managers.values())

    async def read_node(self, node: str, *, deadline: float) -> PostgresReading:
        """What the PostgreSQL server reports. Raises ReadFailure."""
        return await self._servers[node].read(deadline=deadline)

    async def read_member(self, node: str, *, deadline: float) -> PatroniReading:
        """What the manager reports. Raises ReadFailure."""
        return await self._managers[node].read(deadline=deadline)

    async def identify(self, *, deadline: float) -> Identity:
        """Scope, system identifier, leader, its timeline, and each node's server process.

        Raises ReadFailure unless exactly one node says that it leads. A node that does not answer is written as
        `unreadable`.
        """
        members, servers = await asyncio.gather(
            asyncio.gather(*(_attempt(self.read_member(node, deadline=deadline)) for node in self.nodes)),
            asyncio.gather(*(_attempt(self.read_node(node, deadline=deadline)) for node in self.nodes)),
        )
        read = [each for each in members if each is not None]
        leaders = [each.node for each in read if each.role in ("primary", STANDBY_LEADER)]
        if len(leaders) != 1:
            who = " and ".join(leaders) or "no node that answers"
            raise ReadFailure(Trouble.ERROR, f"{self.name}: {who} says it leads")
        facts = {"scope": self._scope, "leader": leaders[0]}
        facts["system id"] = ", ".join(sorted({each.system_id for each in read}))
        for node, server in zip(self.nodes, servers, strict=True):
            if server is not None:
                facts[node] = f"{server.system_id} at {server.server_address} since {began(server.started_at)}"
                if node == leaders[0]:
                    facts["timeline"] = str(server.timeline)
            else:
                facts[node] = "unreadable"
        facts.setdefault("timeline", "unreadable")
        return Identity(self.name, facts)

    async def switch_over(self, leader: str, candidate: str, *, deadline: float) -> Receipt:
        """POST /switchover to the leader's own API, once.

        Receipt codes: `switched`, `landed-elsewhere` (another node leads now), `scheduled`. Raises EffectRefused
        (`unreachable`, `unknown-name`, `bad-request-400`, `impossible-412`, `denied-401`, `denied-403`) and
        EffectUnknown (`failed-503`, `status-unknown-503`, `reset`, `timeout`, `redirect`, `answer-<status>`).
        """
        for node in (leader, candidate):
            if node not in self._managers:
                raise EffectRefused(f"{node} is not a node of {self.name}", "unknown-name")
        reply = await self._managers[leader].switch_over(leader, candidate, deadline)
        return judge(reply, candidate)

    async def restart(self, node: str, *, deadline: float) -> Receipt:
        """POST /restart to the node's own API, once; a node that leads refuses it.

        Receipt code: `restarted`. Raises EffectRefused (`unreachable`, `unknown-name`, `bad-request-400`, `denied-401`,
        `denied-403`, `role-503`) and EffectUnknown (`failed-503`, `reset`, `timeout`, `redirect`, `answer-<status>`).
        """
        if node not in self._managers:
            raise EffectRefused(f"{node} is not a node of {self.name}", "unknown-name")
        return judge_restart(await self._managers[node].restart(deadline))

    async def fork(self, node: str, timeline: int, *, deadline: float) -> int | None:
        """Where `timeline` left its parent, from the manager's history. Raises ReadFailure."""
        try:
            ends = {int(row[0]): int(row[1]) for row in await self._managers[node].history(deadline)}
        except (ValueError, TypeError, IndexError) as error:
            raise ReadFailure(Trouble.ERROR, f"Patroni {node}: its history cannot be read") from error
        return ends.get(timeline - 1)

    def server(self, node: str) -> PostgresNode:
        """One node's server."""
        return self._servers[node]

    def manager(self, node: str) -> PatroniNode:
        """One node's manager."""
        return self._managers[node]

    async def close_node(self, node: str) -> None:
        await self._servers[node].close()

    async def close_member(self, node: str) -> None:
        await self._managers[node].close()


async def _attempt(read: Awaitable[R]) -> R | None:
    """The reading, or None when there is none."""
    try:
        return await read
    except ReadFailure:
        return None


def judge(reply: Reply, candidate: str) -> Receipt:
    """What a complete answer to POST /switchover means (Patroni, api.py `poll_failover_result`)."""
    status, message = reply.status, reply.text
    if status == 200:
        if f'over to "{candidate}"' in message and "instead of" not in message:
            return Receipt("switched", message)
        return Receipt("landed-elsewhere", message)
    if status == 202:
        return Receipt("scheduled", message)
    if status == 412:
        raise EffectRefused(message or "impossible", "impossible-412")
    if status == 400:
        raise EffectRefused(message or "bad request", "bad-request-400")
    if status in (401, 403):
        raise EffectRefused(message or "not allowed", f"denied-{status}")
    if status == 503:
        code = "failed-503" if message.lower().endswith("failed") else "status-unknown-503"
        raise EffectUnknown(message or "no reason given", code, over=code == "failed-503")
    raise EffectUnknown(f"answer {status}: {message}", f"answer-{status}")


def judge_restart(reply: Reply) -> Receipt:
    """What a complete answer to POST /restart means (Patroni, api.py `do_POST_restart`, ha.py `restart`)."""
    status, message = reply.status, reply.text
    if status == 200:
        return Receipt("restarted", message)
    if status == 503 and "conditions are not satisfied" in message:
        raise EffectRefused(f"{message}: it is not a replica", "role-503")
    if status in (401, 403):
        raise EffectRefused(message or "not allowed", f"denied-{status}")
    if status == 400:
        raise EffectRefused(message or "bad request", "bad-request-400")
    if status == 503:
        raise EffectUnknown(message or "no reason given", "failed-503")
    raise EffectUnknown(f"answer {status}: {message}", f"answer-{status}")


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
    access = Access(
        user=options.user,
        database=options.database,
        password=context.secret(options.password),
        tls=tls_context(ca, client=client) if options.tls == "verify-full" else None,
        via=via,
    )
    credential = _credential(options, context)
    servers, managers = [], []
    for node, each in options.nodes.items():
        servers.append(PostgresNode(node, *split_address(each.postgres), access, engine))
        reader = HttpReader(each.api, ca=ca, client=client, via=via)
        actor = HttpActor(Origin.of(each.api), ca, credential, client=client, via=via)
        managers.append(PatroniNode(node, options.scope, each.api, reader, actor))
    return PatroniCluster(name, options.scope, servers, managers)


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
        sources.append(context.source(f"postgres:{name}/{node}", read, close))
        ask, leave = partial(cluster.read_member, node), partial(cluster.close_member, node)
        sources.append(context.source(f"patroni:{name}/{node}", ask, leave))
    return sources
