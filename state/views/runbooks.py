"""Screen 3: the library, the runs and their steps with evidence."""

from __future__ import annotations

from dataclasses import replace

from state.api.run_states import RunState, StepState, UndoState
from state.api.views.causes import NextKind, NextStep
from state.api.views.runbooks import IntegrityRow, RunbookRow, RunbooksView, RunRow, StepRow
from state.health import Health
from state.runs.fold import RunHistory
from state.runs.model import Run, StepRun
from state.runs.offers import offers
from state.runs.temporary import ends_at, overdue
from state.text import paragraphs
from state.units import utc, utc_date
from state.views.context import Alarm, Contribution, ViewContext
from state.views.waiting import waiting_runs

KEPT = 25
"""Ended runs that consoles get, newest first; older ones are in the journal. Runs that need somebody are kept."""


def build(context: ViewContext) -> RunbooksView:
    """The screen from the library and all runs."""
    history = context.of(RunHistory)
    kept = kept_runs(history)
    rows = {name: _with_last(row, history) for name, row in context.library.items()}
    view = RunbooksView(
        order=tuple(r.id for r in kept),
        library=rows,
        runs={r.id: run_row(r) for r in kept},
        steps={row.key: row for r in kept for row in step_rows(r)},
    )
    return context.memory.keep("runbooks", view)


def view_of(run: Run) -> RunbooksView:
    """One run alone."""
    steps = {row.key: row for row in step_rows(run)}
    return RunbooksView(order=(run.id,), library={}, runs={run.id: run_row(run)}, steps=steps)


def kept_runs(history: RunHistory) -> list[Run]:
    """Every open run and every one whose announced undo has not happened, then the newest others."""
    newest = list(history.runs.values())[::-1]
    waits = (UndoState.ANNOUNCED, UndoState.REFUSED, UndoState.RUNNING)
    needed = [r for r in newest if not r.ended or r.undo_state in waits]
    return [*needed, *[r for r in newest if r not in needed][:KEPT]]


def contribute(context: ViewContext) -> Contribution:
    """The runs that have not ended."""
    runs = context.of(RunHistory).open()
    running = tuple(f"{r.id} {r.title} {r.shown_state().value}" for r in runs)
    alarms = tuple(_overdue(run) for run in runs if overdue(run, context.now_mono))
    return Contribution(alarms, running=running, waiting=waiting_runs(runs))


def _overdue(run: Run) -> Alarm:
    """Something temporary that is not taken back though its time is over, why, and what a person does."""
    at = next(iter(run.standing()), None)
    why = run.message if run.state is RunState.PAUSED or at is None else at.message
    message = f"{run.title}. Mend what holds it, then resume or retry it; a stop leaves what is there as it is now."
    step = NextStep(NextKind.RUN, run.id, {}, "d", f"{run.id} overdue", message)
    return Alarm(f"{run.id} is temporary, it was to end {utc_date(ends_at(run) or 0.0)}: {why}", step)


def run_row(run: Run) -> RunRow:
    """One run in a line."""
    done = sum(1 for s in run.steps if run.settled(s))
    asked, possible = run.asking(), offers(run)
    return RunRow(
        id=run.id,
        runbook=run.runbook,
        title=run.title,
        hash=run.hash[:8],
        state=run.shown_state(),
        actor=run.actor,
        service=run.service,
        started_at=run.started.at,
        elapsed=run.elapsed,
        started_mono=run.started_mono,
        budget=run.budget,
        done=done,
        total=len(run.steps),
        message=run.message,
        question=asked[0].step.question if asked else "",
        options=tuple(asked[0].step.answers) if asked else (),
        next_actions=tuple(possible),
        steps_of=possible,
        unmet=tuple(f"{s.step.title} ({s.state.value})" for s in run.unmet()) if run.ended else (),
        undo=run.undo_state,
        undo_run=run.undone_by,
        targets=run.targets,
    )


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
        started_at=None if step.started is None else step.started.at,
        seconds=step.seconds,
        started_mono=step.started_mono,
        timeout=planned.timeout,
        message=_said(step),
        evidence=step.evidence,
        effect=effect,
        figures={k: float(v) for k, v in step.figures.items() if isinstance(v, int | float)},
        passes=step.passes,
        samples=planned.samples if planned.do == "check" else 0,
        question=planned.question if step.asks else "",
        options=tuple(planned.answers) if step.asks else (),
        why=() if run.ended else paragraphs(planned.why),
        look_for=() if run.ended else paragraphs(planned.look_for),
        if_it_fails=() if run.ended else paragraphs(planned.if_it_fails),
        output=step.said,
        integrity=tuple(IntegrityRow(Health(each[0]), *each[1:]) for each in step.integrity),
        integrity_said=step.integrity_said,
    )


def _said(step: StepRun) -> str:
    """What is said of a step; of an effect in doubt also when "not done" can be believed."""
    if step.state is not StepState.UNKNOWN or step.until is None:
        return step.message
    return f"{step.message}; it may be carried out until {utc(step.until)}: no retry before"


def _with_last(row: RunbookRow, history: RunHistory) -> RunbookRow:
    last = next((r for r in reversed(list(history.runs.values())) if r.runbook == row.name), None)
    if last is None:
        return row
    same = "" if last.hash == row.hash else ", at another hash"
    return replace(row, last=f"{last.id} {last.shown_state().value}{same}")
