"""Screen 2: database clusters, nodes, slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from state.api.views.header import DataRisk
from state.health import Health


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One database cluster: verdict, the leader by votes, what a failover would lose.

    `guarantee` is what a commit waits for: async, sync, quorum, blocked or unknown; `guarantee_detail` says which
    standbys, or why. `leader` names a node, or says that none is agreed on. `split_brain` is the alarm, or empty.
    """

    name: str
    health: Health
    message: str
    leader: str
    votes: str
    timeline: str
    guarantee: str
    guarantee_detail: str
    candidate: str
    split_brain: str
    paused: bool
    risk: DataRisk
    service_message: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One database node: role as agreed by its witnesses (or CONFLICT), position and lag.

    Lags are against the primary's position; None = unknown, never 0.
    """

    cluster: str
    node: str
    site: str
    role: str
    health: Health
    message: str
    votes: str
    timeline: int | None
    lsn: str
    lag_bytes: int | None
    unapplied_bytes: int | None
    lag_seconds: float | None
    sync: str
    state: str
    sources: tuple[str, ...]
    trend: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SlotRow:
    """One replication slot on the primary; `retained` bytes of WAL it keeps."""

    cluster: str
    name: str
    slot_type: str
    active: bool
    retained: int | None
    message: str
    source: str


@dataclass(frozen=True, slots=True)
class ReplicationView:
    """Screen 2; nodes are keyed `cluster/node`."""

    clusters: Mapping[str, ClusterRow]
    nodes: Mapping[str, NodeRow]
    slots: Mapping[str, SlotRow]
