"""Presenter mode: one page for a wall. Hosts and people are not named on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from console.tui.dialogs.base import Dialog, keys_line
from console.tui.dialogs.discreet import Discreet, names_of
from console.tui.dialogs.presenter_page import Big, Page, page_lines
from console.tui.glyphs import FAIL, OK, UNKNOWN, WARN, Glyphs
from console.tui.parts.ages import health_mark
from console.tui.parts.header import header_line
from console.tui.parts.headline import headline, old_rows
from console.tui.parts.messages import severity
from console.tui.store import LinkState, Store
from console.tui.text import joined
from console.tui.widgets.lines import Lines
from state.api.run_states import StepState
from state.api.views.causes import Cause, SubjectKind
from state.api.views.header import HeaderView, RtoClock
from state.health import Health
from state.units import ago, clock, megabytes, utc

LOUD = {Health.FAIL: f"{FAIL} reverse", Health.WARN: f"{WARN} reverse", Health.UNKNOWN: f"{UNKNOWN} reverse"}
VERBS = {Health.FAIL: "is down", Health.WARN: "is impaired", Health.UNKNOWN: "is not known", Health.PASS: "works"}
MOVING = frozenset({StepState.RUNNING, StepState.WAITING, StepState.UNKNOWN})


class PresenterDialog(Dialog[None]):
    """What is wrong, how long is left, what runs and what is next, readable from the back of a room."""

    title_ = "Recovery"
    keys_ = (("P", "leave"),)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("P", "leave", show=False)]
    DEFAULT_CSS = "PresenterDialog #page { height: 1fr; }"

    def compose(self) -> ComposeResult:
        yield self.top
        yield from self.content_()
        yield Lines([keys_line(self.keys_)], classes="keys")

    def content_(self) -> Iterable[Widget]:
        self._page = Lines([""], id="page")
        yield self._page

    def tick(self) -> None:
        store, glyphs = self.session.store, self.session.glyphs
        size = self.app.size
        self.top.show([header_line(store, glyphs, size.width)])
        page = page_of(store, Discreet(names_of(store)), glyphs)
        self._page.show(page_lines(page, size.width, max(1, size.height - 2), glyphs))

    def on_resize(self) -> None:
        if self.ready:
            self.tick()


def page_of(store: Store, discreet: Discreet, glyphs: Glyphs) -> Page:
    """The page from the views as they are now."""
    header = store.view(HeaderView)
    if store.link.state is LinkState.LOST:
        sentence = f"engine lost for {ago(store.link_age)}"
        todo = ("nothing is known any more", "start it with: recovery engine start")
        return Page(_utc(store), sentence, f"{FAIL} reverse", todo, (), ())
    if header is None:
        return Page(_utc(store), "waiting for the engine", "", (), (), ())
    causes = [cause for cause in header.causes if cause.health is not Health.PASS]
    facts = tuple((label, discreet.hide(text), style) for label, text, style in _facts(store, header, causes))
    also = tuple(_also(store, causes[1:], discreet, glyphs))
    if not causes:
        overview = store.view("overview")
        proven = overview is not None and overview.health is Health.PASS and not old_rows(store, overview)
        sentence = "all services within their objectives" if proven else "nothing is reported; not all is known"
        style = f"{OK} reverse" if proven else f"{UNKNOWN} reverse"
        told = [discreet.hide(headline(store, overview)[0])] if overview is not None and not proven else []
        return Page(_clock(store, header), sentence, style, tuple(told), facts, also)
    worst = causes[0]
    said = [discreet.hide(worst.forecast.text(store.mono))] if worst.forecast is not None else []
    if worst.since_mono is not None:
        began = store.wall - (store.mono - worst.since_mono)
        said.insert(0, f"since {utc(began)}")
    return Page(
        _clock(store, header), discreet.hide(_sentence(store, worst)), LOUD[worst.health], tuple(said), facts, also
    )


def _sentence(store: Store, cause: Cause) -> str:
    """What people notice: of the cause and the services that suffer from it the worst, by its own verdict; of equal
    ones the service."""
    view = store.view("overview")
    known = view.services if view is not None else {}
    hurt = [known[v.name] for v in cause.victims if v.name in known]
    if cause.name in known:
        hurt.insert(0, known[cause.name])
    worst = min(hurt, key=lambda row: severity(row.health), default=None)
    if worst is not None and severity(worst.health) <= severity(cause.health):
        return f"{worst.name} {VERBS[worst.health]}"
    return (
        f"{cause.name} fails" if cause.kind is SubjectKind.DATABASE and cause.health is Health.FAIL else _named(cause)
    )


def _named(cause: Cause) -> str:
    """What is wrong, with the name of what it is about."""
    return cause.what if cause.name.casefold() in cause.what.casefold() else f"{cause.name}: {cause.what}"


def _facts(store: Store, header: HeaderView, causes: list[Cause]) -> Iterable[tuple[str, str, str]]:
    worst = causes[0] if causes else None
    if worst is not None:
        yield "CAUSE", _named(worst), ""
    now = _now(store)
    yield "NOW", now or "no run is open", ""
    yield "LOSS", *_loss(store, header)
    if worst is not None:
        yield "NEXT", worst.next.title if worst.next is not None else "decide what to do", ""
    if header.waiting:
        asked = next(iter(header.waiting.values()))
        yield "ASKED", asked.question or asked.message or asked.title, WARN
    acting = sum(not row.observes for row in header.consoles.values())
    watching = len(header.consoles) - acting
    yield "COMMAND", f"{acting} at consoles" + (f", {watching} observing" if watching else ""), ""


def _loss(store: Store, header: HeaderView) -> tuple[str, str]:
    risk = header.risk
    if risk is None:
        return "no database in this estate", ""
    allowed = f"{megabytes(risk.target)} allowed"
    if risk.lost_bytes is None or store.oldest(risk.sources).withheld:
        return f"not known; {allowed}", UNKNOWN
    return f"{megabytes(risk.lost_bytes)} of {allowed}", FAIL if risk.health is Health.FAIL else ""


def _now(store: Store) -> str:
    """`step 3 of 8: hand the leader role over` of the open run."""
    view = store.view("runbooks")
    for run in (view.runs[each] for each in view.order if each in view.runs) if view is not None else ():
        if run.state.value in ("done", "failed", "stopped"):
            continue
        steps = [step for step in view.steps.values() if step.run == run.id and step.state in MOVING]
        at = min(run.total, run.done + 1)
        title = steps[0].title or steps[0].step if steps else run.state.value
        return f"{run.title}, step {at} of {run.total}: {title}"
    return ""


def _also(store: Store, causes: list[Cause], discreet: Discreet, glyphs: Glyphs) -> Iterable[Text]:
    """Further problems, then the services with their verdicts."""
    for cause in causes:
        sign = health_mark(cause.health, glyphs, store.oldest(cause.sources))
        yield joined("  ", sign, (f"  {discreet.hide(_named(cause))}", "bold"))
    view = store.view("overview")
    for row in sorted(view.services.values(), key=lambda row: row.order) if view is not None else ():
        sign = health_mark(row.health, glyphs, store.age(row.source))
        yield joined("  ", sign, f"  {row.name}")


def _utc(store: Store) -> Big:
    return Big(utc(store.wall)[:5], "UTC", "bold")


def _clock(store: Store, header: HeaderView) -> Big:
    """Time left of the running objective; without one the time of day."""
    running = header.rto
    if running is None or running.ended_mono is not None:
        return _utc(store)
    return _left(store, running)


def _left(store: Store, running: RtoClock) -> Big:
    left = running.target - store.spent(running.started_mono)
    if left < 0:
        return Big(clock(left), f"OVER THE RTO OF {clock(running.target)}, {running.service}", FAIL)
    return Big(clock(left), f"RTO LEFT OF {clock(running.target)}, {running.service}", "bold")
