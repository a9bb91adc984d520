"""What an integrity suite found in a database cluster, as a reading."""

from __future__ import annotations

from dataclasses import dataclass

from state.health import Health


@dataclass(frozen=True, slots=True)
class IntegrityLine:
    """One finding: what was asked, of what, the verdict, what is so, and what a person does (empty for a pass)."""

    asked: str
    where: str
    health: Health
    fact: str
    way_out: str = ""


@dataclass(frozen=True, slots=True)
class IntegrityReading:
    """Everything one suite found, in reading order; `left_out` are questions that were not asked."""

    database: str
    lines: tuple[IntegrityLine, ...]
    left_out: tuple[str, ...] = ()
