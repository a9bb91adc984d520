"""Keys of the journal screen."""

from __future__ import annotations

from typing import ClassVar

from console.tui.actions.base import Action, ActionContext, Navigation
from state.api.views.journal import JournalRow


class VerifyJournal(Action):
    """Check the whole hash chain of the journal, from the first entry on."""

    key, title, screens = "v", "verify", ("journal",)

    def missing(self, ctx: ActionContext) -> str | None:
        return None if ctx.store.live else "the engine is not connected"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.verify_journal()


class FilterEntries(Action):
    """Show only journal entries that share a value with the selected one."""

    screens = ("journal",)
    on = ("entries",)
    column: ClassVar[str] = ""

    def missing(self, ctx: ActionContext) -> str | None:
        if not isinstance(ctx.row, JournalRow):
            return "select an entry first"
        return None if getattr(ctx.row, self.column) else f"the entry belongs to no {self.column}"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.filter_to(f"{self.column}={getattr(ctx.row, self.column)}")


class FilterRun(FilterEntries):
    """Show only the entries of the selected entry's run."""

    key, title, column = "r", "this run", "run"


class FilterKind(FilterEntries):
    """Show only the entries of the selected entry's kind."""

    key, title, column = "t", "this kind", "kind"


class FilterOrigin(FilterEntries):
    """Show only what was observed, or only decisions and effects, as the selected entry is."""

    key, title, column = "o", "this class", "origin"


class ExportJournal(Action):
    """How to write the journal to a file for an auditor."""

    key, title, screens = "e", "export", ("journal",)

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.say("recovery journal export > journal.ndjson writes every entry as it was hashed")
