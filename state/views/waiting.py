"""The runs that need a person before they go on."""

from __future__ import annotations

from collections.abc import Iterable

from state.api.run_states import RunState
from state.api.views.header import WaitingRun
from state.runs.model import Run

NEEDS_A_PERSON = (RunState.WAITING, RunState.PAUSED)


def waiting_runs(runs: Iterable[Run]) -> tuple[WaitingRun, ...]:
    """Those that ask something, then those that are paused; the longest first."""
    found = [waiting_run(run) for run in runs if run.asking() or run.shown_state() in NEEDS_A_PERSON]
    return tuple(sorted(found, key=lambda row: (not row.question, row.started_mono or 0.0)))


def waiting_run(run: Run) -> WaitingRun:
    """What one run waits for."""
    step = next(iter(run.asking() or run.standing()), None)
    asks = step is not None and step.asks
    return WaitingRun(
        run=run.id,
        title=run.title,
        state=run.shown_state(),
        step=step.step.id if step is not None else "",
        instance=step.instance if step is not None else 0,
        asks=(step.step.owner if step is not None else "") or run.actor,
        question=step.step.question if asks and step is not None else "",
        message=run.message,
        started_mono=step.started_mono if asks and step is not None else None,
        limit=(step.step.timeout or None) if asks and step is not None else None,
    )
