"""Keys of the runbooks screen: start a run and control the existing ones."""

from __future__ import annotations

from typing import ClassVar

from console.tui.actions.base import Action, ActionContext, Effect, FormValues, Navigation
from state.api.requests import ControlRequest, Decide, Pause, PlanRetry, PlanRunbook, PlanUndo, Resume, Skip, Stop
from state.api.run_states import StepState
from state.api.views.runbooks import Param, RunbookRow, RunbooksView, RunRow, StepRow

AGAIN = frozenset({StepState.FAILED, StepState.NOT_DONE, StepState.STOPPED})
"""States of a step that may be retried: it is known that it is not done."""


def run_of(ctx: ActionContext) -> RunRow | None:
    """The run under the cursor, or the run of the step under the cursor."""
    if isinstance(ctx.row, RunRow):
        return ctx.row
    view = ctx.store.view(RunbooksView)
    return view.runs.get(ctx.row.run) if view is not None and isinstance(ctx.row, StepRow) else None


def steps_of(ctx: ActionContext, run: RunRow) -> list[StepRow]:
    """The steps of a run in order."""
    view = ctx.store.view(RunbooksView)
    found = [step for step in view.steps.values() if step.run == run.id] if view is not None else []
    return sorted(found, key=lambda step: (step.index, step.instance))


class RunControl(Action):
    """Control the selected run."""

    screens = ("runbooks",)
    on = ("runs",)
    acts = True
    verb: ClassVar[str] = ""
    request: ClassVar[ControlRequest]

    def missing(self, ctx: ActionContext) -> str | None:
        run = run_of(ctx)
        if run is None:
            return "select a run first"
        if self.verb not in run.next_actions:
            return f"{run.id} is {run.state.value}: {self.verb} is not possible now"
        return None

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        self.propose(ctx, navigator, self.request, ())

    def propose(
        self, ctx: ActionContext, navigator: Navigation, request: ControlRequest, facts: tuple[tuple[str, str], ...]
    ) -> None:
        """Ask for a yes, then send."""
        run = run_of(ctx)
        assert run is not None
        told = (
            ("does", self.help),
            ("run", f"{run.id} {run.title}"),
            ("state", f"{run.state.value}: {run.message}" if run.message else run.state.value),
            *facts,
        )
        navigator.confirm(f"{self.title.capitalize()} {run.id}", told, lambda: navigator.send_control(run.id, request))


class DecideRun(RunControl):
    """Answer the question the run waits for."""

    key, title, verb = "d", "decide", "decide"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        run = run_of(ctx)
        assert run is not None
        choice = Param("choice", "choice", "", run.options, True)

        def then(answers: FormValues) -> None:
            request = Decide(answers["choice"])
            self.propose(ctx, navigator, request, (("question", run.question), ("answer", answers["choice"])))

        navigator.ask(run.question or f"Decide {run.id}", (choice,), then)


class StartRun(Effect):
    """Fill in the selected runbook's parameters and see what a run would do."""

    key, title, screens, on = "s", "start", ("runbooks",), ("library",)

    def missing(self, ctx: ActionContext) -> str | None:
        if not isinstance(ctx.row, RunbookRow):
            return "select a runbook in the library first (Tab)"
        return f"the runbook is invalid: {ctx.row.lint}" if ctx.row.lint else None

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: RunbookRow = ctx.row

        def then(answers: FormValues) -> None:
            navigator.preview(PlanRunbook(row.name, dict(answers)))

        if row.params:
            navigator.ask(f"Start {row.title}", row.params, then)
        else:
            then({})


class PauseRun(RunControl):
    """Pause the run after its current step."""

    key, title, verb, request = "p", "pause", "pause", Pause()


class ResumeRun(RunControl):
    """Continue a paused run."""

    key, title, verb, request = "u", "resume", "resume", Resume()


class RetryStep(Effect):
    """Repeat a step that is proven not done, as a new instance with its own card."""

    key, title, screens, on = "t", "retry", ("runbooks",), ("runs", "steps")

    def missing(self, ctx: ActionContext) -> str | None:
        run = run_of(ctx)
        if run is None:
            return "select a run first"
        step = self._step(ctx, run)
        if step is None:
            return "no step is known to be not done"
        if step.state not in AGAIN:
            return f"step {step.step} is {step.state.value}: only a step that is not done can be retried"
        return None

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        run = run_of(ctx)
        step = self._step(ctx, run) if run is not None else None
        assert run is not None
        assert step is not None
        navigator.preview(PlanRetry(run.id, step.step))

    def _step(self, ctx: ActionContext, run: RunRow) -> StepRow | None:
        if isinstance(ctx.row, StepRow):
            return ctx.row
        return next((step for step in reversed(steps_of(ctx, run)) if step.state in AGAIN), None)


class SkipStep(RunControl):
    """Skip the current step of the run, with a reason for the journal."""

    key, title, verb = "n", "skip", "skip"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        run = run_of(ctx)
        assert run is not None
        settled = {StepState.DONE, StepState.SKIPPED, StepState.SUPERSEDED}
        waiting = [step for step in steps_of(ctx, run) if step.state not in settled]
        step = ctx.row.step if isinstance(ctx.row, StepRow) else waiting[0].step if waiting else ""

        def then(answers: FormValues) -> None:
            request = Skip(step, answers["reason"])
            self.propose(ctx, navigator, request, (("step", step), ("reason", answers["reason"])))

        navigator.ask(f"Skip {step} of {run.id}: why", (Param("reason", "text", "", (), True),), then)


class StopRun(RunControl):
    """End the run at its next safe point."""

    key, title, verb, request = "e", "end run", "stop", Stop()


class UndoRun(Effect):
    """Preview the undo of the selected run's changes, last one first."""

    key, title, screens, on, shown = "z", "undo", ("runbooks",), ("runs",), False

    def missing(self, ctx: ActionContext) -> str | None:
        run = run_of(ctx)
        if run is None:
            return "select a run first"
        return None if "undo" in run.next_actions else f"{run.id} has nothing that can be undone now"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        run = run_of(ctx)
        assert run is not None
        navigator.preview(PlanUndo(run.id))
