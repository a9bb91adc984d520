"""Everything about a run, a step or a runbook, as text."""

from __future__ import annotations

from collections.abc import Iterable

from console.cluster_text import integrity_lines
from console.tui.glyphs import FAIL, MUTED, WARN
from console.tui.parts.facts import LABEL_WIDTH, Row, fact
from console.tui.text import joined
from state.api.run_states import StepState, UndoState
from state.api.views.runbooks import RunbookRow, RunRow, StepRow
from state.units import clock, counted, megabytes, utc, utc_date

AT_WORK = frozenset({StepState.RUNNING, StepState.WAITING, StepState.UNKNOWN})
HELD = frozenset({StepState.FAILED, StepState.NOT_DONE, StepState.STOPPED})


def run_detail(row: RunRow, steps: Iterable[StepRow]) -> list[Row]:
    """What its author says to the step it is at; the state of a run, and the messages of its steps, newest first."""
    mine = [s for s in steps if s.run == row.id]
    told: list[Row] = []
    now = current_step(row, mine)
    if now is not None and (words := words_of(now)):
        told += [joined((now.title or now.step, "bold"), (f"  {now.state.value}", MUTED)), *words]
    told.append(joined((f"{row.id} {row.title}", "bold")))
    if row.question:
        told.append(fact("asks", f"{row.question} ({' / '.join(row.options)})", WARN))
    told += [
        fact("state", f"{row.word}: {row.message}" if row.message else row.word),
        fact("possible", ", ".join(row.next_actions) or "no key: it is over"),
        *_undo(row),
        fact("started", f"{utc_date(row.started_at)} by {row.actor}"),
        fact("runbook", f"{row.runbook} {row.hash[:8]} for {row.service or 'no service'}"),
    ]
    begun = [s for s in mine if s.started_at and s.state is not StepState.PENDING]
    for step in sorted(begun, key=lambda step: step.started_at or 0.0, reverse=True):
        message = "; ".join(part for part in (measured(step), step.message, *step.evidence) if part)
        told.append(fact(utc(step.started_at or 0.0), f"{step.step} {step.state.value}: {message}"))
    return told


def current_step(run: RunRow, steps: Iterable[StepRow]) -> StepRow | None:
    """The step that a run is at: what moves or waits, else what holds it, else what comes next."""
    ordered = sorted(steps, key=lambda step: (step.index, step.instance))
    held = run.steps_of.get("retry", ())
    at_work = (step for step in ordered if step.state in AT_WORK)
    holding = (step for step in ordered if step.name in held)
    ahead = (step for step in ordered if step.state is StepState.PENDING)
    return next((step for found in (at_work, holding, ahead) for step in found), None)


def words_of(step: StepRow) -> list[Row]:
    """What its author says to the person beside it; when it did not succeed, first what to do then."""
    failed = step.state in HELD
    told = [
        ("why", step.why, ""),
        ("look for", step.look_for, ""),
        ("if fails", step.if_it_fails, WARN if failed else ""),
    ]
    rows: list[Row] = []
    for label, texts, style in reversed(told) if failed else told:
        rows += [fact(label if not place else "", text, style) for place, text in enumerate(texts)]
    return rows


def _undo(row: RunRow) -> list[Row]:
    """What is known about the undo of a run."""
    said = {
        UndoState.POSSIBLE: "possible: z shows what it would do",
        UndoState.ANNOUNCED: "announced, it starts now",
        UndoState.REFUSED: "announced, but it could not start: z undoes it now",
        UndoState.RUNNING: f"{row.undo_run} is undoing it",
        UndoState.DONE: f"{row.undo_run} has undone it",
    }
    style = WARN if row.undo is UndoState.REFUSED else ""
    return [fact("undo", said[row.undo], style)] if row.undo in said else []


def step_detail(row: StepRow, run: RunRow | None) -> list[Row]:
    """The state of a step, and all of its evidence."""
    head = joined((row.title or row.step, "bold"), (f"  {row.kind}, owner {row.owner or 'none'}", MUTED))
    told: list[Row] = [head, fact("state", f"{row.state.value}: {row.message}" if row.message else row.state.value)]
    told += words_of(row)
    if loss := lost(row):
        told.append(fact("measured", loss))
    told += [fact("evidence", message) for message in row.evidence]
    told += [fact("output" if place == 0 else "", line) for place, line in enumerate(row.output)]
    told += [fact("after" if place == 0 else "", line) for place, line in enumerate(integrity_lines(row))]
    if row.effect:
        told.append(fact("effect", row.effect))
    if row.started_at is not None:
        took = "" if row.seconds is None else f", took {clock(row.seconds)} of {clock(row.timeout)}"
        told.append(fact("started", f"{utc_date(row.started_at)}{took}"))
    if run is not None:
        told.append(fact("possible", ", ".join(run.next_actions) or "no key: the run is over"))
    return told


def in_a_row(row: StepRow) -> str:
    """How far a running check is: `6 of 10 in a row`; empty for others."""
    return f"{row.passes} of {row.samples} in a row" if row.samples and row.state is StepState.RUNNING else ""


def measured(row: StepRow) -> str:
    """What a step measured, as text."""
    loss = lost(row)
    return f"measured: {loss}" if loss else ""


def lost(row: StepRow) -> str:
    """The data loss that a step measured; empty when it measured none."""
    size = row.figures.get("lost_bytes")
    if size is None:
        return ""
    ended = row.figures.get("lost_transactions")
    more = f", at most {counted(int(ended), 'transaction')}" if isinstance(ended, int | float) and ended else ""
    return f"loss {megabytes(size)}{more}" if size else "nothing lost"


def runbook_detail(row: RunbookRow) -> list[Row]:
    """Everything about a runbook of the library."""
    size = f"{counted(row.steps, 'step')}, {counted(row.changes, 'change')}"
    told: list[Row] = [joined((row.title, "bold"), (f"  {size}, {row.hash[:8]}", MUTED))]
    if row.lint:
        told.append(fact("refused", row.lint, FAIL))
    if row.applies:
        told.append(fact("not here", f"it does not apply to this estate: {row.applies}"))
    told += [fact("warning", message, WARN) for message in row.warnings]
    if not (row.lint or row.applies):
        told.append(fact("start", "s asks for the parameters, then shows what would happen"))
    told.append(fact("last run", row.last or "never"))
    for param in row.params:
        choices = f": {', '.join(param.choices)}" if param.choices else ""
        need = "required" if param.required else "optional"
        told.append(fact(param.name, f"{param.kind}, {need}{choices}", width=max(LABEL_WIDTH, len(param.name) + 2)))
    return [*told, *(fact(f"step {place}", message) for place, message in enumerate(row.outline, 1))]
