"""Screen 3: runs with their steps and evidence, and the library they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from rich.text import Text
from textual.containers import Horizontal
from textual.widget import Widget

from console.tui.glyphs import FAIL, MUTED, UNKNOWN, WARN
from console.tui.run_actions import run_of
from console.tui.screens.base import Detail, MainScreen, Touched
from console.tui.screens.facts import Row, fact
from console.tui.screens.feed import Feed
from console.tui.text import cell, joined, state_text
from console.tui.widgets.panel import Panel
from console.tui.widgets.progress import time_bar
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.api import RunbookRow, RunRow, StepRow
from state.progress import StepState
from state.units import clock, utc, utc_date

RUNS = (
    Column("state", "state", 10),
    Column("run", "run", 6),
    Column("title", "runbook", 14, flex=2),
    Column("done", "steps", 5, align="right"),
    Column("time", "time", 14, align="right"),
    Column("words", "why", 10, flex=3),
)
STEPS = (
    Column("state", "state", 10),
    Column("step", "step", 14, flex=1),
    Column("kind", "kind", 8),
    Column("time", "time", 14, align="right"),
    Column("words", "evidence", 16, flex=3),
)
LIBRARY = (
    Column("name", "runbook", 14, flex=2),
    Column("lint", "holds", 10, flex=2),
    Column("steps", "steps", 5, align="right"),
    Column("last", "last run", 10, flex=1),
    Column("hash", "hash", 8),
)


class Runbooks(MainScreen):
    """Runs, their steps with time and evidence, and the runbooks that can be started."""

    name_, digit, title_, topic = "runbooks", "3", "Runbooks", "runbooks"
    narrow: ClassVar[Mapping[str, int]] = {"library": 2}
    DEFAULT_CSS = """
    Runbooks #runs-panel { height: 5; }
    Runbooks.-tall #runs-panel { height: 9; }
    Runbooks #steps-panel { height: 1fr; min-height: 4; }
    Runbooks #bottom { height: 7; }
    Runbooks.-tall #bottom { height: 12; }
    Runbooks #library-panel { width: 1fr; height: 1fr; }
    Runbooks #bottom Detail { width: 1fr; height: 1fr; }
    Runbooks.-tiny #runs-panel { height: 1fr; }
    Runbooks.-tiny #bottom, Runbooks.-tiny #steps-panel { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        glyphs = self.glyphs
        runs = LineTable(
            RUNS, empty="no run yet: choose a runbook in the library, s starts it", glyphs=glyphs, id="runs"
        )
        steps = LineTable(STEPS, empty="no run is selected", glyphs=glyphs, id="steps")
        library = LineTable(LIBRARY, empty="no runbook read yet", glyphs=glyphs, id="library")
        self.runs = Feed[RunRow](runs, self.store, self._run, lambda row: ())
        self.steps = Feed[StepRow](steps, self.store, self._step, lambda row: ())
        self.library = Feed[RunbookRow](library, self.store, self._runbook, lambda row: ())
        self._run_shown = ""
        yield Panel(runs, title="Runs", glyphs=glyphs, id="runs-panel")
        yield Panel(steps, title="Steps", glyphs=glyphs, id="steps-panel")
        yield Horizontal(Panel(library, title="Library", glyphs=glyphs, id="library-panel"), Detail(), id="bottom")

    def paint(self, touched: Touched) -> None:
        view = self.store.runbooks
        assert view is not None
        keys = touched or {}
        whole = touched is None
        if whole or "runs" in keys or not keys:
            known = [run for run in view.order if run in view.runs]
            rest = [run for run in view.runs if run not in view.order]
            order = {run: view.runs[run] for run in [*known, *rest]}
            moved = list(order) != list(self.runs.table.shown_keys())
            self.runs.show(order, None if whole or moved else keys.get("runs", ()))
        if whole or "library" in keys:
            self.library.show(view.library, None if whole else keys["library"])
            self.library.table.set_empty("no runbook in the estate's folders")
        if whole and not view.runs and view.library and self.focused is self.runs.table:
            self.library.table.focus()
        if self.desk.started in view.runs:
            self.runs.table.move_to(self.desk.started)
            self.desk.started = ""
        self._paint_steps(None if whole else keys.get("steps", frozenset()))

    def _paint_steps(self, touched: frozenset[str] | None) -> None:
        view = self.store.runbooks
        if view is None:
            return
        run = view.runs.get(self.runs.table.cursor_key or "")
        name = run.id if run is not None else ""
        mine = {key: row for key, row in view.steps.items() if row.run == name}
        order = dict(sorted(mine.items(), key=lambda item: (item[1].index, item[1].instance, item[0])))
        self.steps.show(order, None if name != self._run_shown else touched)
        self._run_shown = name
        self.steps.table.set_empty("this run has no steps yet" if run else "no run is selected")
        note = self._progress(run) if run is not None else cell("")
        self.query_one("#steps-panel", Panel).set_title(f"Steps of {name}" if name else "Steps", note)

    def _progress(self, run: RunRow) -> Text:
        spent = self._spent(run)
        if run.question:
            return cell(f"{run.question} d decides: {' / '.join(run.options)}", WARN)
        if spent is None:
            return cell(f"{run.done} of {run.total} steps")
        if run.budget is None:
            return cell(f"{clock(spent)}, no budget")
        return time_bar(spent, run.budget, 34, self.glyphs)

    def _spent(self, run: RunRow) -> float | None:
        """Seconds the run has taken, going on while it is not over."""
        over = run.state.value in {"done", "failed", "stopped"}
        if over or run.started_mono is None:
            return run.elapsed
        return self.store.since(run.started_mono)

    def tick(self) -> None:
        super().tick()
        view = self.store.runbooks
        if view is None:
            return
        alive = [run.id for run in view.runs.values() if run.started_mono is not None]
        self.runs.table.update_rows([self._run(run, view.runs[run]) for run in alive])
        moving = [s for s in view.steps.values() if s.started_mono is not None and s.run == self._run_shown]
        shown = set(self.steps.table.shown_keys())
        self.steps.table.update_rows([self._step(s.key, s) for s in moving if s.key in shown])
        run = view.runs.get(self._run_shown)
        if run is not None:
            self.query_one("#steps-panel", Panel).set_title(f"Steps of {run.id}", self._progress(run))

    def _run(self, key: str, row: RunRow) -> TableRow:
        spent = self._spent(row)
        late = spent is not None and row.budget is not None and spent > row.budget
        time = "" if spent is None else clock(spent)
        if spent is not None and row.budget is not None:
            time += f" / {clock(row.budget)}"
        return TableRow(
            key,
            (
                state_text(row.state.value, self.glyphs),
                cell(row.id, "bold"),
                cell(row.title or row.runbook),
                cell(f"{row.done}/{row.total}"),
                cell(time, FAIL if late else ""),
                cell(row.question or row.words, WARN if row.question else ""),
            ),
        )

    def _step(self, key: str, row: StepRow) -> TableRow:
        spent = row.seconds
        if spent is None and row.started_mono is not None:
            spent = self.store.since(row.started_mono)
        over = spent is not None and row.timeout > 0 and spent > row.timeout
        time = "" if spent is None else f"{clock(spent)} / {clock(row.timeout)}"
        again = f" #{row.instance}" if row.instance > 1 else ""
        told = row.words or (row.evidence[-1] if row.evidence else "")
        return TableRow(
            key,
            (
                state_text(row.state.value, self.glyphs),
                cell(f"{'  ' * row.depth}{row.title or row.step}{again}"),
                cell(row.kind.split()[0] if row.kind else "", MUTED),
                cell(time, FAIL if over else MUTED),
                cell(told, UNKNOWN if row.state is StepState.UNKNOWN else ""),
            ),
        )

    def _runbook(self, key: str, row: RunbookRow) -> TableRow:
        holds = cell(row.lint, FAIL) if row.lint else state_text("ok", self.glyphs)
        return TableRow(
            key,
            (
                cell(row.name),
                holds,
                cell(str(row.steps)),
                cell(row.last or "never", MUTED),
                cell(row.hash[:8], MUTED),
            ),
        )

    def on_line_table_row_highlighted(self, message: LineTable.RowHighlighted) -> None:
        """Another run under the cursor: its steps."""
        if message.table.id == "runs" and self.ready:
            self._paint_steps(frozenset())

    def paint_detail(self) -> None:
        row = self.selected()
        detail = self.query_one(Detail)
        if isinstance(row, StepRow):
            detail.show(self._step_detail(row))
        elif isinstance(row, RunbookRow):
            detail.show(self._runbook_detail(row))
        elif isinstance(row, RunRow):
            detail.show(self._run_detail(row))
        else:
            detail.show([cell("select a run, a step or a runbook", MUTED)])

    def _run_detail(self, row: RunRow) -> list[Row]:
        told: list[Row] = [joined((f"{row.id} {row.title}", "bold"))]
        if row.question:
            told.append(fact("asks", f"{row.question} ({' / '.join(row.options)})", WARN))
        told += [
            fact("state", f"{row.state.value}: {row.words}" if row.words else row.state.value),
            fact("now safe", ", ".join(row.next_actions) or "nothing: it is over"),
            fact("started", f"{utc_date(row.started_at)} by {row.actor}"),
            fact("runbook", f"{row.runbook} {row.hash[:8]} for {row.service or 'no service'}"),
        ]
        return [*told, *self._log(row)]

    def _log(self, run: RunRow) -> list[Row]:
        """What the run's steps told, newest first."""
        view = self.store.runbooks
        steps = [s for s in view.steps.values() if s.run == run.id and s.started_at] if view is not None else []
        steps.sort(key=lambda step: step.started_at or 0.0, reverse=True)
        told: list[Row] = []
        for step in steps:
            words = "; ".join(part for part in (step.words, *step.evidence) if part)
            told.append(fact(utc(step.started_at or 0.0), f"{step.step} {step.state.value}: {words}"))
        return told

    def _step_detail(self, row: StepRow) -> list[Row]:
        head = joined((row.title or row.step, "bold"), (f"  {row.kind}, owner {row.owner or 'none'}", MUTED))
        told: list[Row] = [head, fact("state", f"{row.state.value}: {row.words}" if row.words else row.state.value)]
        told += [fact("evidence", words) for words in row.evidence]
        if row.effect:
            told.append(fact("effect", row.effect))
        if row.started_at is not None:
            told.append(fact("started", utc_date(row.started_at)))
        run = run_of(self.context())
        if run is not None:
            told.append(fact("now safe", ", ".join(run.next_actions) or "nothing: the run is over"))
        return told

    def _runbook_detail(self, row: RunbookRow) -> list[Row]:
        told: list[Row] = [
            joined((row.title, "bold"), (f"  {row.steps} steps, {row.changes} changes, {row.hash[:8]}", MUTED))
        ]
        if row.lint:
            told.append(fact("refused", row.lint, FAIL))
        for param in row.params:
            choices = f": {', '.join(param.choices)}" if param.choices else ""
            need = "required" if param.required else "optional"
            told.append(fact(param.name, f"{param.kind}, {need}{choices}"))
        told += [fact(f"step {place}", words) for place, words in enumerate(row.outline, 1)]
        return told
