"""What databases can be restored to: ranges of time, backups, lines of history. Positions are bytes, times epoch
seconds by the clocks of the servers and of the hosts that made the backups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from state.health import Health


class RestoreFault(StrEnum):
    """What stands against relying on a restore."""

    NOT_READ = "not-read"
    STORE = "store"
    STRANGE = "strange"
    ARCHIVER = "archiver"
    FROZEN = "frozen"
    ARCHIVING_UNKNOWN = "archiving-unknown"
    BRANCH_UNKNOWN = "branch-unknown"
    NO_BACKUP = "no-backup"
    MISSING_WAL = "missing-wal"
    GAPS = "gaps"
    END_UNKNOWN = "end-unknown"
    DAMAGED = "damaged"
    FOREIGN = "foreign"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One of them, how bad it is, and in words."""

    code: RestoreFault
    health: Health
    message: str


@dataclass(frozen=True, slots=True)
class ReachRow:
    """How far a backup goes along one branch: the end of its WAL, and the last commit in it, None = not known. `gap`:
    WAL is missing there, and later WAL exists."""

    end_lsn: int
    commit_at: float | None
    gap: bool


@dataclass(frozen=True, slots=True)
class BackupRow:
    """One backup. `reaches` by the last timeline of a branch; a branch along which it cannot be restored is not there.

    `flaws` is why it is not whole: flagged by its maker, or a backup that it needs is missing or flagged.
    """

    label: str
    kind: str
    timeline: int
    stop_lsn: int
    stopped_at: float | None
    flaws: tuple[str, ...]
    reaches: Mapping[int, ReachRow]


@dataclass(frozen=True, slots=True)
class BranchRow:
    """One line of history in the archive, by its last timeline. `own`: it is that of the primary now, or its past; None
    = not known. `line` has each timeline with the position where it begins."""

    timeline: int
    own: bool | None
    line: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class RangeRow:
    """A stretch of time to whose every instant it can be restored. `until` None = how far is not known."""

    since: float
    until: float | None
    end_lsn: int
    sets: tuple[str, ...]
    newest: bool


@dataclass(frozen=True, slots=True)
class PointRow:
    """A restore point that this product wrote: where it ends, on which timeline, and when that was recorded."""

    name: str
    lsn: int
    timeline: int
    at: float


@dataclass(frozen=True, slots=True)
class StoreRow:
    """Where the backups are and how they are restored: the words of a command, or the folders. `on` is the host."""

    kind: str
    on: str
    command: tuple[str, ...] = ()
    stanza: str = ""
    repo: int = 1
    wal: str = ""
    base: str = ""


@dataclass(frozen=True, slots=True)
class RestoreRow:
    """One database. `branch` is the timeline to restore along, None = not known; `primary_lsn` how far it has written.

    `proven_at`: when a restore was last proven, None = never or not known; `proven_mono` by the
    engine's monotonic clock. `proven_by` is what its command said. `faults` say what is wrong, the worst first.
    `points` are the last restore points, the oldest first. `limits` are the settings of the primary that a server which
    replays its WAL may not have lower; empty = not known. `running`: a backup is at work; one that another host makes
    is not seen, so that False says nothing.
    """

    database: str
    health: Health
    message: str
    store: StoreRow | None
    ranges: tuple[RangeRow, ...] = ()
    sets: tuple[BackupRow, ...] = ()
    branches: tuple[BranchRow, ...] = ()
    branch: int | None = None
    primary_lsn: int | None = None
    proven_at: float | None = None
    faults: tuple[FaultRow, ...] = ()
    sources: tuple[str, ...] = ()
    points: tuple[PointRow, ...] = ()
    proven_mono: float | None = None
    proven_by: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    running: bool = False


@dataclass(frozen=True, slots=True)
class RestoreView:
    """Every database of the estate, by name."""

    databases: Mapping[str, RestoreRow]
