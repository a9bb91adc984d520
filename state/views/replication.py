"""Screen 2: clusters, nodes with roles by votes and lags, slots."""

from __future__ import annotations

from state.api.views.replication import ClusterRow, NodeRow, ReplicationView, SlotRow
from state.estate.model import Estate
from state.units import megabytes
from state.verdicts.lag import lsn
from state.verdicts.node import NodeVerdict
from state.verdicts.replication import ClusterVerdict
from state.verdicts.votes import CONFLICT, PRIMARY, vote_message
from state.views.context import Contribution, ViewContext
from state.world.readings import ReplicationSlot
from state.world.world import World


def build(context: ViewContext) -> ReplicationView:
    """Build the replication view; every node of the estate has a row whether it answers or not."""
    clusters: dict[str, ClusterRow] = {}
    nodes: dict[str, NodeRow] = {}
    slots: dict[str, SlotRow] = {}
    for name, verdict in context.clusters.items():
        clusters[name] = _cluster_row(context.estate, verdict)
        for node, judged in verdict.nodes.items():
            nodes[f"{name}/{node}"] = _node_row(name, judged, context.world)
        slots |= _slot_rows(verdict)
    return context.memory.keep("replication", ReplicationView(clusters, nodes, slots))


def contribute(context: ViewContext) -> Contribution:
    """What a failover of each cluster could lose."""
    return Contribution(risks=tuple(c.risk for c in context.clusters.values()))


def _cluster_row(estate: Estate, verdict: ClusterVerdict) -> ClusterRow:
    name = verdict.facts.name
    candidate = verdict.candidate
    services = [f"{n} (tier {s.tier})" for n, s in estate.services.items() if name in s.depends_on]
    timeline = verdict.timeline
    if timeline is not None:
        shown = str(timeline)
    else:
        shown = " / ".join(str(n.postgres.timeline) for n in verdict.facts.writers if n.postgres is not None)
    return ClusterRow(
        name=name,
        health=verdict.health,
        message=verdict.message,
        leader=verdict.leader,
        votes=_cluster_votes(verdict),
        timeline=shown or "unknown",
        guarantee=verdict.guarantee.kind if verdict.guarantee is not None else "unknown",
        guarantee_detail=verdict.guarantee.detail if verdict.guarantee is not None else "",
        candidate=f"{candidate.node} ({candidate.lag.message})" if candidate is not None else "none",
        split_brain=verdict.split.message if verdict.split is not None else "",
        paused=verdict.paused,
        risk=verdict.risk,
        service_message=", ".join(services),
    )


def _cluster_votes(verdict: ClusterVerdict) -> str:
    if verdict.leader == CONFLICT:
        return "; ".join(f"{n}: {vote_message(v.votes)}" for n, v in verdict.nodes.items())
    if verdict.leader == verdict.facts.outsider:
        return "by the word of Patroni; not in the estate"
    leader = verdict.nodes.get(verdict.leader)
    return vote_message(leader.votes) if leader is not None else "no witness names a leader"


def _node_row(cluster: str, verdict: NodeVerdict, world: World) -> NodeRow:
    facts, lag = verdict.facts, verdict.lag
    position = verdict.position
    leads = verdict.role == PRIMARY and verdict.state == "writable"
    return NodeRow(
        cluster=cluster,
        node=facts.node,
        site=facts.site,
        role=verdict.role,
        health=verdict.health,
        message=verdict.message or _steady(verdict),
        votes=vote_message(verdict.votes),
        timeline=facts.postgres.timeline if facts.postgres is not None else None,
        lsn=lsn(position) if position is not None else "",
        lag_bytes=0 if leads else lag.replay,
        unapplied_bytes=0 if leads else lag.unapplied,
        lag_seconds=0.0 if leads else lag.seconds,
        sync=verdict.sync,
        state=verdict.state,
        sources=facts.keys,
        trend=world.trend(f"lag/{cluster}/{facts.node}"),
    )


def _steady(verdict: NodeVerdict) -> str:
    return "accepts writes" if verdict.state == "writable" else f"{verdict.state}, {verdict.lag.message} behind"


def _slot_rows(verdict: ClusterVerdict) -> dict[str, SlotRow]:
    primary = verdict.facts.primary
    if primary is None or primary.postgres is None:
        return {}
    head = primary.postgres.write_lsn
    rows: dict[str, SlotRow] = {}
    for slot in primary.postgres.slots:
        retained = None if head is None or slot.restart_lsn is None else max(0, head - slot.restart_lsn)
        rows[f"{verdict.facts.name}/{slot.name}"] = SlotRow(
            verdict.facts.name,
            slot.name,
            slot.slot_type,
            slot.active,
            retained,
            _slot_message(slot, retained),
            primary.postgres_key,
        )
    return rows


def _slot_message(slot: ReplicationSlot, retained: int | None) -> str:
    if slot.wal_status == "lost":
        return "lost: its WAL was removed, the standby must be rebuilt"
    held = f"keeps {megabytes(retained)}" if retained is not None else "position unknown"
    status = f", WAL {slot.wal_status}" if slot.wal_status not in (None, "reserved") else ""
    return f"{'in use' if slot.active else 'inactive'}, {held}{status}"
