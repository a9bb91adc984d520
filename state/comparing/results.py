"""What a comparison found: per table and as a whole. The wording is made where it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from state.errors import ExitCode


class Apart(StrEnum):
    """How a row differs."""

    ONLY_A = "only on A"
    ONLY_B = "only on B"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class RowApart:
    """One row that differs: the texts of its key, and of a changed row the columns. Without a key the key is the hash
    and the beginning of the row, `count_a` and `count_b` how often it is there."""

    key: tuple[str, ...]
    how: Apart
    columns: tuple[str, ...] = ()
    count_a: int = 0
    count_b: int = 0


@dataclass(slots=True)
class TableResult:
    """One table. `rows_a`, `rows_b` as they were counted; `apart` counts every difference, `listed` has the first.
    `open_rows` are those of which nothing can be said; `why_open` says why. `uncompared` is why the table was not
    compared, empty when it was; `way_out` what to do. `definitions` says where the tables themselves differ."""

    name: str
    key: tuple[str, ...] = ()
    rows_a: int = 0
    rows_b: int = 0
    apart: dict[Apart, int] = field(default_factory=dict)
    listed: list[RowApart] = field(default_factory=list)
    open_rows: int = 0
    open_keys: list[tuple[str, ...]] = field(default_factory=list)
    why_open: str = ""
    in_flight: int = 0
    uncompared: str = ""
    way_out: str = ""
    definitions: tuple[str, ...] = ()
    done_to: int | None = None
    """The last key compared of a table that is compared in parts and not yet done."""
    began: float = 0.0
    took: float = 0.0

    @property
    def differences(self) -> int:
        """How many rows differ."""
        return sum(self.apart.values())

    @property
    def code(self) -> ExitCode:
        """1 with a difference, 3 when not all of it is known, else 0."""
        if self.differences or self.definitions:
            return ExitCode.FAILED
        return ExitCode.UNKNOWN if self.uncompared or self.open_rows else ExitCode.DONE


@dataclass(frozen=True, slots=True)
class SideFacts:
    """One side: `name` as it was asked for, its database, version, whether it is a standby, and which server it is."""

    name: str
    database: str
    version: str
    in_recovery: bool
    system_id: str
    timeline: int
    started_at: float
    encoding: str

    @property
    def is_server(self) -> tuple[str, float, bool]:
        """The same for one server only."""
        return self.system_id, self.started_at, self.in_recovery


class Linked(StrEnum):
    """How changes come from one side to the other."""

    PHYSICAL = "standby"
    LOGICAL = "subscription"
    NONE = "none"


@dataclass(slots=True)
class Comparison:
    """The whole: both sides, how they are linked, each table, and what was left out on purpose."""

    a: SideFacts
    b: SideFacts
    link: Linked
    portable: bool
    began: float
    tables: list[TableResult] = field(default_factory=list)
    left_out: Sequence[str] = ()
    others: Sequence[str] = ()
    """Other databases of A, named where nothing was there to compare."""
    took: float = 0.0

    @property
    def code(self) -> ExitCode:
        """1 with a difference, else 3 when anything was not compared or nothing was there, else 0."""
        codes = {each.code for each in self.tables}
        if ExitCode.FAILED in codes:
            return ExitCode.FAILED
        return ExitCode.UNKNOWN if ExitCode.UNKNOWN in codes or not self.tables else ExitCode.DONE
