"""The last hour of every service's figures, in rows of a few minutes: only the newest row of a service changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

STEP = 15.0
"""Seconds between two points."""
BLOCK = 20
"""Points in a row."""
POINTS = 240
"""Points in the history: an hour."""
Figure = Literal["errors", "rate", "p99"]


@dataclass(frozen=True, slots=True)
class HistoryBlock:
    """BLOCK points of one service from `started_at` (epoch seconds), STEP seconds apart; the newest block has fewer.

    A point is the mean of what was shown within its STEP seconds, None where nothing was known. `errors` is the 5xx
    ratio, `rate` requests/s, `p99` seconds: of a p99 beyond the last bucket of the histogram, the bound of that bucket.
    """

    service: str
    started_at: float
    errors: tuple[float | None, ...]
    rate: tuple[float | None, ...]
    p99: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class HistorySeries:
    """One figure of a service at equal distances: `values[i]` belongs to `started_at + i * step` (epoch seconds)."""

    started_at: float
    step: float
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class HistoryView:
    """Blocks by `SERVICE/NUMBER`; a service without figures in the last hour has none."""

    blocks: Mapping[str, HistoryBlock]


def series(view: HistoryView, service: str, figure: Figure) -> HistorySeries | None:
    """The last hour of one figure, oldest first, with None in the gaps; None when nothing is known of the service.

    It ends with the newest point that anything is known of: what follows until now is a gap for who draws it.
    """
    blocks = sorted((b for b in view.blocks.values() if b.service == service), key=lambda block: block.started_at)
    if not blocks:
        return None
    first = blocks[0].started_at
    values: list[float | None] = []
    for block in blocks:
        values += [None] * (round((block.started_at - first) / STEP) - len(values))
        values += getattr(block, figure)
    return HistorySeries(first, STEP, tuple(values))
