"""The last hour of every service's figures and of every standby's lag, in rows of a few minutes: only the newest row of
each changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
class LagBlock:
    """The same of one standby: `behind` are bytes, None where they were not known, or the node led."""

    database: str
    node: str
    started_at: float
    behind: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class HistorySeries:
    """One figure at equal distances: `values[i]` belongs to `started_at + i * step` (epoch seconds)."""

    started_at: float
    step: float
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class HistoryView:
    """Blocks by `SERVICE/NUMBER`, lags by `DATABASE/NODE/NUMBER`; what had no figure in the last hour has none."""

    blocks: Mapping[str, HistoryBlock]
    lags: Mapping[str, LagBlock] = field(default_factory=dict)


def series(view: HistoryView, service: str, figure: Figure) -> HistorySeries | None:
    """The last hour of one figure, oldest first, with None in the gaps; None when nothing is known of the service.

    It ends with the newest point that anything is known of: what follows until now is a gap for who draws it.
    """
    return _joined([(b.started_at, getattr(b, figure)) for b in view.blocks.values() if b.service == service])


def lag_series(view: HistoryView, database: str, node: str) -> HistorySeries | None:
    """The same of how far a standby was behind."""
    return _joined([(b.started_at, b.behind) for b in view.lags.values() if (b.database, b.node) == (database, node)])


def _joined(blocks: Sequence[tuple[float, tuple[float | None, ...]]]) -> HistorySeries | None:
    if not blocks:
        return None
    first = min(started_at for started_at, _ in blocks)
    values: list[float | None] = []
    for started_at, points in sorted(blocks, key=lambda block: block[0]):
        values += [None] * (round((started_at - first) / STEP) - len(values))
        values += points
    return HistorySeries(first, STEP, tuple(values))
