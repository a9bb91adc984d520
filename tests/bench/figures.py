"""What a benchmark says: figures with their target, and the pairing that makes them ratios."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")
STRICT_FACTOR = 1.5
"""How far beyond its target a figure may be before `--strict` fails; machines are noisy."""


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on a figure: at most, or with `least` at least."""

    bound: float
    least: bool = False

    def holds(self, value: float, slack: float = 1.0) -> bool:
        """Whether a value is within the bound, loosened by a factor."""
        return value >= self.bound / slack if self.least else value <= self.bound * slack

    def __str__(self) -> str:
        return f"{'>=' if self.least else '<='} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one goal.

    `value` None means that it could not be measured and `note` says why; such a figure never counts as met. `a` and
    `b` are the medians behind a ratio, in the unit `of`.
    """

    goal: str
    name: str
    value: float | None
    unit: str = "x"
    target: Target | None = None
    n: int = 0
    a: float | None = None
    b: float | None = None
    of: str = ""
    note: str = ""

    @property
    def status(self) -> str:
        """met, missed, missing (not measured) or shown (no target)."""
        if self.value is None:
            return "missing"
        if self.target is None:
            return "shown"
        return "met" if self.target.holds(self.value) else "missed"

    @property
    def far_off(self) -> bool:
        """Measured, and beyond the target by more than the strict factor."""
        return self.value is not None and self.target is not None and not self.target.holds(self.value, STRICT_FACTOR)

    def line(self) -> str:
        """The figure as one line of JSON."""
        told: dict[str, Any] = {
            "goal": self.goal,
            "figure": self.name,
            "value": _short(self.value),
            "unit": self.unit,
            "target": str(self.target) if self.target else None,
            "status": self.status,
            "n": self.n,
        }
        if self.of:
            told |= {"a": _short(self.a), "b": _short(self.b), "of": self.of}
        return json.dumps(told | ({"note": self.note} if self.note else {}), ensure_ascii=False)


@dataclass(slots=True)
class Pairs:
    """Measurements taken in turn, A B A B …; a ratio is the median of the ratios pair by pair."""

    a: list[float] = field(default_factory=list)
    b: list[float] = field(default_factory=list)

    def add(self, a: float, b: float) -> None:
        self.a.append(a)
        self.b.append(b)

    @property
    def ratio(self) -> float:
        return statistics.median(a / b for a, b in zip(self.a, self.b, strict=True))

    def figure(self, goal: str, name: str, target: Target | None = None, *, of: str = "ms", note: str = "") -> Figure:
        """The ratio as a figure."""
        a, b = statistics.median(self.a), statistics.median(self.b)
        return Figure(goal, name, self.ratio, "x", target, len(self.a), a, b, of, note)


def missing(goal: str, name: str, why: str, target: Target | None = None) -> Figure:
    """A figure that could not be taken here."""
    return Figure(goal, name, None, "x", target, note=why)


def quantile(values: Sequence[float], q: float) -> float:
    """The value at or above a share `q` of all values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


def in_turn(n: int, a: Callable[[], T], b: Callable[[], U]) -> list[tuple[T, U]]:
    """n pairs; every second one begins with b, so that no side always comes first."""
    taken = []
    for i in range(n):
        if i % 2:
            second = b()
            taken.append((a(), second))
        else:
            first = a()
            taken.append((first, b()))
    return taken


def table(figures: Sequence[Figure]) -> str:
    """All figures for people."""
    rows = [("goal", "figure", "measured", "target", "", "n", "a / b")]
    for each in figures:
        value = "-" if each.value is None else f"{_short(each.value):g} {each.unit}"
        behind = "" if each.a is None else f"{_short(each.a):g} / {_short(each.b) or 0:g} {each.of}"
        target = str(each.target) if each.target else ""
        rows.append((each.goal, each.name, value, target, each.status, str(each.n or ""), behind))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"  {each.goal} {each.name}: {each.note}" for each in figures if each.note]
    return "\n".join([*lines, *(["", "notes", *notes] if notes else [])])


def _short(value: float | None) -> Any:
    return None if value is None else float(f"{value:.4g}")
