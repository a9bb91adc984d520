"""Screen 3: the library, the runs and their steps with evidence."""

from __future__ import annotations

from dataclasses import replace

from state.api.run_states import RunState, StepState
from state.api.views.runbooks import RunbookRow, RunbooksView, RunRow, StepRow
from state.runs.fold import RunHistory
from state.runs.model import Run, StepRun
from state.views.context import Contribution, ViewContext
from state.views.waiting import waiting_runs

KEPT = 25
"""Runs that consoles get, newest first; older ones are in the journal."""


def build(context: ViewContext) -> RunbooksView:
    """The screen from the library and all runs."""
    history = context.of(RunHistory)
    newest = list(history.runs.values())[::-1][:KEPT]
    rows = {name: _with_last(row, history) for name, row in context.library.items()}
    view = RunbooksView(
        order=tuple(r.id for r in newest),
        library=rows,
        runs={r.id: run_row(r) for r in newest},
        steps={row.key: row for r in newest for row in step_rows(r)},
    )
    return context.memory.keep("runbooks", view)


def contribute(context: ViewContext) -> Contribution:
    """The runs that have not ended."""
    runs = context.of(RunHistory).open()
    running = tuple(f"{r.id} {r.title} {r.shown_state().value}" for r in runs)
    return Contribution(running=running, waiting=waiting_runs(runs))


def run_row(run: Run) -> RunRow:
    """One run in a line."""
    done = sum(1 for s in run.steps if run.settled(s))
    state = run.shown_state()
    return RunRow(
        id=run.id,
        runbook=run.runbook,
        title=run.title,
        hash=run.hash[:8],
        state=state,
        actor=run.actor,
        service=run.service,
        started_at=run.started_at,
        elapsed=None if run.ended_at is None else max(0.0, run.ended_at - run.started_at),
        started_mono=run.started_mono,
        budget=run.budget,
        done=done,
        total=len(run.steps),
        message=run.message,
        question=run.question,
        options=run.options,
        next_actions=next_actions(run, state),
    )


def next_actions(run: Run, state: RunState) -> tuple[str, ...]:
    """The verbs that are safe now, most useful first."""
    if run.ended:
        undoable = any(s.intent and s.intent.undo and s.state is StepState.DONE for s in run.all_steps())
        return ("undo",) if undoable else ()
    if state is RunState.STOPPING:
        return ()
    if state is RunState.UNKNOWN:
        return ("stop",)
    if state is RunState.WAITING:
        return ("decide", "stop")
    if state is RunState.PAUSED:
        step = run.next()
        held = step is not None and run.latest(step.id).state in (StepState.FAILED, StepState.NOT_DONE)
        return ("retry", "skip", "stop") if held else ("resume", "skip", "stop")
    return ("pause", "stop")


def step_rows(run: Run) -> list[StepRow]:
    """Every step instance of a run, in order."""
    return [_step_row(run, step) for step in run.all_steps()]


def _step_row(run: Run, step: StepRun) -> StepRow:
    planned = step.step
    effect = ""
    if step.intent is not None:
        effect = f"{step.effect} {step.answered or 'sent, no answer yet'}"
    return StepRow(
        key=f"{run.id}/{step.key}",
        run=run.id,
        step=planned.id,
        instance=step.instance,
        index=planned.index,
        depth=1 if planned.group else 0,
        kind=f"{planned.do} {planned.what}".strip(),
        title=planned.title,
        owner=planned.owner,
        state=step.state,
        started_at=step.started_at,
        seconds=step.seconds,
        started_mono=step.started_mono,
        timeout=planned.timeout,
        message=step.message,
        evidence=step.evidence,
        effect=effect,
        figures={k: float(v) for k, v in step.figures.items() if isinstance(v, int | float)},
    )


def _with_last(row: RunbookRow, history: RunHistory) -> RunbookRow:
    last = next((r for r in reversed(list(history.runs.values())) if r.runbook == row.name), None)
    if last is None:
        return row
    same = "" if last.hash == row.hash else ", at another hash"
    return replace(row, last=f"{last.id} {last.shown_state().value}{same}")
