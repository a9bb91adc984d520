"""Presenter mode: large clocks for a wall. It does not read hosts and people, so it cannot show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Digits

from console.tui.dialogs.base import Dialog, keys_line
from console.tui.glyphs import FAIL, MUTED, UNKNOWN
from console.tui.parts.ages import health_mark
from console.tui.parts.header import header_line
from console.tui.store import LinkState, Store
from console.tui.text import joined
from console.tui.widgets.lines import Lines
from state.api.views.header import HeaderView
from state.health import Health
from state.units import ago, clock, megabytes, utc

DIGITS_WIDTH = 70
DIGITS_HEIGHT = 16
"""On smaller terminals, and without box-drawing characters, the clocks are plain text."""


class Figure(Vertical):
    """A label above large digits."""

    DEFAULT_CSS = "Figure { width: 1fr; height: 5; padding: 0 1; } Figure Digits { width: 1fr; height: 3; }"

    def __init__(self, label: str) -> None:
        super().__init__()
        self._label = Lines([joined((label, MUTED))])
        self._digits = Digits("")
        self.plain = Text("")
        """The same in one line."""

    def compose(self) -> ComposeResult:
        yield self._label
        yield self._digits

    def show(self, value: str, label: str, style: str = "") -> None:
        self.plain = joined(" ", (value, style or "bold"), (f" {label}", MUTED))
        self._label.show([joined((label, style or MUTED))])
        self._digits.update(value)


class PresenterDialog(Dialog[None]):
    """RTO, data at risk and the services, readable from the back of a room."""

    title_ = "Recovery"
    keys_ = (("P", "leave"),)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("P", "leave", show=False)]
    DEFAULT_CSS = "PresenterDialog #figures { height: 5; } PresenterDialog #services { height: 1fr; padding: 0 1; }"

    def compose(self) -> ComposeResult:
        yield self.top
        with Vertical(id="dialog"):
            yield from self.content_()
        yield Lines([keys_line(self.keys_)], classes="keys")

    def content_(self) -> Iterable[Widget]:
        self._rto, self._risk, self._now = Figure("RTO left"), Figure("data at risk"), Figure("UTC")
        yield Horizontal(self._rto, self._risk, self._now, id="figures")
        self._told = Lines([""], id="services")
        yield self._told

    def tick(self) -> None:
        store = self.session.store
        self.top.show([header_line(store, self.session.glyphs, self.app.size.width)])
        self._now.show(utc(store.wall).rstrip("Z"), "UTC")
        self._paint_rto(store)
        self._paint_risk(store)
        size, ascii_only = self.app.size, self.session.glyphs.ascii_only
        small = ascii_only or size.width < DIGITS_WIDTH or size.height < DIGITS_HEIGHT
        self.query_one("#figures").display = not small
        figures = [figure.plain for figure in (self._rto, self._risk)] if small else []
        self._told.show([*figures, *self._services(store)])

    def _paint_rto(self, store: Store) -> None:
        header = store.view(HeaderView)
        running = header.rto if header is not None else None
        if running is None:
            self._rto.show("--:--", "RTO: no clock runs")
            return
        end = store.mono if running.ended_mono is None else running.ended_mono
        left = running.target - (end - running.started_mono)
        message = f"RTO left of {clock(running.target)}, {running.service}"
        self._rto.show(
            clock(left), message if left >= 0 else f"RTO MISSED, {running.service}", "" if left >= 0 else FAIL
        )

    def _paint_risk(self, store: Store) -> None:
        header = store.view(HeaderView)
        risk = header.risk if header is not None else None
        if risk is None:
            self._risk.show("-", "data at risk: no database")
            return
        if risk.lost_bytes is None or store.oldest(risk.sources).withheld:
            self._risk.show("?", "data at risk: UNKNOWN", UNKNOWN)
            return
        size, unit = megabytes(risk.lost_bytes).rsplit(" ", 1)
        message = f"{unit} at risk of {megabytes(risk.target)}"
        self._risk.show(size, message, FAIL if risk.health is Health.FAIL else "")

    def _services(self, store: Store) -> list[Text]:
        rows: list[Text] = []
        if store.link.state is LinkState.LOST:
            rows.append(joined((f" ENGINE LOST {ago(store.link_age)}: what you see is old ", f"{FAIL} reverse")))
        header = store.view(HeaderView)
        count = len(header.alarms) if header is not None else 0
        if count:
            rows.append(joined((f" {count} ALARM{'S' if count > 1 else ''} ", f"{FAIL} reverse")))
        view, runs = store.view("overview"), store.view("runbooks")
        for row in sorted(view.services.values(), key=lambda row: row.order) if view is not None else ():
            sign = health_mark(row.health, self.session.glyphs, store.age(row.source))
            rows.append(joined("  ", sign, (f"  {row.name}", "bold")))
        for run in runs.runs.values() if runs is not None else ():
            if run.elapsed is None or run.state.value in {"running", "paused", "waiting", "unknown", "stopping"}:
                rows.append(joined(("  run  ", MUTED), f"{run.runbook}: {run.state.value}, {run.done} of {run.total}"))
        return rows
