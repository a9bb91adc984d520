"""What is known of the servers of a cluster, and what is found in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from state.errors import ExitCode
from state.health import Health


class IntegrityAsked(StrEnum):
    """What is asked, in the order people read it."""

    WRITER = "writer"
    TIMELINE = "timeline"
    FRONTENDS = "frontends"
    SLOTS = "slots"
    PREPARED = "prepared"
    SETTINGS = "settings"
    COLLATION = "collation"
    EXTENSIONS = "extensions"
    UNLOGGED = "unlogged"
    CONSTRAINTS = "constraints"
    KEYS = "foreign-keys"
    NOT_NULL = "not-null"
    SEQUENCES = "sequences"
    INDEXES = "indexes"
    AMCHECK = "amcheck"
    CHANGES = "changes"
    """What is different from a snapshot."""


@dataclass(frozen=True, slots=True)
class IntegrityFinding:
    """One answer. `where` is a node, `node/database`, or an object in it; `way_out` is empty for a pass."""

    asked: IntegrityAsked
    where: str
    health: Health
    fact: str
    way_out: str = ""


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """A replication slot: `state` is its `wal_status`, `lost_by` why it was invalidated, where the server tells."""

    name: str
    kind: str
    active: bool
    state: str | None
    lost_by: str | None = None


@dataclass(frozen=True, slots=True)
class SequenceFacts:
    """A sequence that fills a column. `most` is the last number that it can give and the column can hold: the smallest
    where `increment` is negative."""

    name: str
    table: str
    column: str
    increment: int
    most: int
    cycles: bool = False


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A foreign key; `joined` has for each column the text of the child's, the operator and the parent's."""

    name: str
    table: str
    parent: str
    joined: tuple[tuple[str, str, str], ...]
    state: str
    """`valid`, `not validated` or `not enforced`."""
    full: bool = False
    """MATCH FULL: a key is NULL throughout or not at all."""
    period: bool = False
    """Its last column is a span of time, which its parents must hold together (18)."""


@dataclass(frozen=True, slots=True)
class ConstraintFacts:
    """A check or not-null constraint that proves nothing: `state` is `not validated` or `not enforced`."""

    name: str
    table: str
    kind: str
    state: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """A database as one node has it. `collations` has for each collation of an index the version that was recorded
    and the one of the libraries of this node; the database's own has an empty name."""

    collations: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    extensions: Mapping[str, str] = field(default_factory=dict)
    constraints: tuple[ConstraintFacts, ...] = ()
    keys: tuple[KeyFacts, ...] = ()
    sequences: tuple[SequenceFacts, ...] = ()
    invalid: tuple[str, ...] = ()
    unlogged: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    btrees: tuple[str, ...] = ()
    amcheck_in: str = ""
    """The schema of amcheck; empty without it."""
    positions: Mapping[str, int] = field(default_factory=dict)
    """By sequence its last value, where it was read."""
    unread: Mapping[str, int] = field(default_factory=dict)
    """How many indexes amcheck does not read here, by their kind; `unlogged` on a standby."""
    older: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By collation, as in `collations`, the indexes that are older than the record of its version."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One node. `available` has the extensions whose files are there, with their versions; `prepared` the names of
    prepared transactions with their age in seconds. `streams`: it gets WAL from somewhere; `sends`: to how many."""

    in_recovery: bool
    timeline: int
    system_id: str
    version: str
    settings: Mapping[str, str] = field(default_factory=dict)
    slots: tuple[SlotFacts, ...] = ()
    prepared: Mapping[str, float] = field(default_factory=dict)
    available: Mapping[str, str] = field(default_factory=dict)
    databases: Mapping[str, DatabaseFacts] = field(default_factory=dict)
    streams: bool = False
    sends: int = 0


@dataclass(frozen=True, slots=True)
class IntegrityFacts:
    """All nodes that answered, and why the others did not."""

    nodes: Mapping[str, ServerFacts]
    silent: Mapping[str, str] = field(default_factory=dict)

    @property
    def writers(self) -> list[str]:
        """The nodes that accept writes."""
        return [name for name, node in self.nodes.items() if not node.in_recovery]

    @property
    def led_from_outside(self) -> bool:
        """Whether none accepts writes, all stream, and by their numbers one of them from no other one, as in a standby
        cluster. Standbys in a circle stream too, and then each of them from another one."""
        nodes = self.nodes.values()
        alone = bool(nodes) and not self.silent and all(each.in_recovery and each.streams for each in nodes)
        return alone and sum(each.sends for each in nodes) < len(nodes)


def integrity_code(findings: Iterable[IntegrityFinding]) -> ExitCode:
    """1 when something fails, else 3 when something is not known or nothing was asked, else 0."""
    kinds = {each.health for each in findings}
    if Health.FAIL in kinds:
        return ExitCode.FAILED
    return ExitCode.UNKNOWN if Health.UNKNOWN in kinds or not kinds else ExitCode.DONE
