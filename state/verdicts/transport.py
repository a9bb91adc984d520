"""Whether replication is encrypted on its way, by the living connection: a setting changes only the next one."""

from __future__ import annotations

from dataclasses import dataclass

from state.api.views.causes import Cause
from state.health import Health
from state.verdicts.cause_parts import database_cause
from state.verdicts.cluster import ClusterFacts
from state.verdicts.replication import ClusterVerdict
from state.verdicts.senders import sender_of, upstream_of
from state.world.postgres_parts import WalSender


@dataclass(frozen=True, slots=True)
class ReplicationEdge:
    """One stream in the direction now in force: from a node to a node, and the sender's row of it."""

    upstream: str
    node: str
    between_sites: bool
    sender: WalSender

    @property
    def plain(self) -> bool:
        """Whether it is known to go over a network without encryption."""
        transport = self.sender.transport
        return transport is not None and not transport.version and not transport.local


def edges(facts: ClusterFacts) -> tuple[ReplicationEdge, ...]:
    """Every stream between nodes of the estate whose sender answers."""
    servers = [node.postgres for node in facts.nodes.values() if node.postgres is not None]
    found = []
    for node in facts.nodes.values():
        reading = node.postgres
        upstream = None if reading is None or not reading.in_recovery else upstream_of(node.node, reading, servers)
        sender = None if upstream is None else sender_of(upstream, node.node, reading)
        if upstream is not None and sender is not None:
            apart = facts.nodes[upstream.node].site != node.site
            found.append(ReplicationEdge(upstream.node, node.node, apart, sender))
    return tuple(found)


def transport_words(sender: WalSender | None) -> str:
    """How a stream travels, in words; empty where there is none."""
    if sender is None:
        return ""
    transport = sender.transport
    if transport is None:
        return "not told"
    if transport.version:
        return f"{transport.version} {transport.cipher}".strip()
    return "not over a network" if transport.local else "plain text"


def transport_causes(cluster: ClusterVerdict) -> list[Cause]:
    """Plain text between sites; inside one site it is only shown."""
    found = []
    for edge in edges(cluster.facts):
        if not (edge.plain and edge.between_sites):
            continue
        what = f"replication from {edge.upstream} to {edge.node} is plain text between sites"
        steps = (
            f"By hand: ssl = on at {edge.upstream}, hostssl in its pg_hba.conf, sslmode=verify-full in primary_conninfo"
            f" of {edge.node}; then restart the receiver of {edge.node}: a stream that is open stays as it is."
        )
        found.append(database_cause(cluster, f"{edge.node}/plain", Health.FAIL, what, steps))
    return found
