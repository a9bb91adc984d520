"""What is asked for: two sides, which tables, and how much the servers may be burdened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from state.comparing.shapes import TableSelection


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """A node of a database of the estate, and which database of that server; empty is the entry's own."""

    entry: str
    node: str
    database: str = ""

    @classmethod
    def parse(cls, text: str) -> DatabasePlace:
        """`orders/n1` or `orders/n1/shop`. Raises ValueError."""
        parts = text.split("/", 2)
        if len(parts) < 2 or not all(parts):
            raise ValueError(f"{text!r} is not DATABASE/NODE or DATABASE/NODE/DBNAME")
        return cls(*parts)

    def __str__(self) -> str:
        return "/".join(part for part in (self.entry, self.node, self.database) if part)


@dataclass(frozen=True, slots=True)
class Burden:
    """How much the servers may be burdened: `cores` of each for one query, `share` of the time (0 to 1) in which they
    work, `part` rows in one query where a key allows ranges, `patience` seconds that a change may be on its way."""

    cores: int = 1
    share: float = 1.0
    part: int = 20_000_000
    patience: float = 30.0

    @property
    def rows_at_once(self) -> int:
        """Rows in one query: fewer with pauses in between, or there would be none."""
        return self.part if self.share >= 1 else min(self.part, 250_000)


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """A comparison."""

    a: DatabasePlace
    b: DatabasePlace
    selection: TableSelection = field(default_factory=TableSelection)
    pace: Burden = field(default_factory=Burden)
    listed: int = 100
    """So many differences of a table are listed; all are counted."""
    portable: bool = False
    """Sums of md5 of text, whatever the servers' own hash functions give."""


@dataclass(frozen=True, slots=True)
class CompareProgress:
    """How far it is: the table under way, tables done and in all, the share that is done (0 to 1), seconds since the
    beginning, and differences found so far."""

    table: str
    done: int
    tables: int
    share: float
    seconds: float
    differences: int

    @property
    def left(self) -> float | None:
        """Seconds left as things go; None at the beginning."""
        return self.seconds * (1 - self.share) / self.share if self.share > 0.005 and self.seconds > 1 else None


OnProgress: TypeAlias = Callable[[CompareProgress], None]
