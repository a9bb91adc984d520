"""Keys of the overview: the next step of the row under the cursor, else of the worst cause that has one."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from console.tui.actions.base import Action, ActionContext, FormValues, Navigation
from console.tui.text import begun
from state.api.requests import PlanChange, PlanRollback, PlanRunbook
from state.api.views.causes import NextKind, NextStep, SubjectKind
from state.api.views.header import HeaderView
from state.api.views.overview import OpenRunRow, RecoverRow
from state.api.views.runbooks import RunbooksView, value_of
from state.health import Health

WORST_FIRST = (Health.FAIL, Health.UNKNOWN, Health.WARN, Health.PASS)
SENDS = (NextKind.RUNBOOK, NextKind.CHANGE, NextKind.ROLLBACK)


class TakeStep(Action):
    """Take the next step that ends a row."""

    screens = ("overview",)
    none: ClassVar[str] = "no row has this next step now"

    def step(self, ctx: ActionContext) -> NextStep | None:
        """The step with this key: of the selected row, else of the first cause that has one."""
        row = ctx.row
        if isinstance(row, RecoverRow) and row.next is not None and row.next.key == self.key:
            return row.next
        header = ctx.store.view(HeaderView)
        causes = header.causes if header is not None else ()
        return next((c.next for c in causes if c.next is not None and c.next.key == self.key), None)

    def missing(self, ctx: ActionContext) -> str | None:
        if not ctx.store.live:
            return "the engine is not connected"
        step = self.step(ctx)
        if step is None:
            return self.none
        return ctx.store.barred or None if step.kind in SENDS else None

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        step = self.step(ctx)
        assert step is not None
        take(step, ctx, navigator)


def take(step: NextStep, ctx: ActionContext, navigator: Navigation) -> None:
    """Open what a next step leads to. Nothing is sent before a card is confirmed."""
    match step.kind:
        case NextKind.RUNBOOK:
            _runbook(step, ctx, navigator)
        case NextKind.CHANGE:
            navigator.preview(PlanChange(step.name, dict(step.arguments)))
        case NextKind.ROLLBACK:
            navigator.preview(PlanRollback(step.arguments["service"], step.arguments["to"]))
        case NextKind.RUN:
            navigator.open_place("runbooks", "runs", step.name)
        case NextKind.PLACE:
            navigator.open_screen(step.name)
        case NextKind.HAND:
            navigator.explain(begun(step.title), step.message)


def _runbook(step: NextStep, ctx: ActionContext, navigator: Navigation) -> None:
    """The runbook's form, filled in."""
    view = ctx.store.view(RunbooksView)
    row = view.library.get(step.name) if view is not None else None
    if row is None:
        navigator.say(f"the runbook {step.name} is not in the library")
        return

    def then(answers: FormValues) -> None:
        navigator.preview(PlanRunbook(step.name, dict(answers)))

    given = step.arguments
    title = f"{row.title} ({given['service']})" if "service" in given else row.title
    known = {param.name: param for param in row.params}
    navigator.ask(title, tuple(replace(p, default=value_of(known, given, p.name)) for p in row.params), then)


class RollBack(TakeStep):
    """Start the runbook that gets the service back, with its parameters filled in."""

    key, title, none = "r", "roll back", "no service fails on a release that another one could replace"


class FailOver(TakeStep):
    """What to do about a database without its one writer."""

    key, title, none = "f", "failover", "every database has its one writer; a planned switchover is s on Replication"


class FenceIt(TakeStep):
    """The card that fences the node that must not accept writes."""

    key, title, none = "n", "fence", "no node is known that is to be fenced; n on Replication fences any"


class ByHand(TakeStep):
    """What a person does where this version has no runbook and no verb."""

    key, title, none = "b", "by hand", "nothing is left to do by hand"


class OpenRun(TakeStep):
    """Go to the run that touches the service."""

    key, title, shown, none = "d", "its run", False, "no open run touches what is wrong"

    def step(self, ctx: ActionContext) -> NextStep | None:
        row = ctx.row
        if isinstance(row, RecoverRow) and row.runs:
            return NextStep(NextKind.RUN, row.runs[-1], {}, self.key, "", "")
        if isinstance(row, OpenRunRow):
            return NextStep(NextKind.RUN, row.id, {}, self.key, "", "")
        return super().step(ctx)


class OpenTraffic(TakeStep):
    """Go to what is wrong on the Traffic screen: the DNS record of the selected service, else its backend."""

    key, title, none = "t", "traffic", "select a service first"
    on = ("services",)

    def step(self, ctx: ActionContext) -> NextStep | None:
        row = ctx.row
        own = row.next if isinstance(row, RecoverRow) else None
        if own is not None and own.key == self.key and own.arguments.get("table") == "dns":
            return own
        if isinstance(row, RecoverRow) and row.kind is SubjectKind.SERVICE:
            return NextStep(NextKind.PLACE, "traffic", {"service": row.name}, self.key, "", "")
        return super().step(ctx)

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        # Only here: the footer checks `missing` every second, and the traffic may be thousands of rows.
        step = self.step(ctx)
        assert step is not None
        if step.arguments.get("table") == "dns":
            navigator.open_place("traffic", "dns", self._record(ctx, step.arguments["record"]))
            return
        service = step.arguments.get("service", "")
        backend = step.arguments.get("backend") or self._backend(ctx, service)
        if backend:
            navigator.open_place("traffic", "backends", backend)
        else:
            navigator.say(f"{self.title}: no backend of {service} is known")

    @staticmethod
    def _record(ctx: ActionContext, record: str) -> str:
        """The worst answer about a record."""
        view = ctx.store.view("traffic")
        about = [row for row in view.dns.values() if row.record == record] if view is not None else []
        about.sort(key=lambda row: (WORST_FIRST.index(row.health), row.key))
        return str(about[0].key) if about else ""

    @staticmethod
    def _backend(ctx: ActionContext, service: str) -> str:
        """The worst of the service's backends."""
        view = ctx.store.view("traffic")
        mine = [row for row in view.backends.values() if row.service == service] if view is not None else []
        mine.sort(key=lambda row: (WORST_FIRST.index(row.health), row.key))
        return str(mine[0].key) if mine else ""
