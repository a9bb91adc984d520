"""Causes that endanger a database that serves: WAL that its primary lacks, lost slots, the archive, no failover."""

from __future__ import annotations

from state.api.views.causes import Cause
from state.health import Health
from state.units import megabytes
from state.verdicts.archiving import archiver_finding
from state.verdicts.cause_parts import database_cause
from state.verdicts.danger import no_failover
from state.verdicts.logical import SubscriptionFault, subscription_faults
from state.verdicts.node import read_only_finding
from state.verdicts.opening import opening
from state.verdicts.replication import ClusterVerdict
from state.verdicts.slots import SlotFault


def danger_causes(cluster: ClusterVerdict) -> list[Cause]:
    """Each with what a person does about it."""
    found = [_ahead(cluster, node, size) for node, size in cluster.ahead.items()]
    found += [_slot(cluster, fault) for fault in cluster.slots]
    found += [_subscription(cluster, fault) for fault in subscription_faults(cluster.facts)]
    found += [each for node in cluster.nodes if (each := _archiver(cluster, node)) is not None]
    found += _read_only(cluster)
    if opens := opening(cluster.facts):
        steps = (
            f"By hand: patronictl show-config {cluster.facts.scope}, and patroni.dynamic.json in the data directory of"
            " each member: both must say the same of standby_cluster. Where it is not meant to be opened now, pause it"
            f" first (patronictl pause {cluster.facts.scope} --wait)."
        )
        found.append(database_cause(cluster, "opening", Health.WARN, opens, steps, title="compare its configuration"))
    nobody = "" if cluster.paused else no_failover(cluster.facts, cluster.eligible)
    if nobody:
        steps = "Change the tags of a standby (its Patroni configuration, then patronictl reload), or be ready by hand."
        found.append(database_cause(cluster, "no-failover", Health.WARN, nobody, steps))
    return found


def _ahead(cluster: ClusterVerdict, node: str, size: int) -> Cause:
    leader = cluster.leader if cluster.leader in cluster.nodes else "the primary"
    what = f"{node} holds {megabytes(size)} of WAL that {leader} lacks: commits that {leader} has lost may be there"
    steps = (
        f"{leader} was put back to an older state, or lost writes. Do not rebuild {node}: that discards them. By hand:"
        f" stop the clients of {leader}, copy the data directory of {node}, then decide which of the two is kept."
    )
    title = f"keep the data of {node} by hand"
    return database_cause(cluster, f"{node}/ahead", Health.FAIL, what, steps, title=title)


def _read_only(cluster: ClusterVerdict) -> list[Cause]:
    primary = cluster.facts.primary
    refused = read_only_finding(primary.postgres) if primary is not None and primary.postgres is not None else None
    if primary is None or refused is None:
        return []
    steps = (
        f"By hand on {primary.node}: find out first who set it and why (a disk that fills up, a database that moves)."
        " Then alter system (or alter database NAME) reset default_transaction_read_only, and pg_reload_conf()."
    )
    return [database_cause(cluster, f"{primary.node}/read-only", refused[0], refused[1], steps)]


def _slot(cluster: ClusterVerdict, fault: SlotFault) -> Cause:
    name = fault.slot.name
    if fault.cost and not fault.lost:
        steps = (
            "By hand: what its consumer lacks does not come by itself. Copy its tables anew (for a subscription: drop"
            " and create it with copy_data), or have the consumer take a snapshot. This is told for a day."
        )
    elif fault.twice and not fault.lost:
        steps = (
            f"By hand: find who reads {name} on {fault.node} (pg_stat_activity, by active_pid of the slot), let it read"
            " from the primary, and compare what it has with its source."
        )
    elif not fault.lost:
        steps = (
            f"By hand on {fault.node}: start what reads {name}. If nothing will any more:"
            f" select pg_drop_replication_slot('{name}')"
        )
    elif fault.slot.slot_type == "logical":
        steps = (
            f"By hand: stop the subscriber, drop {name} and make it anew, copy its tables again (for a subscription:"
            " drop and create it with copy_data). What it has not read is lost to it."
        )
    else:
        steps = (
            f"By hand: rebuild its standby ({_rebuilt(cluster)}), or drop {name} on {fault.node} if nothing uses it."
        )
    return database_cause(cluster, f"{fault.node}/slot/{name}", Health.WARN, fault.message, steps)


def _rebuilt(cluster: ClusterVerdict) -> str:
    return "patronictl reinit" if cluster.facts.managers else "pg_basebackup, recovery db rebuild"


def _subscription(cluster: ClusterVerdict, fault: SubscriptionFault) -> Cause:
    name = fault.subscription.name
    steps = (
        f"By hand on {fault.node}: PostgreSQL's log has the error and the position of the transaction. Repair the row"
        f" or the table that is in the way, then ALTER SUBSCRIPTION {name} ENABLE if it is disabled. ALTER SUBSCRIPTION"
        f" {name} SKIP loses that transaction. Until then its publisher keeps the WAL."
    )
    if fault.subscription.uncopied and not fault.subscription.failing:
        steps = (
            f"By hand on {fault.node}: PostgreSQL's log says why no table is copied. Are there workers for it"
            " (max_sync_workers_per_subscription, max_logical_replication_workers)? Until then these tables lack rows."
        )
    code = f"{fault.node}/subscription/{fault.subscription.database}/{name}"
    return database_cause(cluster, code, Health.WARN, fault.message, steps)


def _archiver(cluster: ClusterVerdict, node: str) -> Cause | None:
    found = archiver_finding(cluster.facts.nodes[node])
    if found is None:
        return None
    health, what = found
    archiver = reading.archiver if (reading := cluster.facts.nodes[node].postgres) is not None else None
    does = "set archive_command or archive_library, then pg_reload_conf()"
    if archiver is None or archiver.configured:
        does = "PostgreSQL's log has the error of archive_command"
    steps = (
        f"By hand on {node}: {does}. Until it works, nothing newer than the"
        " last archived file can be restored, and pg_wal grows."
    )
    return database_cause(cluster, f"{node}/archiver", health, what, steps)
