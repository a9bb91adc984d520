"""Screen 2: database clusters, nodes, slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from state.api.views.header import DataRisk
from state.health import Health


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One node as a leader to be, in order of rank; `may_lead` None = not known.

    `lacks` are bytes of the primary's WAL, None = not known. `reasons` stand against it, `unknowns` may, `notes` are
    what its promotion brings with it.
    """

    node: str
    may_lead: bool | None
    lacks: int | None
    reasons: tuple[str, ...]
    unknowns: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestoreBrief:
    """To what times a database can be restored, in short: stretches as (begin, end or None = not known), epoch seconds.

    `proof` is the verdict on the last proven restore; `proven_at` and `proven_mono` (engine's monotonic clock) are None
    when none is known.
    """

    health: Health
    message: str
    ranges: tuple[tuple[float, float | None], ...]
    proof: Health
    proven_at: float | None
    proven_mono: float | None
    source: str


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One database cluster: verdict, the leader by votes, what a failover would lose.

    `guarantee` is what a commit waits for: async, sync, quorum, stored, elsewhere (a standby cluster), blocked or
    unknown; `guarantee_detail` says which standbys, or why; `weaker` are roles and databases whose commits wait for
    less, `waiting` how many commits wait now, None = not told. `leader` names a node, or says that none is agreed on.
    `split_brain` is the alarm, or empty. `scheduled` is a hand-over to come, in words. `candidates` are all nodes by
    rank. `lock` is who has the leader lock by the managers or their store, empty when none is known to; `traffic` the
    nodes to which balancers send writes, None when none says. `restore` is None where the estate names no backups.
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
    weaker: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    waiting: int | None = None
    scheduled: str = ""
    candidates: tuple[CandidateRow, ...] = ()
    lock: str = ""
    traffic: tuple[str, ...] | None = None
    restore: RestoreBrief | None = None


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One database node: role as agreed by its witnesses (or CONFLICT), position and lag.

    Lags are against the primary's position; None = unknown, never 0. `upstream` is from where it streams. Positions are
    bytes: `sent`, `written`, `flushed` and `applied` by the upstream's word, `received` and `replayed` by its own.
    `ahead_bytes` is what it holds and the primary lacks. `tags` are those of its manager that say something.
    `transport` is how its stream travels now, `agent_certificate` how long its manager's is good,
    empty = not known.
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
    upstream: str = ""
    sent: int | None = None
    written: int | None = None
    flushed: int | None = None
    applied: int | None = None
    received: int | None = None
    replayed: int | None = None
    ahead_bytes: int = 0
    tags: tuple[str, ...] = ()
    transport: str = ""
    agent_certificate: str = ""


SUBSCRIPTION, PUBLICATION = "subscription", "publication"


@dataclass(frozen=True, slots=True)
class SlotRow:
    """One replication slot of the primary, or of a standby where it is a fault there; `retained` bytes of WAL it keeps.

    `safe` is how many more may be written before it loses its WAL, None = no limit or not told. A `slot_type` of
    `SUBSCRIPTION` is the other end of logical replication; it has `retained` at its publisher. `PUBLICATION`: what is
    offered there, active while one of the estate reads it.
    """

    cluster: str
    name: str
    slot_type: str
    active: bool
    retained: int | None
    message: str
    source: str
    node: str = ""
    health: Health = Health.PASS
    consumer: str = ""
    safe: int | None = None


@dataclass(frozen=True, slots=True)
class ReplicationView:
    """Screen 2; nodes are keyed `cluster/node`."""

    clusters: Mapping[str, ClusterRow]
    nodes: Mapping[str, NodeRow]
    slots: Mapping[str, SlotRow]
