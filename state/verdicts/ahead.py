"""Who holds WAL that the primary lacks: a primary put back to an older state, or a stream that went on without it.

Two servers are never read at one instant, so a standby read a moment later may seem to be ahead. Proof is a position of
the standby that was read before its primary was: a primary never loses WAL, so it must have had it then.
"""

from __future__ import annotations

from collections.abc import Mapping

from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.world.readings import PostgresReading

MARGIN = 0.2
"""Seconds by which a reading may have begun later than its source was asked."""


def ahead_of_primary(facts: ClusterFacts) -> Mapping[str, int]:
    """Bytes that each standby is proven to hold past the one primary, on its timeline and of its system."""
    primary = facts.primary
    if primary is None:
        return {}
    found = {node.node: _ahead(node, primary) for node in facts.nodes.values() if node is not primary}
    return {name: size for name, size in found.items() if size > 0}


def _ahead(node: NodeFacts, primary: NodeFacts) -> int:
    reading, leads = node.postgres, primary.postgres
    if reading is None or leads is None or leads.write_lsn is None or not _comparable(reading, leads):
        return 0
    read, asked = _asked(node), _asked(primary)
    before = [e.position for e in reading.earlier if read - e.ended_before + MARGIN <= asked]
    return max(before, default=0) - leads.write_lsn


def _comparable(standby: PostgresReading, primary: PostgresReading) -> bool:
    alike = standby.system_id == primary.system_id and standby.timeline == primary.timeline
    return standby.in_recovery and standby.timeline is not None and alike


def _asked(node: NodeFacts) -> float:
    seen = node.postgres_seen
    return seen.mono if seen is not None and seen.mono is not None else 0.0
