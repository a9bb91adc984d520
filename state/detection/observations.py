"""What the engine observes and records: sources, nodes, leaders, replication, causes, alerts, services, balancers.

One entry has everything of its kind that changed together. Times are seconds since 1970, None = never or not known;
`seconds` is how long it lasted, `more` how often it came and went without an entry of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from state.journal.events import WORDS, Observation, event


@dataclass(frozen=True, slots=True)
class SilentSource:
    """A source without a usable value: when it was last read, its age then, its limit, why it is not read, and since
    when it is silent."""

    source: str
    read_at: float | None
    age: float | None
    limit: float
    trouble: str
    error: str
    since: float | None = None


@event("source.silent")
@dataclass(frozen=True, slots=True)
class SourceSilent(Observation):
    """Sources have given no value for longer than their limit."""

    message: str = field(metadata=WORDS)
    sources: tuple[SilentSource, ...]


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """A source that gives values again."""

    source: str
    seconds: float | None
    more: int


@event("source.back")
@dataclass(frozen=True, slots=True)
class SourceBack(Observation):
    """Sources that were silent give values again."""

    message: str = field(metadata=WORDS)
    sources: tuple[ReadAgain, ...]


@dataclass(frozen=True, slots=True)
class LostNode:
    """A node whose server gives no reading: its last known role and timeline, what its manager says, and since when it
    is lost."""

    database: str
    node: str
    role: str
    timeline: int | None
    read_at: float | None
    age: float | None
    trouble: str
    manager: str
    since: float | None = None


@event("node.lost")
@dataclass(frozen=True, slots=True)
class NodeLost(Observation):
    """Database nodes have given no reading for longer than their limit."""

    message: str = field(metadata=WORDS)
    nodes: tuple[LostNode, ...]


@dataclass(frozen=True, slots=True)
class NodeAgain:
    """A node that gives readings again, with its role and timeline by its own server."""

    database: str
    node: str
    role: str
    timeline: int | None
    seconds: float | None
    more: int


@event("node.back")
@dataclass(frozen=True, slots=True)
class NodeBack(Observation):
    """Database nodes that were lost give readings again."""

    message: str = field(metadata=WORDS)
    nodes: tuple[NodeAgain, ...]


@event("leader.changed")
@dataclass(frozen=True, slots=True)
class LeaderChanged(Observation):
    """Another node leads a database; `before` is empty for the first leader this journal knows.

    `timeline` is the new leader's, None when its server does not say; `more` changes were not recorded one by one.
    """

    database: str
    before: str
    leader: str
    timeline: int | None
    message: str = field(metadata=WORDS)
    more: int = 0


@event("writer.lost")
@dataclass(frozen=True, slots=True)
class WriterLost(Observation):
    """No node of a database has accepted writes since an instant; `leader` is the one that did, empty = not known."""

    database: str
    leader: str
    since: float
    message: str = field(metadata=WORDS)


@event("writer.back")
@dataclass(frozen=True, slots=True)
class WriterBack(Observation):
    """A node of a database accepts writes again; it came and went `more` times meanwhile."""

    database: str
    leader: str
    seconds: float | None
    message: str = field(metadata=WORDS)
    more: int = 0


@dataclass(frozen=True, slots=True)
class BrokenStandby:
    """A standby that does not follow: bytes it has not received (None = unknown), why, and since when."""

    database: str
    node: str
    primary: str
    behind: int | None
    why: str
    since: float | None = None


@event("replication.broken")
@dataclass(frozen=True, slots=True)
class ReplicationBroken(Observation):
    """Standbys do not stream, or did not receive more than the RPO allows to lose."""

    message: str = field(metadata=WORDS)
    standbys: tuple[BrokenStandby, ...]


@dataclass(frozen=True, slots=True)
class FollowingStandby:
    """A node that streams again, or leads now."""

    database: str
    node: str
    primary: str
    seconds: float | None
    more: int


@event("replication.restored")
@dataclass(frozen=True, slots=True)
class ReplicationRestored(Observation):
    """Standbys that did not follow do so again."""

    message: str = field(metadata=WORDS)
    standbys: tuple[FollowingStandby, ...]


@dataclass(frozen=True, slots=True)
class BegunCause:
    """A cause at a database: `code` is its key there (`n1/archiver`, `blocked`), `state` its health or `lost`, `what`
    its sentence part."""

    database: str
    code: str
    state: str
    what: str
    since: float | None = None


@event("cause.began")
@dataclass(frozen=True, slots=True)
class CauseBegan(Observation):
    """Databases are in danger or halted by causes that no other entry tells, or these became worse or better."""

    message: str = field(metadata=WORDS)
    causes: tuple[BegunCause, ...]


@dataclass(frozen=True, slots=True)
class EndedCause:
    """A cause that is proven to be over, with its last words."""

    database: str
    code: str
    what: str
    seconds: float | None
    more: int


@event("cause.ended")
@dataclass(frozen=True, slots=True)
class CauseEnded(Observation):
    """Causes at databases are over, by fresh readings of what would show them."""

    message: str = field(metadata=WORDS)
    causes: tuple[EndedCause, ...]


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """One alert, by its fingerprint, as all sources together report it; `state` is `firing` or `suppressed`, seen so
    `since`, and `suppressed` says by whom and until when."""

    fingerprint: str
    name: str
    severity: str
    state: str
    started_at: float
    summary: str
    sources: tuple[str, ...]
    suppressed: str = ""
    since: float | None = None


@event("alert.fired")
@dataclass(frozen=True, slots=True)
class AlertFired(Observation):
    """Alerts began to fire, or became suppressed or unsuppressed while firing.

    `more`: how many others came and went in a storm of alerts, without an entry.
    """

    message: str = field(metadata=WORDS)
    alerts: tuple[FiringAlert, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class EndedAlert:
    """An alert that does not fire any more."""

    fingerprint: str
    name: str
    seconds: float | None
    more: int


@event("alert.resolved")
@dataclass(frozen=True, slots=True)
class AlertResolved(Observation):
    """Alerts that fired do so no more, as a source that reported them now says."""

    message: str = field(metadata=WORDS)
    alerts: tuple[EndedAlert, ...]


@dataclass(frozen=True, slots=True)
class UnjudgedService:
    """A service without evidence enough for a verdict, what is missing, and since when."""

    service: str
    why: str
    since: float | None = None


@event("service.unknown")
@dataclass(frozen=True, slots=True)
class ServiceUnknown(Observation):
    """The health of services is unknown."""

    message: str = field(metadata=WORDS)
    services: tuple[UnjudgedService, ...]


@dataclass(frozen=True, slots=True)
class JudgedService:
    """A service whose health is known again."""

    service: str
    health: str
    seconds: float | None
    more: int


@event("service.known")
@dataclass(frozen=True, slots=True)
class ServiceKnown(Observation):
    """The health of services that was unknown is known again."""

    message: str = field(metadata=WORDS)
    services: tuple[JudgedService, ...]


@dataclass(frozen=True, slots=True)
class RestartedBalancer:
    """A balancer with another process than before (`before` is empty when no engine had seen it)."""

    balancer: str
    before: str
    process: str
    started_at: float
    more: int


@event("balancer.restarted")
@dataclass(frozen=True, slots=True)
class BalancerRestarted(Observation):
    """Balancers were reloaded or restarted: what was set at run time may be lost."""

    message: str = field(metadata=WORDS)
    balancers: tuple[RestartedBalancer, ...]
