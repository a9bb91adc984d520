"""What changes of a database's cluster have in common: names, lease, identity, and what its adapter can do."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from state.api.card import Rule
from state.changes.model import ChangeSpec, Late
from state.changes.sight import Sight, at_work
from state.config_files.suggestions import not_found
from state.estate.model import Estate, Name
from state.ports.database import CanFailOver, CanPromote, Database
from state.ports.outside import Outside
from state.ports.target import Identity, Setting
from state.verdicts.replication import ClusterVerdict
from state.verdicts.switchover import STOP_THE_OTHER


class ClusterArgs(BaseModel):
    """A database."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    database: Name


class NodeArgs(ClusterArgs):
    """A database and one of its nodes."""

    node: Name


class ClusterChange:
    """Names, lease, identity and patience. `node` is empty for a change of the whole cluster."""

    settle = 2.0
    quiet = 12.0
    timeout = 30.0
    source = "Patroni: dynamic configuration, ttl; REST API"

    def __init__(self, kind: str, args: ClusterArgs, estate: Estate, database: Database, node: str = "") -> None:
        self.spec, self.database, self.node = ChangeSpec(kind, args.model_dump()), database, node
        self.cluster_name = args.database
        self.name = f"{args.database}/{node}" if node else args.database
        self.targets: tuple[str, ...] = (f"database/{args.database}",)
        self.entry = estate.databases[args.database]
        self.ttl, self.led = 0.0, ""
        self._delivery = estate.policies.delivery

    def follow(self, left: Sequence[Setting]) -> None:
        """Preview as if an earlier change of the same plan had moved the role; fulfils CanFollow."""
        for setting in left:
            if setting.place == self.targets and setting.name == "leader":
                self.led = setting.value

    @property
    def late(self) -> Late:
        """A manager is done with it within a loop."""
        return Late(self._delivery, at_work(self.ttl, self.entry.checkpoint), self.source)

    async def identify(self, *, deadline: float) -> Identity:
        """Each node's server and who leads, also where no node does."""
        if isinstance(self.database, CanFailOver | CanPromote):
            return await self.database.identify_unled(deadline=deadline)
        return await self.database.identify(deadline=deadline)

    def saw(self, sight: Sight) -> None:
        """Remember how long its manager may be at work."""
        self.ttl = max(self.ttl, sight.ttl)

    def known(self, node: str) -> None:
        """Raises NotFound for a node that the cluster does not have."""
        if node not in self.database.nodes:
            raise not_found(f"node of {self.cluster_name}", node, self.database.nodes)

    def rule(self, rule: str, passed: bool, fact: str, way_out: str = "", who: str = "") -> Rule:
        """A rule about what was read of the nodes just now."""
        return Rule(rule, passed, fact, way_out, who, source=f"the nodes of {self.cluster_name}")

    def one_primary(self, cluster: ClusterVerdict) -> Rule:
        """Exactly one node accepts writes."""
        split, writer = cluster.split, cluster.facts.primary
        if split is not None:
            return self.rule("single-primary", False, split.message, "Fence one of the two nodes first", "commander")
        fact = f"{writer.node} accepts writes" if writer is not None else "not exactly one node accepts writes"
        administrator = "database administrator"
        return self.rule(
            "single-primary", writer is not None, fact, "Bring the cluster to one primary first", administrator
        )

    def one_engine(self, cluster: ClusterVerdict) -> tuple[Rule, ...]:
        """A rule only where another engine acts here."""
        return (self.rule("one-engine", False, cluster.rival, STOP_THE_OTHER),) if cluster.rival else ()

    def able(self, able: bool, what: str, way_out: str) -> tuple[Rule, ...]:
        """A rule only where the adapter cannot do it."""
        fact = f"the kind {self.entry.kind} cannot {what}"
        return () if able else (Rule("able", False, fact, way_out),)


def database_of(name: str, outside: Outside) -> Database:
    """A database of the estate. Raises NotFound."""
    found = outside.databases.get(name)
    if found is None:
        raise not_found("database", name, outside.databases)
    return found
