"""What verbs print: aligned tables, JSON, and notes on stderr. Every text from outside is already safe to print."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from console.cli.streams import ENDS
from state.api.views.header import HeaderView, SourceRow
from state.text import cells, clean, cut_middle, is_clean
from state.units import ago
from state.world.freshness import Freshness, freshness

NOTHING = "-"
WIDEST = 64
"""Cells of a column but the last one: more than any name of an estate."""
LONGEST = 240
"""Cells of the last column."""


def neutral(text: str) -> str:
    """A text that may not have been cleaned yet, safe for a terminal."""
    return text if is_clean(text) else clean(text)


def say(line: str = "") -> None:
    """One line of the answer. What could act on a terminal never leaves here, whoever forgot to clean it."""
    ENDS.write(sys.stdout, f"{_safe(line)}\n")


def note(line: str) -> None:
    """One line besides the answer, on stderr, as safe."""
    ENDS.write(sys.stderr, f"{_safe(line)}\n")


def _safe(text: str) -> str:
    """A text of our own with line ends. A text from outside is cleaned before, so that it makes no line of its own."""
    return text if is_clean(text) else "\n".join(map(neutral, text.split("\n")))


def complain(line: str) -> None:
    """One line of an error, on stderr."""
    note(f"recovery: {line}")


def say_json(value: Any) -> None:
    """The answer for scripts: one JSON document."""
    ENDS.answered = True
    say(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def say_json_line(value: Any) -> None:
    """One of many objects, each on a line of its own."""
    say(json.dumps(value))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> list[str]:
    """Aligned columns two blanks apart; the columns named in `right` hold numbers.

    No cell widens its column beyond what a name needs: a longer one loses its middle, and is whole with `--json`.
    """
    limits = [WIDEST] * (len(head) - 1) + [LONGEST]
    body = [[cut_middle(cell, limit) for cell, limit in zip(row, limits, strict=True)] for row in rows]
    widths = [max(cells(row[at]) for row in [list(head), *body]) for at in range(len(head))]
    numbers = {at for at, name in enumerate(head) if name in set(right)}
    return [_line(row, widths, numbers) for row in [list(head), *body]]


def _line(row: Sequence[str], widths: Sequence[int], numbers: set[int]) -> str:
    parts = []
    for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
        pad = " " * (width - cells(cell))
        parts.append(pad + cell if at in numbers else cell + pad)
    return "  ".join(parts).rstrip()


def is_fresh(row: SourceRow, mono: float) -> bool:
    """Whether a source was read within its limit."""
    return row.mono is not None and freshness(max(0.0, mono - row.mono), row.limit) is Freshness.FRESH


def withheld(sources: Iterable[str], header: HeaderView, mono: float) -> bool:
    """Whether a value from some sources is too old to be shown at all: then no screen shows it either."""
    rows = [header.sources.get(key) for key in sources]
    return any(r is None or r.mono is None or freshness(max(0.0, mono - r.mono), r.limit).withheld for r in rows)


def age(sources: Iterable[str], header: HeaderView, mono: float) -> str:
    """The age of the oldest of some sources, marked when over its limit: `1 s`, `34 s OLD`, `never`."""
    oldest, old = -1.0, False
    known = header.sources
    for key in sources:
        row = known.get(key)
        if row is None or row.mono is None:
            return "never"
        oldest, old = max(oldest, mono - row.mono, 0.0), old or not is_fresh(row, mono)
    if oldest < 0:
        return NOTHING
    return f"{ago(oldest)} OLD" if old else ago(oldest)
