"""What is known about one database cluster at one instant: every node's fresh readings, collected once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from state.estate.model import DatabaseEntry
from state.verdicts.past import NO_PAST, DatabasePast
from state.verdicts.senders import UNSENT, nobody_sends
from state.verdicts.traffic import taking
from state.verdicts.twins import one_server
from state.verdicts.votes import PRIMARY, STANDBY_LEADER, manager_role
from state.world.balancer_parts import BalancerReading, Server
from state.world.manager_parts import StoreReading
from state.world.manager_tables import ManagerTable
from state.world.observed import Observed
from state.world.readings import PatroniReading, PostgresReading, Reading
from state.world.world import World


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node: its site, the fresh readings (None = none fresh) and the observations they came from."""

    node: str
    site: str
    postgres_key: str
    patroni_key: str
    postgres: PostgresReading | None
    patroni: PatroniReading | None
    postgres_seen: Observed[Reading] | None
    patroni_seen: Observed[Reading] | None

    @property
    def keys(self) -> tuple[str, ...]:
        """The sources of this node's row."""
        return (self.postgres_key, self.patroni_key) if self.patroni_seen is not None else (self.postgres_key,)

    @property
    def failing(self) -> bool:
        """Whether its manager is silent and the newest read of its server failed too, with one before still fresh."""
        seen = self.postgres_seen
        silent = self.patroni_seen is not None and self.patroni is None
        return silent and self.postgres is not None and seen is not None and seen.error is not None

    @property
    def last_postgres(self) -> PostgresReading | None:
        """The last good reading of any age: it can only prove a minimum."""
        value = self.postgres_seen.value if self.postgres_seen is not None else None
        return value if isinstance(value, PostgresReading) else None

    @property
    def by_archive(self) -> bool:
        """Whether it takes its WAL from the archive alone, by its settings: it names no server to stream from. Under a
        manager that is a choice only with the tag nostream: it takes the name away from a standby that has no leader
        too."""
        reading, manager = self.postgres, self.patroni
        tagged = manager is not None and any(m.name == self.node and m.nostream for m in manager.members)
        if reading is None or reading.settings is None or (self.patroni_seen is not None and not tagged):
            return False
        alone = reading.settings.restores and reading.settings.follows is False
        return alone and reading.in_recovery and reading.receiver_state is None

    @property
    def agent_silent(self) -> bool:
        """Whether its server answers and its manager does not, though it was asked."""
        seen = self.patroni_seen
        asked = seen is not None and (seen.value is not None or seen.error is not None)
        return asked and self.postgres is not None and self.patroni is None


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """One cluster as gathered at `now_mono`.

    `routes` are the nodes to which each balancer sends writes now, by fresh readings. `store` is what the managers'
    store says itself, None without a fresh answer; `has_store`: it is asked.
    `tables` are those of managers that are asked by command, by the place where, None without a fresh answer.
    `past` is what was known before, and `asked` for how many seconds its sources have been asked.
    `wall` is this engine's own clock, epoch seconds, None = not given.
    """

    name: str
    entry: DatabaseEntry
    now_mono: float
    nodes: Mapping[str, NodeFacts]
    routes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    store: StoreReading | None = None
    has_store: bool = False
    past: DatabasePast = NO_PAST
    asked: float = 0.0
    tables: Mapping[str, ManagerTable | None] = field(default_factory=dict)
    wall: float | None = None

    @property
    def writes_go_to(self) -> frozenset[str] | None:
        """The nodes to which any balancer sends writes; None when none says."""
        return frozenset().union(*self.routes.values()) if self.routes else None

    @property
    def writers(self) -> tuple[NodeFacts, ...]:
        """Nodes whose own server reports, in a fresh reading, that it is out of recovery."""
        twins = self.twins
        found = [n for n in self.nodes.values() if n.postgres is not None and not n.postgres.in_recovery]
        return tuple(n for n in found if n.node not in twins)

    @property
    def twins(self) -> Mapping[str, str]:
        """Nodes whose server is that of a node before them, which the estate names twice: one process cannot write
        beside itself."""
        groups = one_server({name: node.postgres for name, node in self.nodes.items()})
        return {name: nodes[0] for nodes in groups for name in nodes[1:]}

    @property
    def strangers(self) -> frozenset[str]:
        """Members of the cluster, by managers that answer, that the estate does not have."""
        return frozenset(m.name for r in self.managers.values() if r is not None for m in r.members) - set(self.nodes)

    @property
    def outsider(self) -> str:
        """The leader by every manager that answers and names one, where the estate does not have it; else empty."""
        named = {
            m.name
            for reading in self.managers.values()
            if reading is not None
            for m in reading.members
            if manager_role(m.role, m.state) == PRIMARY
        }
        name = named.pop() if len(named) == 1 else ""
        return name if name and name not in self.nodes else ""

    @property
    def standby_leader(self) -> str:
        """The node that leads a standby cluster by its own manager: it follows a primary elsewhere, and no node writes.

        Empty when no manager says so, or a node accepts writes.
        """
        if self.writers:
            return ""
        led = [n for n, r in self.managers.items() if r is not None and r.role == STANDBY_LEADER]
        return led[0] if len(led) == 1 else ""

    @property
    def none_writes(self) -> bool:
        """Every server answers, and each of them is in recovery."""
        return all(n.postgres is not None and n.postgres.in_recovery for n in self.nodes.values())

    @property
    def scope(self) -> str:
        """The cluster's name as Patroni has it, by a fresh reading, else by an old one; before any its name here."""
        fresh = [n.patroni for n in self.nodes.values()]
        old = [n.patroni_seen.value for n in self.nodes.values() if n.patroni_seen is not None]
        return next((each.scope for each in (*fresh, *old) if isinstance(each, PatroniReading)), self.name)

    @property
    def primary(self) -> NodeFacts | None:
        """The one writable node; None when there is none or more than one."""
        writers = self.writers
        return writers[0] if len(writers) == 1 else None

    @property
    def system_id(self) -> str:
        """The database system of this cluster: the primary's, of one that is silent as it was last read; else the one
        that all servers that answer have. Empty where they differ: then none is ranked before another."""
        read = [n.postgres for n in self.nodes.values() if n.postgres is not None]
        leads = self.primary
        led = [leads.postgres] if leads is not None and leads.postgres is not None else self._silent_leaders
        systems = {each.system_id for each in led or read}
        return systems.pop() if len(systems) == 1 else ""

    @property
    def lead_timeline(self) -> int | None:
        """The primary's timeline; of one that is silent the last that was read, else the highest of those that answer.

        A higher number alone may be another branch."""
        if self.primary is not None and self.primary.postgres is not None:
            return self.primary.postgres.timeline
        silent = [each.timeline or 0 for each in self._silent_leaders]
        return max(silent or [self.stands_on(name) or 0 for name in self.nodes], default=0) or None

    def stands_on(self, name: str) -> int | None:
        """A node's timeline. Without its stream a standby's is that of its control file, which is behind what it has
        applied; its own manager asks the server another way (Patroni: IDENTIFY_SYSTEM over a replication connection).
        """
        reading, own = self.nodes[name].postgres, self.nodes[name].patroni
        if reading is None or not reading.in_recovery or reading.receiver_state == "streaming":
            return reading.timeline if reading is not None else None
        return max(reading.timeline or 0, (own.timeline or 0) if own is not None else 0) or None

    @property
    def _silent_leaders(self) -> list[PostgresReading]:
        """The last readings of nodes that accepted writes and do not answer now."""
        read = [(n.postgres, n.last_postgres) for n in self.nodes.values()]
        return [last for now, last in read if now is None and last is not None and not last.in_recovery]

    @property
    def managers(self) -> Mapping[str, PatroniReading | None]:
        """Every node's manager, by node; empty when the cluster has no manager that is read."""
        return {n.node: n.patroni for n in self.nodes.values() if n.patroni_seen is not None}


def gather(
    name: str,
    entry: DatabaseEntry,
    world: World,
    now_mono: float,
    past: DatabasePast = NO_PAST,
    asked: float = 0.0,
    wall: float | None = None,
) -> ClusterFacts:
    """Collect a cluster's facts from the world; the nodes are those of the estate, not those that answered."""
    nodes: dict[str, NodeFacts] = {}
    for node, place in entry.nodes.items():
        postgres_key, patroni_key = f"postgres:{name}/{node}", f"patroni:{name}/{node}"
        nodes[node] = NodeFacts(
            node,
            place.site,
            postgres_key,
            patroni_key,
            world.fresh(postgres_key, PostgresReading, now_mono),
            world.fresh(patroni_key, PatroniReading, now_mono),
            world.observed.get(postgres_key),
            world.observed.get(patroni_key),
        )
    return ClusterFacts(
        name, entry, now_mono, _heard(nodes), _routes(entry, world, now_mono),
        world.fresh(f"store:{name}", StoreReading, now_mono), f"store:{name}" in world.observed, past, asked,
        _tables(name, world, now_mono), wall,
    )  # fmt: skip


def _heard(nodes: dict[str, NodeFacts]) -> dict[str, NodeFacts]:
    """The nodes, with the word of a standby that it streams taken back where its cluster writes and nobody sends to it.

    One end alone is no evidence of a stream.
    """
    servers = {name: node.postgres for name, node in nodes.items()}
    if sum(each is not None and not each.in_recovery for each in servers.values()) != 1:
        return nodes
    return {
        name: replace(node, postgres=replace(node.postgres, receiver_state=UNSENT))
        if node.postgres is not None and node.postgres.in_recovery and nobody_sends(node.postgres, servers)
        else node
        for name, node in nodes.items()
    }


def _tables(name: str, world: World, now_mono: float) -> dict[str, ManagerTable | None]:
    """The tables of this cluster's managers, by the rest of their key."""
    begins = f"manager:{name}/"
    keys = [key for key in world.observed if key.startswith(begins)]
    return {key.removeprefix(begins): world.fresh(key, ManagerTable, now_mono) for key in keys}


def _routes(entry: DatabaseEntry, world: World, now_mono: float) -> dict[str, frozenset[str]]:
    """By balancer, the servers that take traffic in the backends declared to lead to the primary."""
    backends = [backend for backend, role in entry.frontends.items() if role == "primary"]
    found: dict[str, frozenset[str]] = {}
    for key in world.keys("balancer") if backends else ():
        reading = world.fresh(key, BalancerReading, now_mono)
        parts = [reading.of(backend) for backend in backends] if reading is not None else []
        if any(parts):
            found[key.partition(":")[2]] = frozenset(
                node_behind(entry, s) for servers in parts for s in taking(servers)
            )
    return found


def node_behind(entry: DatabaseEntry, server: Server) -> str:
    """The node that a balancer's server leads to: the one at its address, else the one of its name."""
    there = (node for node, place in entry.nodes.items() if f"{place.server[0]}:{place.server[1]}" == server.address)
    return next(there, server.name)
