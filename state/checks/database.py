"""Checks on database clusters: one primary, the expected leader, standbys that stream and are caught up."""

from __future__ import annotations

from state.checks.hands import database_by_hand
from state.checks.model import Answer, CheckArgs, CheckKind, answered, unknown
from state.config_files.suggestions import not_found
from state.estate.model import Bytes, Estate, Name
from state.units import megabytes
from state.verdicts.evidence import no_data_reason
from state.verdicts.node import NodeVerdict
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.votes import CONFLICT, PRIMARY, manager_role, vote_message
from state.world.world import World


class OneDatabase(CheckArgs):
    """Which cluster."""

    database: Name


class CaughtUp(OneDatabase):
    """Which cluster or one node of it, and how many bytes may be unapplied (`64kB`, `1MB`)."""

    node: Name | None = None
    bytes: Bytes


class Leader(OneDatabase):
    """Which node must lead."""

    node: Name


def one_primary(args: OneDatabase, world: World, estate: Estate, now_mono: float) -> Answer:
    """Exactly one node accepts writes, and every node has answered: one without an answer might be the second.

    For a server that does not answer, the report of its own manager counts. Not reaching it proves nothing.
    """
    cluster = _cluster(args.database, world, estate, now_mono)
    if cluster.split is not None:
        return answered(False, cluster.split.message)
    silent = [
        f"{n.facts.node}: {no_data_reason(n.facts.postgres_seen)}" for n in cluster.nodes.values() if _may_write(n)
    ]
    if silent or cluster.leader == CONFLICT:
        return unknown(*(silent or _votes(cluster)))
    writers = [n.node for n in cluster.facts.writers]
    if len(writers) > 1:
        return unknown(f"{' and '.join(writers)} both accepted writes when read; a switchover may be under way")
    if not writers:
        return answered(False, "no node accepts writes")
    return answered(True, f"{writers[0]} alone accepts writes", primary=writers[0])


def leader(args: Leader, world: World, estate: Estate, now_mono: float) -> Answer:
    """The node's server accepts writes, and every witness that answers agrees."""
    cluster = _cluster(args.database, world, estate, now_mono)
    node = _node(cluster, args.node)
    if cluster.split is not None:
        return answered(False, cluster.split.message)
    if node.facts.postgres is None:
        return unknown(f"{args.node}: {no_data_reason(node.facts.postgres_seen)}")
    if cluster.leader == CONFLICT:
        return unknown(*_votes(cluster))
    message = f"{args.node}: {vote_message(node.votes)}"
    return answered(cluster.leader == args.node and not node.facts.postgres.in_recovery, message)


def caught_up(args: CaughtUp, world: World, estate: Estate, now_mono: float) -> Answer:
    """Every standby (or the named one) has applied the primary's WAL except at most `bytes`."""
    cluster = _cluster(args.database, world, estate, now_mono)
    primary = cluster.facts.primary
    if primary is None:
        return unknown(f"{args.database}: {cluster.message}")
    asked = [_node(cluster, args.node)] if args.node else _standbys(cluster)
    if not asked:
        return unknown(f"{args.database} has no standby")
    evidence = [f"{n.facts.node}: {n.lag.message}" for n in asked if n.facts.node != primary.node]
    lags = [0 if n.facts.node == primary.node else n.lag.replay for n in asked]
    least = [n.lag.at_least for n in asked if n.lag.at_least is not None]
    if any(size > args.bytes for size in least):
        return answered(False, *evidence, f"limit {megabytes(args.bytes)}")
    if None in lags:
        return unknown(*evidence)
    return answered(
        all(lag is not None and lag <= args.bytes for lag in lags), *(evidence or [f"{primary.node} leads"])
    )


def streaming(args: OneDatabase, world: World, estate: Estate, now_mono: float) -> Answer:
    """Every other node of the estate streams from the primary, on its timeline."""
    cluster = _cluster(args.database, world, estate, now_mono)
    if cluster.facts.primary is None:
        return unknown(f"{args.database}: {cluster.message}")
    standbys = _standbys(cluster)
    if not standbys:
        return unknown(f"{args.database} has no standby")
    broken = [
        f"{n.facts.node}: {n.state}, {n.lag.why}"
        for n in standbys
        if n.facts.postgres is not None and n.lag.replay is None
    ]
    if broken:
        return answered(False, *broken)
    silent = _silent(cluster)
    return unknown(*silent) if silent else answered(True, *(f"{n.facts.node}: {n.state}" for n in standbys))


def _cluster(name: str, world: World, estate: Estate, now_mono: float) -> ClusterVerdict:
    if name not in estate.databases:
        raise not_found("database", name, estate.databases)
    return cluster_verdict(name, estate.databases[name], world, now_mono)


def _node(cluster: ClusterVerdict, name: str) -> NodeVerdict:
    if name not in cluster.nodes:
        raise not_found(f"node of {cluster.facts.name}", name, cluster.nodes)
    return cluster.nodes[name]


def _standbys(cluster: ClusterVerdict) -> list[NodeVerdict]:
    primary = cluster.facts.primary
    return [n for n in cluster.nodes.values() if primary is None or n.facts.node != primary.node]


def _silent(cluster: ClusterVerdict) -> list[str]:
    return [
        f"{n.facts.node}: {no_data_reason(n.facts.postgres_seen)}"
        for n in cluster.nodes.values()
        if n.facts.postgres is None
    ]


def _may_write(node: NodeVerdict) -> bool:
    """Whether it may accept writes: its server gives no answer, and its own manager gives none or says primary."""
    if node.facts.postgres is not None:
        return False
    manager = node.facts.patroni
    return manager is None or manager_role(manager.role, manager.state) == PRIMARY


def _votes(cluster: ClusterVerdict) -> list[str]:
    return [f"{CONFLICT} on {n}: {vote_message(v.votes)}" for n, v in cluster.nodes.items() if v.role == CONFLICT]


KINDS = (
    CheckKind(
        "database.one-primary",
        "exactly one node accepts writes",
        OneDatabase,
        one_primary,
        by_hand=database_by_hand,
        figures={"primary": "node"},
    ),
    CheckKind(
        "database.caught-up", "standbys have applied the primary's WAL", CaughtUp, caught_up, by_hand=database_by_hand
    ),
    CheckKind("database.leader", "node leads the cluster", Leader, leader, by_hand=database_by_hand),
    CheckKind("database.streaming", "every standby streams", OneDatabase, streaming, by_hand=database_by_hand),
)
