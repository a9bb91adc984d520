"""The view models (topics) of the engine's socket. Standard library only; see `state.wire`.

Rows carry the `source` keys they derive from; the age of every value comes from `HeaderView.sources`, so a row
changes only when its content does. Monotonic instants (`*_mono`) are the engine's; a frame tells the engine's
`mono` at sending, so a console can age them without trusting any wall clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from state.progress import RunState, StepState


class Health(StrEnum):
    """A verdict. Unknown is an answer of its own; it never counts as pass."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source: monotonic instant of its last good read (None = never), age limit, last error if any."""

    key: str
    mono: float | None
    limit: float
    trouble: str
    message: str


@dataclass(frozen=True, slots=True)
class Clock:
    """A running objective: since when (monotonic), seconds promised, when it ended (None = still running)."""

    service: str
    started_mono: float
    target: float
    ended_mono: float | None


@dataclass(frozen=True, slots=True)
class DataRisk:
    """What a failover now could lose. `lost_bytes` None = unknown; `target` is the RPO in bytes."""

    database: str
    lost_bytes: int | None
    target: int
    health: Health
    words: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeaderView:
    """On every screen: where we are, the clocks, the risk, what is running, the journal's head."""

    estate: str
    environment: str
    rto: Clock | None
    risk: DataRisk | None
    running: tuple[str, ...]
    effects: str
    journal_seq: int
    journal_head: str
    alarms: tuple[str, ...]
    sources: Mapping[str, SourceRow]


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service by recovery priority: verdict with reason, figures, what it needs and unblocks."""

    name: str
    order: int
    tier: int
    health: Health
    words: str
    rate: float | None
    error_ratio: float | None
    error_limit: float
    p99: float | None
    p99_limit: float | None
    releases: str
    depends_on: tuple[str, ...]
    unblocks: int
    owners: str
    rto: Clock | None
    rto_target: float
    rpo_target: int
    source: str
    fallback: bool
    trend: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert of the monitors; `started_at` in epoch seconds."""

    name: str
    severity: str
    state: str
    started_at: float
    summary: str
    source: str


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One HTTP health probe."""

    name: str
    service: str
    site: str
    health: Health
    words: str
    source: str


@dataclass(frozen=True, slots=True)
class OverviewView:
    """Screen 1. `advice` says what to recover first and why; `alerts_words` why the list may be empty."""

    advice: str
    alerts_health: Health
    alerts_words: str
    services: Mapping[str, ServiceRow]
    alerts: Mapping[str, AlertRow]
    probes: Mapping[str, ProbeRow]


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One database cluster: verdict, the leader as votes, what a failover would lose."""

    name: str
    health: Health
    words: str
    leader: str
    votes: str
    timeline: str
    guarantee: str
    candidate: str
    split_brain: str
    paused: bool
    risk: DataRisk
    service_words: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One database node: role as agreed by its witnesses (or CONFLICT), position and distance.

    Lags are against the primary's position; None = unknown, never 0.
    """

    cluster: str
    node: str
    site: str
    role: str
    health: Health
    words: str
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
    """One replication slot on the primary; `retained` bytes of WAL it holds back."""

    cluster: str
    name: str
    slot_type: str
    active: bool
    retained: int | None
    words: str
    source: str


@dataclass(frozen=True, slots=True)
class ReplicationView:
    """Screen 2; nodes are keyed `cluster/node`."""

    clusters: Mapping[str, ClusterRow]
    nodes: Mapping[str, NodeRow]
    slots: Mapping[str, SlotRow]


@dataclass(frozen=True, slots=True)
class BackendRow:
    """One backend of one balancer: how many serve against its floor, colours, drift."""

    key: str
    balancer: str
    site: str
    backend: str
    service: str
    health: Health
    words: str
    serving: int
    total: int
    floor: int
    active: str
    sessions: int
    drift: str
    source: str


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One server: `state` is its word for people (ready, drain, maint, down…)."""

    key: str
    balancer: str
    site: str
    backend: str
    server: str
    release: str
    health: Health
    state: str
    weight: int
    share: float
    sessions: int
    queued: int
    rate: float
    error_rate: float
    check: str
    source: str
    trend: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DnsRow:
    """One record as one server answers it, against what the estate expects."""

    key: str
    name: str
    server: str
    answers: str
    expected: str
    health: Health
    words: str
    ttl: int | None
    source: str


@dataclass(frozen=True, slots=True)
class TrafficView:
    """Screen 4; servers are keyed `balancer/backend/server`."""

    backends: Mapping[str, BackendRow]
    servers: Mapping[str, ServerRow]
    dns: Mapping[str, DnsRow]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a runbook or change, for forms and completion."""

    name: str
    kind: str
    default: str
    choices: tuple[str, ...]
    required: bool


@dataclass(frozen=True, slots=True)
class RunbookRow:
    """One runbook of the library with its pinned hash. `lint` non-empty = it cannot be started, and why."""

    name: str
    title: str
    hash: str
    steps: int
    changes: int
    params: tuple[Param, ...]
    lint: str
    last: str
    outline: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution: progress, timings (monotonic of this engine, None when from before it), who, why paused.

    `next_actions` are the verbs that are safe now, most useful first.
    """

    id: str
    runbook: str
    title: str
    hash: str
    state: RunState
    actor: str
    service: str
    started_at: float
    elapsed: float | None
    started_mono: float | None
    budget: float | None
    done: int
    total: int
    words: str
    question: str
    options: tuple[str, ...]
    next_actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step instance of a run: `evidence` is what was read, in words; `figures` what was measured (bytes)."""

    key: str
    run: str
    step: str
    instance: int
    index: int
    depth: int
    kind: str
    title: str
    owner: str
    state: StepState
    started_at: float | None
    seconds: float | None
    started_mono: float | None
    timeout: float
    words: str
    evidence: tuple[str, ...]
    effect: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunbooksView:
    """Screen 3; steps are keyed `run/step#instance`, newest runs first in `order`."""

    order: tuple[str, ...]
    library: Mapping[str, RunbookRow]
    runs: Mapping[str, RunRow]
    steps: Mapping[str, StepRow]


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One entry; `at` in epoch seconds, `words` says it in one line."""

    seq: int
    at: float
    actor: str
    kind: str
    run: str
    step: str
    words: str
    hash: str


@dataclass(frozen=True, slots=True)
class JournalView:
    """Screen 9: the newest entries (keyed by seq) and the state of the chain."""

    head_seq: int
    head_hash: str
    durable: str
    verified: str
    entries: Mapping[str, JournalRow]


TOPICS: dict[str, type] = {
    "header": HeaderView,
    "overview": OverviewView,
    "replication": ReplicationView,
    "runbooks": RunbooksView,
    "traffic": TrafficView,
    "journal": JournalView,
}
