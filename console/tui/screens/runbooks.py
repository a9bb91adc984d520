"""Screen 3: runs with their steps and evidence, and the library they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from rich.text import Text
from textual.containers import Horizontal
from textual.widget import Widget

from console.tui.actions.runbooks import run_of
from console.tui.glyphs import FAIL, MUTED, UNKNOWN, WARN
from console.tui.mirror import Touched
from console.tui.parts.facts import Row, wrap_rows
from console.tui.parts.feed import Feed
from console.tui.parts.run_facts import (
    current_step,
    in_a_row,
    measured,
    run_detail,
    runbook_detail,
    step_detail,
    words_of,
)
from console.tui.screens.base import Detail, MainScreen
from console.tui.store import FRESH, Age
from console.tui.text import cell, joined, state_text
from console.tui.widgets.progress import time_bar
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.api.run_states import StepState
from state.api.views.runbooks import RunbookRow, RunbooksView, RunRow, StepRow
from state.units import clock

RUNS = (
    Column("state", "state", 10),
    Column("run", "run", 4, grow=8),
    Column("runbook", "runbook", 16, grow=30),
    Column("done", "steps", 5, align="right"),
    Column("time", "time", 11, align="right", grow=15),
    Column("message", "why", 10, flex=1, cut="end", wish=24),
)
STEPS = (
    Column("state", "state", 10),
    Column("step", "step", 22, grow=44),
    Column("time", "time", 5, align="right", grow=15),
    Column("message", "evidence", 23, flex=1, cut="end", wish=40),
    Column("kind", "does", 8),
)
LIBRARY = (
    Column("state", "state", 9),
    Column("name", "runbook", 14, grow=28, wish=20),
    Column("steps", "steps", 5, align="right"),
    Column("last", "last run", 9, grow=22, cut="end"),
    Column("title", "what it does", 12, flex=1, cut="end"),
    Column("changes", "changes", 7, align="right"),
    Column("hash", "hash", 8),
)
NO_RUN = "no run yet: choose a runbook in the library, s starts it"
TALL = 32
"""Rows of a terminal from which steps and library have room beside each other."""
CHROME, FRAME, LEAST, UNGUIDED, GUIDED = 5, 2, 6, 7, 10
"""Rows: of header and footer, of a table's title and heads, and of the library with the texts beside it."""
NAMES = 24
"""Columns of the library beside the words of a step."""
MOVING = frozenset({StepState.RUNNING, StepState.WAITING, StepState.UNKNOWN})


class RunbooksScreen(MainScreen):
    """Runs, their steps with time and evidence, and the runbooks that can be started."""

    narrow: ClassVar[Mapping[str, int]] = {"steps": 4, "library": 5}
    DEFAULT_CSS = """
    RunbooksScreen #runs { height: 5; }
    RunbooksScreen #steps { height: 1fr; min-height: 4; }
    RunbooksScreen #bottom { height: 7; }
    RunbooksScreen.-guided #bottom { height: 10; }
    RunbooksScreen.-tall #bottom { height: 12; }
    RunbooksScreen.-guided #library { width: 24; }
    RunbooksScreen #library { width: 34; height: 1fr; }
    RunbooksScreen #bottom Detail { width: 1fr; height: 1fr; }
    RunbooksScreen.-wide #library { width: 1fr; }
    RunbooksScreen.-huge #bottom { dock: right; width: 104; height: 100%; }
    RunbooksScreen.-huge.-idle #bottom { dock: none; width: 1fr; layout: horizontal; }
    RunbooksScreen.-idle #runs { height: 1; }
    RunbooksScreen.-idle #steps { display: none; }
    RunbooksScreen.-idle #bottom { height: 1fr; layout: vertical; }
    RunbooksScreen.-idle #library { width: 1fr; height: 2fr; }
    RunbooksScreen.-idle #bottom Detail { width: 1fr; height: 3fr; }
    RunbooksScreen.-tiny #runs { height: 1fr; }
    RunbooksScreen.-tiny #bottom, RunbooksScreen.-tiny #steps { display: none; }
    RunbooksScreen.-idle.-tiny #runs { height: 1; }
    RunbooksScreen.-idle.-tiny #bottom { display: block; }
    """

    def body(self) -> Iterable[Widget]:
        glyphs = self.glyphs
        runs = LineTable(RUNS, title="Runs", empty=NO_RUN, glyphs=glyphs, id="runs")
        steps = LineTable(STEPS, title="Steps", empty="no run is selected", glyphs=glyphs, id="steps")
        library = LineTable(LIBRARY, title="Library", empty="no runbook read yet", glyphs=glyphs, id="library")
        self.runs = Feed[RunRow](runs, self.store, self._run)
        self.steps = Feed[StepRow](steps, self.store, self._step)
        self.library = Feed[RunbookRow](library, self.store, self._runbook)
        self._run_shown = ""
        self._idle = False
        self._words: list[Row] = []
        yield runs
        yield steps
        yield Horizontal(library, Detail(), id="bottom")

    def paint(self, touched: Touched) -> None:
        view = self.store.view(RunbooksView)
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
        self._arrange(len(view.runs))
        if self.session.recent.started in view.runs:
            self.runs.table.move_to(self.session.recent.started)
            self.runs.table.focus()
            self.session.recent.started = ""
        self._paint_steps(None if whole else keys.get("steps", frozenset()))

    def _arrange(self, runs: int) -> None:
        """Without any run the library has the space and the focus; with one, runs and steps have."""
        idle = not runs
        if idle != self._idle or (idle and self.focused is None):
            self._idle = idle
            self.set_class(idle, "-idle")
            self.runs.table.set_title("Runs", cell(NO_RUN, MUTED) if idle else "")
            self.runs.table.can_focus = not idle
            if idle or self.session.recent.started:
                (self.library if idle else self.runs).table.focus()
        if not idle:
            height = self.app.size.height
            self.set_height("#runs", runs + 2, 3, 5 if height < 32 else 9)
        else:
            self.query_one("#runs").styles.height = 1

    def _paint_steps(self, touched: frozenset[str] | None) -> None:
        view = self.store.view(RunbooksView)
        if view is None:
            return
        run = view.runs.get(self.runs.table.cursor_key or "")
        name = run.id if run is not None else ""
        mine = {key: row for key, row in view.steps.items() if row.run == name}
        order = dict(sorted(mine.items(), key=lambda item: (item[1].index, item[1].instance, item[0])))
        self.steps.show(order, None if name != self._run_shown else touched)
        self._run_shown = name
        self._follow(order)
        now = current_step(run, order.values()) if run is not None else None
        self._words = words_of(now) if now is not None else []
        self.set_class(bool(self._words), "-guided")
        self._share_height(len(order))
        self.steps.table.set_empty("this run has no steps yet" if run else "no run is selected")
        note = self._progress(run) if run is not None else cell("")
        self.steps.table.set_title(f"Steps of {name}" if name else "Steps", note)

    def _share_height(self, steps: int) -> None:
        """On a low terminal the steps of a run come before the library, unless a person looks through that. The words
        beside the step at work stay whole, as far as they ever were."""
        bottom = self.query_one("#bottom").styles
        if self._idle or self.app.size.height >= TALL or self.has_class("-tiny"):
            bottom.clear_rule("height")
            return
        most = GUIDED if self.has_class("-guided") else UNGUIDED
        runs = len(self.runs.table.shown_keys()) + FRAME
        room = self.app.size.height - CHROME - min(max(runs, 3), 5)
        width = self.app.size.width
        beside = width // 2 if self.has_class("-wide") else width - NAMES
        words = wrap_rows(self._words, beside - 4, self.app.console)
        least = most if self.focused is self.library.table else min(most, max(LEAST, len(words) + 1))
        bottom.height = max(least, min(most, room - steps - FRAME))

    def _follow(self, order: Mapping[str, StepRow]) -> None:
        """Keep the step that moves in sight, unless a person is looking through the steps."""
        if self.focused is self.steps.table:
            return
        moving = [key for key, row in order.items() if row.state in MOVING]
        begun = [key for key, row in order.items() if row.state is not StepState.PENDING]
        for key in (moving or begun)[-1:]:
            self.steps.table.move_to(key)

    def _progress(self, run: RunRow) -> Text:
        spent = self._spent(run)
        if run.question:
            return cell(f"d decides: {run.question} {' / '.join(run.options)}", WARN)
        if spent is None:
            return cell(f"{run.done} of {run.total} steps")
        if run.budget is None:
            return cell(f"{clock(spent)}, no budget")
        return time_bar(spent, run.budget, 34, self.glyphs)

    def _spent(self, run: RunRow) -> float | None:
        """Seconds the run has taken; they increase while it is open."""
        over = run.state.value in {"done", "failed", "stopped"}
        if over or run.started_mono is None:
            return run.elapsed
        return self.store.spent(run.started_mono)

    def tick(self) -> None:
        super().tick()
        view = self.store.view(RunbooksView)
        if view is None:
            return
        alive = [run.id for run in view.runs.values() if run.started_mono is not None]
        self.runs.table.update_rows([self._run(run, view.runs[run]) for run in alive])
        moving = [s for s in view.steps.values() if s.started_mono is not None and s.run == self._run_shown]
        shown = set(self.steps.table.shown_keys())
        self.steps.table.update_rows([self._step(s.key, s) for s in moving if s.key in shown])
        run = view.runs.get(self._run_shown)
        if run is not None:
            self.steps.table.set_title(f"Steps of {run.id}", self._progress(run))

    def _run(self, key: str, row: RunRow, _age: Age = FRESH) -> TableRow:
        spent = self._spent(row)
        late = spent is not None and row.budget is not None and spent > row.budget
        time = "" if spent is None else clock(spent)
        if spent is not None and row.budget is not None:
            time += f"/{clock(row.budget)}"
        return TableRow(
            key,
            (
                state_text(row.word, self.glyphs),
                cell(row.id, "bold"),
                joined(row.runbook or row.title, (f" {row.service}" if row.service else "", MUTED)),
                cell(f"{row.done}/{row.total}"),
                cell(time, FAIL if late else ""),
                cell(row.question or row.message, WARN if row.question else ""),
            ),
        )

    def _step(self, key: str, row: StepRow, _age: Age = FRESH) -> TableRow:
        spent = row.seconds
        if spent is None and row.started_mono is not None:
            spent = self.store.spent(row.started_mono)
        over = spent is not None and row.timeout > 0 and spent > row.timeout
        time = "" if spent is None else clock(spent)
        if spent is not None and (over or row.state in MOVING):
            time += f"/{clock(row.timeout)}"
        again = f" #{row.instance}" if row.instance > 1 else ""
        said = row.message or (row.evidence[-1] if row.evidence else "")
        if row.state is StepState.RUNNING and row.output:
            said = row.output[-1]
        told = joined(*filter(None, (in_a_row(row), measured(row), said)), separator="; ")
        told.stylize(UNKNOWN if row.state is StepState.UNKNOWN else "")
        return TableRow(
            key,
            (
                state_text(row.state.value, self.glyphs),
                cell(f"{'  ' * row.depth}{row.title or row.step}{again}"),
                cell(time, FAIL if over else MUTED),
                told,
                cell(row.kind.split()[0] if row.kind else "", MUTED),
            ),
        )

    def _runbook(self, key: str, row: RunbookRow, _age: Age) -> TableRow:
        sign = state_text("refused" if row.lint else "warn" if row.warnings else "ok", self.glyphs)
        message = cell(row.lint, FAIL) if row.lint else cell(row.title)
        if row.applies:
            sign, message = cell("not here", MUTED), cell(f"not here: {row.applies}", MUTED)
        return TableRow(
            key,
            (
                sign,
                cell(row.name, "bold"),
                cell(str(row.steps)),
                cell(row.last or "never run", MUTED),
                message,
                cell(str(row.changes)),
                cell(row.hash[:8], MUTED),
            ),
        )

    def reveal(self, table: str, key: str) -> None:
        """A step is shown under its run."""
        view = self.store.view(RunbooksView)
        step = view.steps.get(key) if view is not None and table == "steps" else None
        if step is not None:
            super().reveal("runs", step.run)
            self._paint_steps(None)
        super().reveal(table, key)

    def on_line_table_row_highlighted(self, message: LineTable.RowHighlighted) -> None:
        """Another run under the cursor: its steps."""
        if message.table.id == "runs" and self.ready:
            self._paint_steps(frozenset())

    def on_descendant_focus(self) -> None:
        """Who looks through the library has it at its full height."""
        if self.ready:
            self._share_height(len(self.steps.table.shown_keys()))

    def detail_rows(self) -> list[Row]:
        row = self.selected()
        view = self.store.view(RunbooksView)
        if isinstance(row, StepRow):
            return step_detail(row, run_of(self.context()))
        if isinstance(row, RunbookRow):
            return runbook_detail(row)
        if isinstance(row, RunRow):
            return run_detail(row, view.steps.values() if view is not None else ())
        return [cell("select a run, a step or a runbook", MUTED)]
