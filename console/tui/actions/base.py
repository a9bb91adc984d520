"""Keys that mean something: one class per key. Footer, help, palette and dimming are derived from them.

No action changes anything by itself: acting ones open a consequence card or a confirmation and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from console.tui.store import Store
from state.api.views.journal import JournalRow
from state.api.views.overview import ServiceRow
from state.api.views.runbooks import Param
from state.health import Health

WORST_FIRST = (Health.FAIL, Health.UNKNOWN, Health.WARN, Health.PASS)
FormValues = Mapping[str, str]
Then = Callable[[FormValues], None]


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What a key would act on: the store, the screen in front and the row under the cursor."""

    store: Store
    screen: str
    row: Any = None


class Navigation(Protocol):
    """What an action may ask of the app. None of it reaches the outside without a person's confirmation."""

    def preview(self, request: Mapping[str, Any]) -> None: ...
    def ask(self, title: str, params: Sequence[Param], then: Then) -> None: ...
    def confirm(self, title: str, facts: Sequence[tuple[str, str]], send: Callable[[], Any]) -> None: ...
    def send_control(self, run: str, request: Mapping[str, Any]) -> Any: ...
    def send_stop_all(self) -> Any: ...
    def verify_journal(self) -> None: ...
    def say(self, message: str) -> None: ...
    def open_help(self) -> None: ...
    def open_palette(self) -> None: ...
    def open_goto(self) -> None: ...
    def open_filter(self) -> None: ...
    def open_presenter(self) -> None: ...
    def open_place(self, screen: str, table: str, key: str) -> None: ...
    def filter_to(self, needle: str) -> None: ...
    def leave(self) -> None: ...
    def step_back(self) -> None: ...


class Action:
    """One key. The docstring is its help; `screens` empty = everywhere; no `key` = palette only."""

    key: ClassVar[str] = ""
    title: ClassVar[str] = ""
    screens: ClassVar[tuple[str, ...]] = ()
    acts: ClassVar[bool] = False
    shown: ClassVar[bool] = True
    """Whether the footer names it."""

    @property
    def id(self) -> str:
        """`StopEverything` is `stop-everything`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()

    @property
    def name(self) -> str:
        """What the palette calls it."""
        return self.title

    @property
    def help(self) -> str:
        return " ".join((type(self).__doc__ or "").split())

    def why_not(self, ctx: ActionContext) -> str | None:
        """Why the key does nothing now, in words; None when it works. Cheap: runs on every repaint."""
        if self.acts:
            if not ctx.store.live:
                return "the engine is not connected"
            if ctx.store.observer:
                return "observers cannot act"
        return self.missing(ctx)

    def missing(self, ctx: ActionContext) -> str | None:
        """What the action lacks here; for subclasses."""
        return None

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        """Do it. Only called when `why_not` is None."""
        raise NotImplementedError


class Effect(Action):
    """An action that ends in an effect on the outside world, through a consequence card."""

    acts = True

    def why_not(self, ctx: ActionContext) -> str | None:
        refused = super().why_not(ctx)
        header = ctx.store.header
        if refused is None and header is not None and header.effects:
            return f"effects are refused: {header.effects}"
        return refused


class Help(Action):
    """Every key of this screen, and why the dimmed ones do nothing."""

    key, title = "question_mark", "help"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.open_help()


class Palette(Action):
    """Everything by name: screens, actions, faults of a lab."""

    key, title, shown = "ctrl+p", "palette", False

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.open_palette()


class Filter(Action):
    """Show only rows of the table in focus that contain a text."""

    key, title = "slash", "filter"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.open_filter()


class GoTo(Action):
    """Go to anything by its name: a service, node, server, run, runbook or journal entry."""

    key, title = "colon", "go to"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.open_goto()


class Back(Action):
    """Undo the filter, or leave what is open."""

    key, title, shown = "escape", "back", False

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.step_back()


class Present(Action):
    """Large clocks for a wall or a projector; hosts and people are not shown."""

    key, title, shown = "P", "presenter", False

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.open_presenter()


class Quit(Action):
    """Leave the console. Runs belong to the engine and go on."""

    key, title, shown = "q", "quit", False

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.leave()


class StopEverything(Action):
    """Start nothing new, in any run; what is in flight is classified by reading its target."""

    key, title, acts = "full_stop", "stop all", True

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        header = ctx.store.header
        running = ", ".join(header.running) if header and header.running else "nothing runs now"
        facts = (
            ("does", "start nothing new in any run; read the target of what is on its way"),
            ("runs", running),
            ("undo", "none; a stopped run has ended, start what is still needed as a new one"),
        )
        desk.confirm("Stop everything", facts, desk.send_stop_all)


class OpenTraffic(Action):
    """Go to the backend that carries the selected service, on the Traffic screen."""

    key, title, screens = "t", "traffic", ("overview",)

    def missing(self, ctx: ActionContext) -> str | None:
        if not isinstance(ctx.row, ServiceRow):
            return "select a service first"
        return None if self._backend(ctx) else f"no backend is known to carry {ctx.row.name}"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.open_place("traffic", "backends", self._backend(ctx))

    def _backend(self, ctx: ActionContext) -> str:
        """The worst of the service's backends."""
        view = ctx.store.traffic
        mine = [row for row in view.backends.values() if row.service == ctx.row.name] if view is not None else []
        mine.sort(key=lambda row: (WORST_FIRST.index(row.health), row.key))
        return mine[0].key if mine else ""


class FilterEntries(Action):
    """Show only journal entries that share a value with the selected one."""

    screens = ("journal",)
    column: ClassVar[str] = ""

    def missing(self, ctx: ActionContext) -> str | None:
        if not isinstance(ctx.row, JournalRow):
            return "select an entry first"
        return None if getattr(ctx.row, self.column) else f"the entry belongs to no {self.column}"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.filter_to(f"{self.column}={getattr(ctx.row, self.column)}")


class FilterRun(FilterEntries):
    """Show only the entries of the selected entry's run."""

    key, title, column = "r", "this run", "run"


class FilterKind(FilterEntries):
    """Show only the entries of the selected entry's kind."""

    key, title, column = "t", "this kind", "kind"


class VerifyJournal(Action):
    """Check the whole hash chain of the journal, from the first entry on."""

    key, title, screens = "v", "verify", ("journal",)

    def missing(self, ctx: ActionContext) -> str | None:
        return None if ctx.store.live else "the engine is not connected"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.verify_journal()


class ExportJournal(Action):
    """How to write the journal to a file for an auditor."""

    key, title, screens = "e", "export", ("journal",)

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.say("recovery journal export > journal.ndjson writes every entry as it was hashed")
