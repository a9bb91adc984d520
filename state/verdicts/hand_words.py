"""What a person does by hand, in the terms of what runs the cluster: Patroni, another manager, or nothing."""

from __future__ import annotations

from collections.abc import Iterable

from state.verdicts.cluster import ClusterFacts
from state.world.manager_parts import SyncMode

WAITS_FOR = (
    "its log says what it waits for (crash recovery, a restore, WAL that is missing); a restart begins that anew."
    " With hot_standby = off it never takes sessions as a standby."
)
"""Of a server that answers and takes no sessions yet."""


def rebuild_words(facts: ClusterFacts, node: str) -> str:
    """How the primary is copied to a node anew."""
    if facts.managers:
        return f"patronictl reinit {facts.scope} {node}"
    if node in facts.entry.nodes and facts.entry.nodes[node].rebuild is not None:
        return f"recovery db rebuild {facts.name} {node}"
    return f"copy its primary to {node} anew (pg_basebackup)"


def start_words(facts: ClusterFacts) -> str:
    """How a node that is down comes back."""
    if facts.managers:
        return "Start its Patroni (systemctl start patroni); it starts PostgreSQL and follows the leader by itself."
    start = "start its PostgreSQL (systemctl start postgresql)"
    if facts.writers:
        return f"If it has a standby.signal, {start}; without one it would be a second writer."
    return f"{start[:1].upper()}{start[1:]}."


def stop_words(facts: ClusterFacts, nodes: Iterable[str]) -> str:
    """How nodes are kept from writing: by the estate's commands where each has one."""
    named = list(nodes)
    if named and all(facts.entry.nodes[n].fence is not None for n in named if n in facts.entry.nodes):
        return "; ".join(f"recovery db fence {facts.name} {n}" for n in named)
    who = " and ".join(named) or "the other one"
    if facts.managers:
        return f"by hand on {who}: stop its Patroni, then pg_ctl stop -m fast"
    manager = "its manager, then " if facts.tables else ""
    return f"by hand on {who}: stop {manager}PostgreSQL (pg_ctl stop -m fast), so that nothing starts it again"


def unsynced_words(facts: ClusterFacts) -> str:
    """How commits go on without a synchronous standby: under Patroni's synchronous mode the list is its own."""
    modes = {m.sync_mode for m in facts.managers.values() if m is not None}
    if modes - {None, SyncMode.OFF}:
        return (
            f"patronictl edit-config {facts.scope} -s synchronous_mode=off (synchronous_standby_names is Patroni's own)"
        )
    if facts.managers:
        return f"set synchronous_standby_names to '' (patronictl edit-config {facts.scope})"
    if facts.tables and any(t is not None for t in facts.tables.values()):
        return "let the manager set synchronous_standby_names to '', or set it on the primary"
    return "on the primary: ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf()"
