"""Keys of the runbooks screen: start a run and control the existing ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from console.tui.actions.base import Action, ActionContext, Effect, FormValues, Navigation
from console.tui.session import Over
from console.tui.text import begun
from state.api.requests import ControlRequest, Decide, Pause, PlanRetry, PlanRunbook, PlanUndo, Resume, Skip, Stop
from state.api.run_states import UndoState
from state.api.views.runbooks import Param, RunbookRow, RunbooksView, RunRow, StepRow


def run_of(ctx: ActionContext) -> RunRow | None:
    """The run under the cursor, or the run of the step under the cursor."""
    if isinstance(ctx.row, RunRow):
        return ctx.row
    view = ctx.store.view(RunbooksView)
    return view.runs.get(ctx.row.run) if view is not None and isinstance(ctx.row, StepRow) else None


def step_at(ctx: ActionContext, key: str) -> StepRow | None:
    """A step instance by its key, as it is now."""
    view = ctx.store.view(RunbooksView)
    return view.steps.get(key) if view is not None else None


def named_step(ctx: ActionContext, verb: str) -> StepRow | None:
    """The step that a verb is about: the one under the cursor, else the first that the engine names for it."""
    run = run_of(ctx)
    names = run.steps_of.get(verb, ()) if run is not None else ()
    if isinstance(ctx.row, StepRow):
        return ctx.row if ctx.row.name in names else None
    return step_at(ctx, f"{run.id}/{names[0]}") if run is not None and names else None


def labelled_words(step: StepRow) -> Iterator[tuple[str, str]]:
    """What a step's author says to the person beside it; the label stands at the first text of each."""
    for label, texts in (("why", step.why), ("look for", step.look_for), ("if fails", step.if_it_fails)):
        yield from ((label if not place else "", text) for place, text in enumerate(texts))


def not_now(ctx: ActionContext, verb: str) -> str | None:
    """Why a verb of a run is not possible for the row under the cursor, with what is; None when it is."""
    run = run_of(ctx)
    if run is None:
        return "select a run first"
    if verb not in run.next_actions:
        possible = ", ".join(run.next_actions) or "nothing"
        return f"{run.id} is {run.state.value}: {verb} is not possible now, but {possible}"
    names = run.steps_of.get(verb, ())
    if names and named_step(ctx, verb) is None and verb not in (Pause.verb, Resume.verb):
        return f"{verb} is possible for {', '.join(names)}"
    return None


class RunControl(Action):
    """Control the selected run."""

    screens = ("runbooks",)
    on = ("runs",)
    acts = True
    verb: ClassVar[str] = ""

    def missing(self, ctx: ActionContext) -> str | None:
        return not_now(ctx, self.verb)

    def step_of(self, ctx: ActionContext) -> StepRow | None:
        """The step that the control is about."""
        return named_step(ctx, self.verb)

    def over(self, ctx: ActionContext, step: StepRow, said: str) -> Over:
        """Says when the control is no more possible for a step, with what the step says now."""

        def why() -> str:
            view = ctx.store.view(RunbooksView)
            run = view.runs.get(step.run) if view is not None else None
            if run is not None and step.name in run.steps_of.get(self.verb, ()):
                return ""
            now = step_at(ctx, step.key)
            return f"{said}: {step.name} is {now.state.value}, {now.message}" if now is not None else said

        return why

    def request(self, run: RunRow) -> ControlRequest:
        """The control as it was seen; for subclasses that ask nothing more."""
        raise NotImplementedError

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        run = run_of(ctx)
        assert run is not None
        self.propose(ctx, navigator, self.request(run), ())

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
        navigator.confirm(f"{begun(self.title)} {run.id}", told, lambda: navigator.send_control(run.id, request))


class DecideRun(RunControl):
    """Answer the question the run waits for."""

    key, title, verb = "d", "decide", "decide"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        run, asked = run_of(ctx), self.step_of(ctx)
        assert run is not None
        assert asked is not None
        first = asked.name == run.steps_of[self.verb][0]
        question, options = (run.question, run.options) if first else (asked.question, asked.options)

        def then(answers: FormValues) -> None:
            request = Decide(answers["choice"], asked.name)
            self.propose(ctx, navigator, request, (("question", question), ("answer", answers["choice"])))

        about = [("asks", question), *labelled_words(asked)]
        title = f"{run.id}: {asked.title or asked.step}"
        choice = Param("choice", "answer", "", options, True)
        over = self.over(ctx, asked, "this question is over")
        navigator.ask(title, (choice,), then, over=over, about=about)


class StartRun(Effect):
    """Fill in the selected runbook's parameters and see what a run would do."""

    key, title, screens, on = "s", "start", ("runbooks",), ("library",)

    def missing(self, ctx: ActionContext) -> str | None:
        if not isinstance(ctx.row, RunbookRow):
            return "select a runbook in the library first (Tab)"
        if ctx.row.applies:
            return f"{ctx.row.name} does not apply to this estate: {ctx.row.applies}"
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

    key, title, verb = "p", "pause", "pause"

    def request(self, run: RunRow) -> ControlRequest:
        return Pause()


class ResumeRun(RunControl):
    """Continue a paused run."""

    key, title, verb = "u", "resume", "resume"

    def request(self, run: RunRow) -> ControlRequest:
        return Resume(next(iter(run.steps_of.get(self.verb, ())), ""))


class RetryStep(Effect):
    """Repeat a step that is proven not done, as a new instance with its own card."""

    key, title, screens, on = "t", "retry", ("runbooks",), ("runs", "steps")
    verb = PlanRetry.do

    def missing(self, ctx: ActionContext) -> str | None:
        return not_now(ctx, self.verb)

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        step = named_step(ctx, self.verb)
        assert step is not None
        navigator.preview(PlanRetry(step.run, step.name))


class SkipStep(RunControl):
    """Continue without a step, with a reason for the journal."""

    key, title, verb = "n", "skip", "skip"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        step = self.step_of(ctx)
        assert step is not None

        def then(answers: FormValues) -> None:
            request = Skip(step.name, answers["reason"])
            facts = (("step", f"{step.title} ({step.name})"), ("reason", answers["reason"]))
            self.propose(ctx, navigator, request, facts)

        title = f"Skip {step.title} of {step.run}: why"
        why = Param("reason", "text", "", (), True)
        navigator.ask(title, (why,), then, over=self.over(ctx, step, "it cannot be skipped any more"))


class StopRun(RunControl):
    """End the run at its next safe point."""

    key, title, verb = "e", "end run", "stop"

    def request(self, run: RunRow) -> ControlRequest:
        return Stop()


class UndoRun(Effect):
    """Preview the undo of the selected run's changes, last one first."""

    key, title, screens, on, shown = "z", "undo", ("runbooks",), ("runs",), False

    def missing(self, ctx: ActionContext) -> str | None:
        run = run_of(ctx)
        if run is None:
            return "select a run first"
        if PlanUndo.do in run.next_actions:
            return None
        why = {
            UndoState.DONE: f"{run.undo_run} has undone it",
            UndoState.RUNNING: f"{run.undo_run} is undoing it",
            UndoState.ANNOUNCED: "its undo is about to start",
        }
        open_ = Stop.verb in run.next_actions
        nothing = "it has not ended; e ends it first" if open_ else "it did nothing that can be undone"
        return f"{run.id}: {why.get(run.undo, nothing)}"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        run = run_of(ctx)
        assert run is not None
        navigator.preview(PlanUndo(run.id))
