"""Keys that exist on every screen."""

from __future__ import annotations

from console.tui.actions.base import Action, ActionContext, Navigation
from state.api.views.header import HeaderView

CAUSES = "!"
"""The key that lists everything that is wrong."""
QUEUE = "A"
"""The key that opens the queue of approvals."""
ANSWER = "D"
"""The key that answers the run of the first waiting line."""


class Help(Action):
    """Every key of this screen, and why the dimmed ones do nothing."""

    key, title = "question_mark", "help"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.open_help()


class Filter(Action):
    """Show only rows of the table in focus that contain a text."""

    key, title = "slash", "filter"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.open_filter()


class GoTo(Action):
    """Go to anything by its name: a service, node, server, run, runbook or journal entry."""

    key, title = "colon", "go to"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.open_goto()


class StopEverything(Action):
    """Start nothing new in any run; the outcome of what was sent is read from its target."""

    key, title, acts = "full_stop", "stop all", True

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        header = ctx.store.view(HeaderView)
        running = ", ".join(header.running) if header and header.running else "no run is open"
        facts = (
            ("does", "start nothing new in any run; read the outcome of what was sent"),
            ("runs", running),
            ("undo", "none; a stopped run has ended: start a new run for what is still needed"),
        )
        navigator.confirm("Stop everything", facts, navigator.send_stop_all)


class Present(Action):
    """One page for a wall or a projector; hosts and people are not named."""

    key, title, shown = "P", "presenter", False

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.open_presenter()


class ShowCauses(Action):
    """Everything that is wrong, at its root: who waits for it, what happens by itself, what to do."""

    key, title, shown = "exclamation_mark", "what is wrong", False

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.open_causes()


class AnswerRun(Action):
    """Go to the run that waits for a person, and open its question."""

    key, title, shown = ANSWER, "answer", False

    def missing(self, ctx: ActionContext) -> str | None:
        header = ctx.store.view(HeaderView)
        return None if header is not None and header.waiting else "no run waits for a person"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        header = ctx.store.view(HeaderView)
        assert header is not None
        navigator.answer(next(iter(header.waiting)))


class ApprovalQueue(Action):
    """What waits for a second person: read it, sign it; and who goes on alone, to be stopped or reviewed."""

    key, title, shown = QUEUE, "approvals", False

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.open_approvals()


class Company(Action):
    """Who else is attached to this engine, and which screen is in front of them."""

    key, title, shown = "W", "who is here", False

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.open_company()


class Palette(Action):
    """Everything by name: screens, actions, faults of a lab."""

    key, title, shown = "ctrl+p", "palette", False

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.open_palette()


class Back(Action):
    """Remove the filter, close what is open, or go back to where a link was followed."""

    key, title, shown = "escape", "back", False

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.step_back()


class Quit(Action):
    """Quit the console. Runs belong to the engine and continue."""

    key, title, shown = "q", "quit", False

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.leave()
