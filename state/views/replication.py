"""Screen 2: clusters, nodes with roles by votes and lags, slots."""

from __future__ import annotations

from collections.abc import Iterable

from state.api.views.replication import (
    PUBLICATION,
    SUBSCRIPTION,
    CandidateRow,
    ClusterRow,
    NodeRow,
    ReplicationView,
    RestoreBrief,
    SlotRow,
)
from state.api.views.restore import RestoreFault, RestoreRow
from state.estate.model import Estate
from state.health import Health
from state.verdicts.attested import encrypted_words
from state.verdicts.cluster import ClusterFacts
from state.verdicts.eligibility import Eligibility
from state.verdicts.lag import lsn
from state.verdicts.logical import publication_words, publisher_of, readers_of, subscription_faults, subscription_words
from state.verdicts.managed import managed
from state.verdicts.node import NodeVerdict
from state.verdicts.replication import ClusterVerdict
from state.verdicts.senders import sender_of, upstream_of
from state.verdicts.slots import consumer, retained, slot_words
from state.verdicts.transport import agent_certificate, edge_transport
from state.verdicts.votes import CONFLICT, PRIMARY, vote_message
from state.views.context import Contribution, ViewContext
from state.world.postgres_parts import WalSender
from state.world.world import World


def build(context: ViewContext) -> ReplicationView:
    """Build the replication view; every node of the estate has a row whether it answers or not."""
    clusters: dict[str, ClusterRow] = {}
    nodes: dict[str, NodeRow] = {}
    slots: dict[str, SlotRow] = {}
    for name, verdict in context.clusters.items():
        clusters[name] = _cluster_row(context.estate, verdict, context.restores[name])
        for node, judged in verdict.nodes.items():
            nodes[f"{name}/{node}"] = _node_row(verdict, judged, context.world)
        every = tuple(context.clusters.values())
        slots |= _slot_rows(verdict) | _subscription_rows(verdict, every) | _publication_rows(verdict, every)
    return context.memory.keep("replication", ReplicationView(clusters, nodes, slots))


def contribute(context: ViewContext) -> Contribution:
    """What a failover of each cluster could lose."""
    return Contribution(risks=tuple(c.risk for c in context.clusters.values()))


def _guarantee(verdict: ClusterVerdict) -> str:
    if verdict.facts.standby_leader:
        return "elsewhere"
    return verdict.guarantee.kind if verdict.guarantee is not None else "unknown"


def _cluster_row(estate: Estate, verdict: ClusterVerdict, restore: RestoreRow) -> ClusterRow:
    name = verdict.facts.name
    candidate = verdict.candidate
    services = [f"{n} (tier {s.tier})" for n, s in estate.services.items() if name in s.depends_on]
    timeline = verdict.timeline
    outside = verdict.facts.nodes.get(verdict.facts.standby_leader)
    if timeline is None and outside is not None and outside.postgres is not None:
        timeline = outside.postgres.timeline
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
        guarantee=_guarantee(verdict),
        guarantee_detail=verdict.guarantee.detail if verdict.guarantee is not None else "",
        candidate=f"{candidate.node} ({candidate.lag.message})" if candidate is not None else "none",
        split_brain=verdict.split.message if verdict.split is not None else "",
        paused=verdict.paused,
        risk=verdict.risk,
        service_message=", ".join(services),
        weaker=verdict.guarantee.weaker if verdict.guarantee is not None else (),
        notes=tuple(filter(None, (*_notes_of(verdict), encrypted_words(verdict.facts)))),
        waiting=verdict.guarantee.waiting if verdict.guarantee is not None else None,
        scheduled=verdict.scheduled,
        candidates=tuple(_candidate_row(each) for each in verdict.eligible.values()),
        lock=_lock(verdict.facts),
        traffic=None if verdict.facts.writes_go_to is None else tuple(sorted(verdict.facts.writes_go_to)),
        restore=_restore(restore),
    )


def _restore(row: RestoreRow) -> RestoreBrief | None:
    if row.store is None:
        return None
    unproven = any(each.code is RestoreFault.UNPROVEN for each in row.faults)
    return RestoreBrief(
        row.health,
        row.message,
        tuple((each.since, each.until) for each in row.ranges),
        Health.FAIL if unproven or row.proven_at is None else Health.PASS,
        row.proven_at,
        row.proven_mono,
        row.sources[0],
    )


def _lock(facts: ClusterFacts) -> str:
    """Who has the leader lock: by the store itself where it answers, else by managers that agree."""
    return facts.store.leader if facts.store is not None else managed(facts).lock_holder


def _candidate_row(each: Eligibility) -> CandidateRow:
    reasons = tuple(f"{r.rule}: {r.fact}" for r in each.obstacles)
    return CandidateRow(each.node, each.may_lead, each.lacks, reasons, each.unknowns, each.notes)


def _cluster_votes(verdict: ClusterVerdict) -> str:
    if verdict.leader == CONFLICT:
        return "; ".join(f"{n}: {vote_message(v.votes)}" for n, v in verdict.nodes.items())
    if verdict.leader == verdict.facts.outsider:
        return "by the word of Patroni; not in the estate"
    leader = verdict.nodes.get(verdict.leader)
    return vote_message(leader.votes) if leader is not None else "no witness names a leader"


def _notes_of(verdict: ClusterVerdict) -> tuple[str, ...]:
    return verdict.guarantee.notes if verdict.guarantee is not None else ()


def _node_row(whole: ClusterVerdict, verdict: NodeVerdict, world: World) -> NodeRow:
    facts, lag, cluster, reading = verdict.facts, verdict.lag, whole.facts.name, verdict.facts.postgres
    upstream, sender = _stream(whole, verdict)
    position, above = verdict.position, whole.facts.nodes.get(upstream)
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
        upstream=upstream,
        sent=sender.sent_lsn if sender is not None else None,
        written=sender.write_lsn if sender is not None else None,
        flushed=sender.flush_lsn if sender is not None else None,
        applied=sender.replay_lsn if sender is not None else None,
        received=reading.receive_lsn if reading is not None else None,
        replayed=reading.replay_lsn if reading is not None else None,
        ahead_bytes=lag.ahead,
        tags=managed(whole.facts).tags(facts.node),
        transport=edge_transport(sender, above.postgres if above is not None else None),
        agent_certificate=agent_certificate(facts.patroni),
    )


def _stream(cluster: ClusterVerdict, verdict: NodeVerdict) -> tuple[str, WalSender | None]:
    """From where a node streams, and the row of it at the other end."""
    reading, name = verdict.facts.postgres, verdict.facts.node
    if reading is None or not reading.in_recovery:
        return "", None
    others = [n.postgres for n in cluster.facts.nodes.values() if n.postgres is not None]
    upstream = upstream_of(name, reading, others)
    if upstream is not None:
        return upstream.node, sender_of(upstream, name, reading)
    return reading.receiver.host if reading.receiver is not None else "", None


def _steady(verdict: NodeVerdict) -> str:
    return "accepts writes" if verdict.state == "writable" else f"{verdict.state}, {verdict.lag.message} behind"


def _subscription_rows(verdict: ClusterVerdict, clusters: Iterable[ClusterVerdict]) -> dict[str, SlotRow]:
    """The subscriptions of the server that accepts writes, each with its other end."""
    facts, every = verdict.facts, [each.facts for each in clusters]
    faults = {(f.node, f.subscription.database, f.subscription.name) for f in subscription_faults(facts)}
    rows: dict[str, SlotRow] = {}
    for node in facts.writers:
        for each in node.postgres.subscriptions if node.postgres is not None else ():
            publisher = publisher_of(facts, each, every)
            kept = retained(publisher.node, publisher.slot) if publisher is not None else None
            health = Health.WARN if (node.node, each.database, each.name) in faults else Health.PASS
            rows[f"{facts.name}/{node.node}/{each.database}/{each.name}"] = SlotRow(
                facts.name, each.name, SUBSCRIPTION, each.running, kept, subscription_words(each, publisher),
                node.postgres_key, node.node, health, f"database {each.database}",
            )  # fmt: skip
    return rows


def _publication_rows(verdict: ClusterVerdict, clusters: Iterable[ClusterVerdict]) -> dict[str, SlotRow]:
    """The publications of the server that accepts writes, each with who reads it."""
    facts, every = verdict.facts, [each.facts for each in clusters]
    rows: dict[str, SlotRow] = {}
    for node in facts.writers:
        for each in node.postgres.publications if node.postgres is not None else ():
            readers = readers_of(facts, node, each, every)
            end = node.postgres.write_lsn if node.postgres is not None else None
            rows[f"{facts.name}/{node.node}/{each.database}/publication {each.name}"] = SlotRow(
                facts.name, each.name, PUBLICATION, any(at.slot.active for at, _ in readers), None,
                publication_words(each, readers, end), node.postgres_key, node.node,
                consumer=", ".join(f"{wanted.name} of {at.database}" for at, wanted in readers),
            )  # fmt: skip
    return rows


def _slot_rows(verdict: ClusterVerdict) -> dict[str, SlotRow]:
    """The primary's, and those of standbys that are its own fault: their good copies are not shown twice."""
    faults = {(fault.node, fault.slot.name) for fault in verdict.slots}
    rows: dict[str, SlotRow] = {}
    for node in verdict.facts.nodes.values():
        leads = node is verdict.facts.primary
        for slot in node.postgres.slots if node.postgres is not None else ():
            faulty = (node.node, slot.name) in faults
            if not leads and not faulty:
                continue
            kept = retained(node, slot)
            key = f"{verdict.facts.name}/{slot.name}" if leads else f"{verdict.facts.name}/{node.node}/{slot.name}"
            rows[key] = SlotRow(
                verdict.facts.name, slot.name, slot.slot_type, slot.active, kept,
                slot_words(verdict.facts, slot, kept), node.postgres_key, node.node,
                Health.WARN if faulty else Health.PASS, consumer(verdict.facts, slot), slot.safe_wal_size,
            )  # fmt: skip
    return rows
