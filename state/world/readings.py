"""What sources answer, as plain frozen values. LSNs are byte positions (int); times are epoch seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from state.api.views.overview import Suppression
from state.errors import Trouble
from state.health import Health
from state.world.backup_parts import BackupReading
from state.world.balancer_parts import BalancerReading
from state.world.dns_parts import DnsReading
from state.world.integrity_parts import IntegrityReading
from state.world.manager_parts import ScheduledSwitchover, StoreReading, SyncMode
from state.world.manager_tables import ManagerTable
from state.world.postgres_parts import (
    EarlierPosition,
    Publication,
    ReplicationSlot,
    ServerSettings,
    Subscription,
    Waits,
    WalArchiver,
    WalReceiver,
    WalSender,
)
from state.world.release_parts import SchemaReading, VersionReading
from state.world.timelines import History


@dataclass(frozen=True, slots=True)
class PostgresReading:
    """What one PostgreSQL node reports about itself, read over one connection.

    `timeline` is of the WAL file name on a writable node, of the receiver or control file on a standby. `receive_lsn`
    and `replay_lsn` are None on a primary, `write_lsn` on a standby. `history` is the descent of its timeline, None =
    not known; `branches` the first records of the timelines that it has been on, as hashes by timeline: two of one
    number that were promoted apart differ there. `sessions` are clients connected now, `sessions_limit` how many an
    ordinary role can have; None = not told. `other_engine` has this server's lease: another engine's name and address,
    empty when this one has it. `replayed_at` is the last applied commit's time by its maker's clock, `clock` this
    server's own; `next_xid` is one more than the newest ended transaction. `upstream_quiet`: seconds without anything
    new from the upstream between own readings. `earlier` are positions of readings before this one. `certificate_days`:
    whole days that its certificate is good for; None = none, or not known; `certificate_unread`: it was looked for in
    vain. `privileged` is False where statistics of
    others may not be read: rows without figures mean nothing then.
    """

    node: str
    in_recovery: bool
    timeline: int | None
    system_id: str
    version: str
    started_at: float
    server_address: str
    write_lsn: int | None
    receive_lsn: int | None
    replay_lsn: int | None
    replay_pause: str | None
    replayed_at: float | None
    receiver_state: str | None
    synchronous_standby_names: str
    synchronous_commit: str
    history: History | None = None
    branches: Mapping[int, str] = field(default_factory=dict)
    senders: tuple[WalSender, ...] = ()
    slots: tuple[ReplicationSlot, ...] = ()
    sessions: int | None = None
    sessions_limit: int | None = None
    other_engine: str = ""
    receiver: WalReceiver | None = None
    upstream_quiet: float | None = None
    waits: Waits | None = None
    archiver: WalArchiver | None = None
    settings: ServerSettings | None = None
    subscriptions: tuple[Subscription, ...] = ()
    publications: tuple[Publication, ...] = ()
    clock: float | None = None
    next_xid: int | None = None
    earlier: tuple[EarlierPosition, ...] = ()
    privileged: bool = True
    certificate_days: int | None = None
    certificate_unread: bool = False
    certificate_refused: str = ""

    @property
    def held(self) -> int | None:
        """The furthest position that it has: written, or on a standby received or, from an archive, applied."""
        if not self.in_recovery:
            return self.write_lsn
        return max((p for p in (self.receive_lsn, self.replay_lsn) if p is not None), default=None)


@dataclass(frozen=True, slots=True)
class PatroniMember:
    """One member as `GET /cluster` reports it; `lag` in bytes, None when Patroni says `unknown`.

    `nofailover`: by its tags Patroni never lets it lead. Of equal ones the higher `priority` leads. `nosync`: it is
    never made synchronous. `replicatefrom` is whom it is to stream from; `nostream`: from the archive alone.
    """

    name: str
    role: str
    state: str
    timeline: int | None
    lag: int | None
    nofailover: bool = False
    priority: int = 1
    nosync: bool = False
    noloadbalance: bool = False
    replicatefrom: str = ""
    pending_restart: bool = False
    nostream: bool = False


@dataclass(frozen=True, slots=True)
class PatroniReading:
    """One Patroni node's answer. Roles are normalised: `master` of 3.x is `primary`.

    `ttl` and `loop_wait` in seconds as configured: a leader silent for `ttl` loses its lock. `dcs_age`: seconds for
    which its last contact to the DCS, of its host's clock, has not moved on between two own readings, None before the
    second. `sync_mode` None = its configuration was not read. `certificate_days` are of the agent's certificate,
    `certificate_unread`: it was looked for in vain; `certificate_refused`: why it is not believed.
    `watchdog_failed`: by its own word it may not lead. `sync_nodes` are to confirm each commit in synchronous mode.
    `start_timeout`: seconds for which a leader may start its server again before it gives its lock up.
    `standby_set`: its configuration makes a standby cluster of it, None = it was not read.
    """

    node: str
    scope: str
    role: str
    state: str
    timeline: int | None
    lsn: int | None
    system_id: str
    version: str
    paused: bool
    unlocked: bool
    failsafe: bool
    dcs_age: float | None
    maximum_lag: int | None = None
    members: tuple[PatroniMember, ...] = ()
    ttl: float | None = None
    loop_wait: float | None = None
    scheduled: ScheduledSwitchover | None = None
    sync_mode: SyncMode | None = None
    sync_strict: bool = False
    check_timeline: bool = False
    pending_restart: bool = False
    certificate_days: int | None = None
    certificate_unread: bool = False
    certificate_refused: str = ""
    watchdog_failed: bool = False
    sync_nodes: int = 1
    start_timeout: float = 300.0
    standby_set: bool | None = None


@dataclass(frozen=True, slots=True)
class ReleaseTraffic:
    """One release's share of a service: requests/s, 5xx ratio and p99 seconds (None = no data)."""

    release: str
    rate: float | None
    error_ratio: float | None
    p99: float | None
    p99_beyond: bool = False


class Lack(StrEnum):
    """Why a monitor gives no figure."""

    NO_SERIES = "no series"
    OLD = "old"
    WAITING = "waiting"
    FEW_SAMPLES = "few samples"
    NOT_A_NUMBER = "not a number"
    NO_BUCKETS = "no buckets"
    ONLY_INF = "only +Inf"
    NO_INF = "no +Inf"
    UNEVEN = "uneven"
    UNTIMED = "untimed"
    NO_CODE = "no code"
    STRANGE_CODE = "strange code"
    NEW_SERIES = "new series"
    NO_UNIT = "no unit"
    FALLS = "falls"
    NO_COUNTER = "no counter"
    SEVERAL = "several"
    SUMMED = "summed"
    DOWN = "down"
    GONE = "gone"
    NO_LONGER = "no longer"


@dataclass(frozen=True, slots=True)
class Scraping:
    """How often a monitor has samples of a service, and how it reads them, all in seconds.

    `interval` is the usual distance of its samples, None while there are too few to tell; `window` the range of its
    rates; `limit` the age past which a sample counts as no data; `age` that of its newest sample when it was read,
    None where none is known."""

    interval: float | None
    window: float
    limit: float
    age: float | None

    @property
    def samples(self) -> float | None:
        """How many samples the window holds, None while the interval is not known. A rate needs two."""
        return None if self.interval is None else self.window / self.interval


@dataclass(frozen=True, slots=True)
class MissingTarget:
    """A scrape target whose figures of a service are left out: what became of its answer, or why it gives no figure.

    `known`: it counted the service once. Of one that counted nothing yet nobody knows what it should count. `since`:
    its last good answer, or the last one that counted the service, or when it was found to give none (epoch seconds).
    """

    target: str
    known: bool
    trouble: Trouble | None = None
    message: str = ""
    lack: Lack | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True)
class ServiceTraffic:
    """A monitor's figures of one service over its window: requests/s, 5xx ratio, p99 seconds.

    `p99_beyond`: the p99 is at least `p99`, the highest finite bound of its histogram. `lack` is why there is no
    request rate, `p99_lack` why there is no p99; None also where there were no requests. `errors_lack` is why nobody
    knows which requests failed, of which the share `errors_at_least` did, None = not known; `code` is the label that
    should tell it. `missing` are the targets that the figures lack: they are those of the others. `targets` is how many
    there are in all, 0 = not known. `mixed` are labels by
    which its series differ though they should tell nothing apart in one service, and their values.
    """

    service: str
    rate: float | None
    error_ratio: float | None
    p99: float | None
    releases: tuple[ReleaseTraffic, ...] = ()
    p99_beyond: bool = False
    lack: Lack | None = None
    p99_lack: Lack | None = None
    scraping: Scraping | None = None
    errors_lack: Lack | None = None
    errors_at_least: float | None = None
    code: str = "code"
    missing: tuple[MissingTarget, ...] = ()
    targets: int = 0
    mixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


PastPoint = tuple[float, float | None, float | None, float | None]
"""Epoch seconds, 5xx ratio, requests/s, p99 seconds."""


@dataclass(frozen=True, slots=True)
class MetricsReading:
    """One monitor's figures for each service of the estate that names it, also where it has none.

    `past` has points of the last hour, given once after a start or a gap by a monitor that remembers them.
    """

    services: Mapping[str, ServiceTraffic]
    past: Mapping[str, tuple[PastPoint, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as Alertmanager has it. `health` is the verdict on its severity, `mapped` whether the estate knows it.

    `updated_at` is when it was last confirmed, epoch seconds. `copies` are the labels (`replica=a`) of the servers that
    each sent it: they are not among `labels`, and copies of one alert have one fingerprint.
    """

    name: str
    state: str
    severity: str
    started_at: float
    summary: str
    fingerprint: str
    labels: Mapping[str, str] = field(default_factory=dict)
    health: Health = Health.WARN
    mapped: bool = True
    suppressed: Suppression | None = None
    updated_at: float | None = None
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertsReading:
    """All alerts but the watchdog. `watchdog`: it fires, is not suppressed and was confirmed lately; without it 'none
    firing' proves nothing, and `doubtful` is the watchdog alert as it is, if there is one.

    Sources with a common member of `cluster` are one Alertmanager in several processes. `awaited`: it started so lately
    that its watchdog alert may still come, at the latest at this time of its own clock (epoch seconds). `watchdogs` are
    the fingerprints of those that prove it, `lost` those that did so before: their labels, and until when. `several`:
    its answers come from several Alertmanagers by turns, each with its own alerts. `omitted`: so many are not kept.
    """

    alerts: tuple[Alert, ...]
    watchdog: bool
    doubtful: Alert | None = None
    cluster: frozenset[str] = frozenset()
    awaited: float | None = None
    watchdogs: frozenset[str] = frozenset()
    lost: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    several: bool = False
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class ProbeReading:
    """One HTTP health answer: status code and seconds it took."""

    target: str
    status: int
    seconds: float

    @property
    def ok(self) -> bool:
        """2xx is healthy."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class OwnCheckReading:
    """The answer to a check of the estate's own: its verdict, and what was read."""

    check: str
    health: Health
    message: str


Reading = (
    OwnCheckReading
    | PostgresReading
    | PatroniReading
    | StoreReading
    | ManagerTable
    | BalancerReading
    | MetricsReading
    | AlertsReading
    | ProbeReading
    | DnsReading
    | BackupReading
    | IntegrityReading
    | VersionReading
    | SchemaReading
)
