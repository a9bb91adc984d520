"""What a PostgreSQL server tells of its streams, slots, archive and settings, as plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Transport:
    """How a stream travels now: version and cipher of TLS, empty where it is not encrypted. `local`: it leaves no host,
    by the address of its other end."""

    version: str = ""
    cipher: str = ""
    local: bool = False


@dataclass(frozen=True, slots=True)
class WalSender:
    """One row of pg_stat_replication on the upstream side; positions are None where the server tells none.

    `quiet`: seconds for which its replies have not moved on between two readings of our own, None before the second.
    The time in a reply is of the other host's clock, so its age by any clock means nothing. `transport` None: it is
    not told. `logical`: what goes through it are decoded changes, not WAL.
    """

    application_name: str
    state: str
    sync_state: str
    sent_lsn: int | None
    flush_lsn: int | None
    replay_lsn: int | None
    quiet: float | None
    write_lsn: int | None = None
    pid: int | None = None
    sync_priority: int | None = None
    transport: Transport | None = None
    logical: bool = False

    @property
    def attached(self) -> bool:
        """Whether it follows the stream now; in `startup`, `catchup` or `backup` it does not."""
        return self.state == "streaming"

    @property
    def only_stores(self) -> bool:
        """Whether what receives could not lead: it streams and flushes, and never applies (pg_receivewal), or it gets
        the changes of published tables only."""
        return self.attached and (self.logical or (self.flush_lsn is not None and self.replay_lsn is None))


@dataclass(frozen=True, slots=True)
class WalReceiver:
    """The stream as its standby has it: the name by which the upstream knows it, where that is, and the slot it uses.

    `upstream_lsn` is how far the upstream had written by its last message.
    """

    name: str = ""
    host: str = ""
    port: int | None = None
    slot: str = ""
    upstream_lsn: int | None = None


@dataclass(frozen=True, slots=True)
class ReplicationSlot:
    """One row of pg_replication_slots. None = not told: some columns are younger than some servers.

    `safe_wal_size` is how many bytes may still be written before its WAL is in danger. `still`: seconds for which it
    has not moved between our own readings. `skipped`: it was made anew under the name of one that a writer had before,
    and what lies between these two positions was never sent to its consumer.
    """

    name: str
    slot_type: str
    active: bool
    restart_lsn: int | None
    wal_status: str | None
    plugin: str = ""
    database: str = ""
    active_pid: int | None = None
    confirmed_lsn: int | None = None
    safe_wal_size: int | None = None
    temporary: bool = False
    conflicting: bool | None = None
    failover: bool | None = None
    synced: bool | None = None
    invalidation: str = ""
    still: float | None = None
    skipped: tuple[int, int] | None = None

    @property
    def lost(self) -> bool:
        """Whether its consumer cannot go on from it any more."""
        return self.wal_status == "lost" or bool(self.invalidation) or bool(self.conflicting)


@dataclass(frozen=True, slots=True)
class Waits:
    """Commits that wait for a synchronous standby now, and for how many seconds the oldest was seen to, at least."""

    count: int
    longest: float


@dataclass(frozen=True, slots=True)
class WalArchiver:
    """pg_stat_archiver: `failing` means that its last try failed. `backlog` is how many files wait, None = not told.
    `since`: seconds since the last file was archived, both by the server's own clock. `configured`: it has a command or
    a library to archive with; without one nothing fails and nothing is archived."""

    mode: str
    archived: int
    failed: int
    last_archived: str
    last_failed: str
    failing: bool
    backlog: int | None = None
    since: float | None = None
    configured: bool = True


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What changes slowly. `limits` are the settings that a standby may not have lower than its primary.

    `apply_delay` and `status_interval` in seconds. `weaker` are the roles and databases whose commits wait for less,
    as `role batch: off`. `restores`: it has a restore_command; `follows`: it has a primary_conninfo, None = not told.
    `has_target`: it is to stop at a point (recovery_target_*). `refuses_writes`: every session is read-only unless it
    asks for more (default_transaction_read_only); `read_only` are the databases of which that is so.
    """

    limits: Mapping[str, int] = field(default_factory=dict)
    apply_delay: float = 0.0
    status_interval: float = 10.0
    weaker: tuple[str, ...] = ()
    restores: bool = False
    follows: bool | None = None
    has_target: bool = False
    refuses_writes: bool = False
    read_only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EarlierPosition:
    """The furthest position of a reading before this one, which had ended so many seconds before this one began."""

    ended_before: float
    position: int


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication of the one database that is read. `tables` are how many it names, None = all there are."""

    name: str
    database: str
    tables: int | None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of logical replication. `running`: its apply worker is there, `received` how far it has heard.

    `errors` counts its failures to apply and to copy; `failing`: they became more lately, between our own readings.
    `stopped`: seconds for which no worker was seen between our own readings, None = it runs, or before the second.
    `uncopied`: its tables that are not copied yet, None = in another database than the one that is read. `idle`:
    seconds for which nothing copied them, None = something does, or before the second.
    """

    name: str
    database: str
    enabled: bool
    slot: str
    publications: tuple[str, ...]
    running: bool
    received: int | None
    errors: int
    failing: bool = False
    stopped: float | None = None
    uncopied: int | None = None
    idle: float | None = None
