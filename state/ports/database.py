"""Replicated databases: reading is required, each effect is an optional capability."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from state.ports.target import Identity, Receipt
from state.world.manager_parts import ScheduledSwitchover
from state.world.manager_tables import ManagerTable
from state.world.readings import PatroniReading, PostgresReading


@runtime_checkable
class Database(Protocol):
    """A replicated database cluster, read node by node."""

    name: str
    nodes: Sequence[str]

    async def identify(self, *, deadline: float) -> Identity: ...
    async def read_node(self, node: str, *, deadline: float) -> PostgresReading: ...


@runtime_checkable
class HasManagers(Protocol):
    """A cluster each of whose nodes has a manager that is read too."""

    async def read_member(self, node: str, *, deadline: float) -> PatroniReading: ...


@runtime_checkable
class HasTables(Protocol):
    """A cluster whose manager is asked by command at several places; each has a table of its own. `order_limit`:
    seconds that an order to it may take; the program that waits for it is not ended before."""

    table_places: Sequence[str]
    order_limit: float

    async def read_table(self, place: str, *, deadline: float) -> ManagerTable: ...


@runtime_checkable
class CanSwitchOver(Protocol):
    """Moves the leader role from `leader` to `candidate`, planned and without loss."""

    async def switch_over(self, leader: str, candidate: str, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanSchedule(Protocol):
    """A manager that switches over at a later time."""

    async def scheduled(self, *, deadline: float) -> ScheduledSwitchover | None:
        """What is scheduled now, by a member that reads the cluster. Raises ReadFailure."""

    async def schedule(self, leader: str, candidate: str, at: float, *, deadline: float) -> Receipt: ...
    async def unschedule(self, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanFailOver(Protocol):
    """Lets a standby lead where no node leads. Nothing waits for what it lacks."""

    async def identify_unled(self, *, deadline: float) -> Identity:
        """As `identify`, also where no node leads. Raises ReadFailure when no node answers."""

    async def fail_over(self, candidate: str, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanPause(Protocol):
    """A manager that can be told to leave its cluster alone."""

    async def pause(self, *, paused: bool, deadline: float) -> Receipt: ...


@runtime_checkable
class CanRestart(Protocol):
    """Restarts the server of a standby; a node that leads is left alone. With `pending` only one that waits for it."""

    async def restart(self, node: str, *, pending: bool, deadline: float) -> Receipt: ...


@runtime_checkable
class CanReinitialize(Protocol):
    """Removes a standby's data and copies the leader's anew."""

    async def reinitialize(self, node: str, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanPromote(Protocol):
    """Ends the recovery of a standby; nobody else in the cluster is asked."""

    async def identify_unled(self, *, deadline: float) -> Identity:
        """As `identify`, also where no node leads. Raises ReadFailure when no node answers."""

    async def promote(self, node: str, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanRepoint(Protocol):
    """Lets a standby stream from another node."""

    async def upstream(self, node: str, *, deadline: float) -> str:
        """The node that it is set to stream from, or the address where that is none; empty without one. Raises
        ReadFailure."""

    async def repoint(self, node: str, upstream: str, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanDropSlot(Protocol):
    """Drops a replication slot of a node."""

    async def drop_slot(self, node: str, slot: str, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanMark(Protocol):
    """Writes a mark on the node that leads, which every node that follows it has some time later."""

    async def mark(self, node: str, mark: str, *, deadline: float) -> Receipt: ...

    async def marked(self, node: str, *, deadline: float) -> str:
        """The last mark that a node has; empty without one. Raises ReadFailure."""


@dataclass(frozen=True, slots=True)
class PointRecord:
    """A restore point as it is on record at a server: `lsn` is its end in bytes, None when it was begun and nothing
    says that it is in the WAL. `mark` is the effect's own."""

    name: str
    lsn: int | None
    mark: str


@runtime_checkable
class CanMakePoint(Protocol):
    """Writes a named restore point into the WAL of the node that leads, and keeps a record of it there: what stands in
    the WAL cannot be asked for."""

    makes_points: bool
    """Whether the estate names an account that may."""

    async def make_point(self, node: str, name: str, mark: str, *, deadline: float) -> Receipt: ...

    async def points(self, node: str, *, deadline: float) -> Sequence[PointRecord]:
        """Those on record at a node, the newest last. Raises ReadFailure."""


@runtime_checkable
class CanTellFork(Protocol):
    """Knows where a timeline left its parent: the WAL position in bytes, None when it is not recorded (yet)."""

    async def fork(self, node: str, timeline: int, *, deadline: float) -> int | None: ...


@dataclass(frozen=True, slots=True)
class SeenWriter:
    """The last good reading of the node that accepted writes last, its age in seconds and when it was (epoch seconds).

    `gap`: for how many seconds no node was read to accept writes before this one did, in place of another node or on
    another timeline; None when it is the first one.
    """

    reading: PostgresReading
    age: float
    at: float
    gap: float | None = None


@runtime_checkable
class RemembersWriter(Protocol):
    """A cluster whose readings are remembered while the engine runs."""

    def last_writer(self) -> SeenWriter | None:
        """The node that accepted writes last; None when none was read to do so."""


@runtime_checkable
class RemembersSlots(Protocol):
    """A cluster whose readings of slots are remembered while the engine runs."""

    def slots_seen(self, node: str) -> Collection[str]:
        """Names of the slots that a node has or has had; the last hundreds of them."""


@dataclass(frozen=True, slots=True)
class LeaderLease:
    """The leader lock of a manager's store, as its members told it. `free_for`: seconds for which each reading of a
    member in contact with the store found no holder; None while it is held, or when nobody watched. `ttl` in seconds,
    None when it was not read. `binding`: whether a holder that loses it stops writing by itself."""

    holder: str
    free_for: float | None
    ttl: float | None
    binding: bool


@runtime_checkable
class HasLease(Protocol):
    """A cluster whose leader holds a lock that ends by itself."""

    def lease(self) -> LeaderLease: ...


@dataclass(frozen=True, slots=True)
class PromotionFacts:
    """What a node is asked before it leads, or stops leading. None is not told.

    `unlogged` are the tables of its databases that are empty after a promotion, without those of the databases of
    `unread`, which this account could not ask; `prepared` its prepared transactions (a standby shows none).
    `checkpoint` is the timeline of its last checkpoint and `redo` where recovery from it would begin, `oldest_wal` the
    first byte of the oldest WAL file that it has.
    """

    node: str
    unlogged: int | None = None
    unread: tuple[str, ...] = ()
    prepared: int | None = None
    checkpoint: int | None = None
    redo: int | None = None
    oldest_wal: int | None = None


@runtime_checkable
class CanTellPromotion(Protocol):
    """Answers what a promotion means for a node."""

    async def promotion(self, node: str, *, deadline: float) -> PromotionFacts:
        """Raises ReadFailure."""
