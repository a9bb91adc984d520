"""What charts draw of the last hour: figures of a service with what happened to it meanwhile, lag of a standby."""

from __future__ import annotations

from collections.abc import Callable

from console.tui.store import Store
from console.tui.widgets.chart import Drawing
from console.tui.widgets.time_axis import ChartEvent
from state.api.views.history import POINTS, Figure, HistorySeries, HistoryView, lag_series, series

LATEST = 3
"""Events in one chart; more would hide each other."""


def hour_of(
    store: Store, service: str, figure: Figure, *, target: float | None, label: Callable[[float], str]
) -> Drawing | None:
    """The last hour until now, what was not read left blank; None while the engine has no history of the service."""
    view = store.view(HistoryView)
    found = series(view, service, figure) if view is not None else None
    if found is None:
        return None
    values, began = _until_now(found, store.wall)
    return Drawing(values, began, found.step, target, label, _events(store, service, began))


def lag_hour_of(
    store: Store, database: str, node: str, *, target: float | None, label: Callable[[float], str]
) -> Drawing | None:
    """The same of how far a standby was behind."""
    view = store.view(HistoryView)
    found = lag_series(view, database, node) if view is not None else None
    if found is None:
        return None
    values, began = _until_now(found, store.wall)
    return Drawing(values, began, found.step, target, label)


def _until_now(found: HistorySeries, wall: float) -> tuple[tuple[float | None, ...], float]:
    """The values with the gap after them, and when the first one was: a source that is silent since minutes leaves its
    gap at the right, not an old value."""
    length = max(len(found.values), int((wall - found.started_at) / found.step))
    values = (*found.values, *[None] * (length - len(found.values)))[-POINTS:]
    return values, found.started_at + (length - len(values)) * found.step


def _events(store: Store, service: str, since: float) -> tuple[ChartEvent, ...]:
    """The newest runs for the service."""
    view = store.view("runbooks")
    runs = [run for run in view.runs.values() if run.service == service] if view is not None else []
    begun = sorted((run.started_at, f"{run.id} {run.runbook or run.title}") for run in runs if run.started_at >= since)
    return tuple(ChartEvent(at, name) for at, name in begun[-LATEST:])
