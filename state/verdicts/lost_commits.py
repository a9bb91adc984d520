"""What two servers that parted have each for themselves: the answer of `recovery db lost`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from state.errors import ExitCode
from state.verdicts.lag import lsn


@dataclass(frozen=True, slots=True)
class TouchedTable:
    """A table that commits past a fork have changed: how many records of its WAL did what. One record may hold several
    rows (COPY), so these are no numbers of rows."""

    name: str
    inserts: int
    updates: int
    deletes: int


@dataclass(frozen=True, slots=True)
class LostSide:
    """One side past the fork. `commits` are all, `writing` those that changed a table that is no catalog; None = not
    listed, with `why`. `until` is the position up to which they were, where that is not the end."""

    node: str
    past: int | None
    commits: int | None = None
    writing: int | None = None
    tables: tuple[TouchedTable, ...] = ()
    until: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class LostPair:
    """Two servers. `fork` is where they part, None where they do not as far as is known; `agree` is the position up to
    which their WAL was found equal. `known`: whether this is proven, else `why` says what is missing."""

    nodes: tuple[str, str]
    fork: int | None
    agree: int | None
    known: bool
    why: str
    sides: tuple[LostSide, ...] = ()

    @property
    def place(self) -> str:
        """The fork as PostgreSQL writes it."""
        return "" if self.fork is None else lsn(self.fork)


def lost_code(pairs: Sequence[LostPair], silent: Sequence[str]) -> ExitCode:
    """1 where two servers part, 3 where it is not known whether they do."""
    if any(pair.fork is not None and any(side.past for side in pair.sides) for pair in pairs):
        return ExitCode.FAILED
    return ExitCode.UNKNOWN if silent or not all(pair.known for pair in pairs) else ExitCode.DONE
