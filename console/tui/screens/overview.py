"""Screen 1: the services in the order to recover them, alerts and probes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.containers import Horizontal
from textual.widget import Widget

from console.tui.glyphs import FAIL, MUTED, OK, WARN
from console.tui.mirror import Touched
from console.tui.parts.ages import NOTHING, health_mark, unless_withheld, with_age
from console.tui.parts.cascade import cascade_rows
from console.tui.parts.facts import Row, fact
from console.tui.parts.feed import Feed
from console.tui.parts.header import rto_left, rto_line
from console.tui.parts.messages import latency, ratio, sources_fact
from console.tui.screens.base import Detail, MainScreen
from console.tui.store import Age
from console.tui.text import cell, joined, state_text
from console.tui.widgets.chart import Chart, Drawing
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.spark import sparkline
from console.tui.widgets.table import LineTable
from state.api.views.overview import AlertRow, OverviewView, ProbeRow, ServiceRow
from state.health import Health
from state.units import ago, clock, megabytes, millis, percent, rate, utc

TREND = 10
SERVICES = (
    Column("state", "state", 9),
    Column("service", "service", 11, grow=24),
    Column("errors", "errors", 6, align="right"),
    Column("p99", "p99", 7, align="right", grow=8),
    Column("rto", "RTO left", 8, align="right", grow=12),
    Column("message", "why", 24, flex=1, cut="end", wish=36),
    Column("releases", "release", 14, grow=30),
    Column("trend", "errors", TREND),
    Column("rate", "rate", 8, align="right"),
)
ALERTS = (
    Column("state", "severity", 10),
    Column("name", "alert", 12, grow=28),
    Column("since", "since", 6, align="right"),
    Column("summary", "summary", 10, flex=1, cut="end"),
)
PROBES = (
    Column("state", "state", 9),
    Column("name", "probe", 11, grow=24),
    Column("message", "answer", 10, flex=1, cut="end"),
)


class OverviewScreen(MainScreen):
    """What fails, what to recover first and why, and how long is left."""

    narrow: ClassVar[Mapping[str, int]] = {"services": 6}
    DEFAULT_CSS = """
    OverviewScreen #services { height: 6; }
    OverviewScreen #signals { height: 6; }
    OverviewScreen #bottom { height: 1fr; min-height: 4; }
    OverviewScreen #bottom Detail { height: 1fr; width: 1fr; }
    OverviewScreen #errors { display: none; height: 1fr; width: 1fr; }
    OverviewScreen.-wide #errors { display: block; }
    OverviewScreen.-wide #alerts { width: 3fr; }
    OverviewScreen.-wide #probes { width: 2fr; }
    OverviewScreen Chart { padding: 0 1; }
    OverviewScreen.-tiny #services { height: 1fr; }
    OverviewScreen.-tiny #bottom { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        glyphs = self.glyphs
        services = LineTable(SERVICES, title="Services", empty="no service read yet", glyphs=glyphs, id="services")
        alerts = LineTable(ALERTS, title="Alerts", empty="no alerts read yet", glyphs=glyphs, id="alerts")
        probes = LineTable(PROBES, title="Probes", empty="no probes in the estate", glyphs=glyphs, id="probes")
        self.services = Feed[ServiceRow](services, self.store, self._service, lambda row: (row.source,))
        self.alerts = Feed[AlertRow](alerts, self.store, self._alert, lambda row: row.sources)
        self.probes = Feed[ProbeRow](probes, self.store, self._probe, lambda row: (row.source,))
        self.feeds = [self.services, self.alerts, self.probes]
        yield services
        yield Horizontal(alerts, probes, id="signals", classes="second")
        yield Horizontal(Detail(), Chart(glyphs, title="Errors", id="errors"), id="bottom")

    def paint(self, touched: Touched) -> None:
        view = self.store.view(OverviewView)
        assert view is not None
        keys = touched or {}
        whole = touched is None
        if whole or "services" in keys:
            self.services.show(self._ordered(view), None if whole else keys["services"])
            self.services.table.set_empty("the estate has no service; add one to its file")
        if whole or "alerts" in keys:
            self.alerts.show(view.alerts, None if whole else keys["alerts"])
        if whole or "probes" in keys:
            self.probes.show(view.probes, None if whole else keys["probes"])
        self._words(view)
        height = self.app.size.height
        self.set_height("#services", len(view.services) + 2, 4, max(5, height // 3))
        self.set_height("#signals", max(len(view.alerts), len(view.probes)) + 2, 4, 6 if height < 32 else 12)

    def _words(self, view: OverviewView) -> None:
        failing = sum(row.health is Health.FAIL for row in view.services.values())
        note = cell(view.advice, "bold") if view.advice else cell("all within their objectives" if not failing else "")
        if not view.services:
            note = cell("")
        self.services.table.set_title("Services", note)
        firing = "not proven" if view.alerts_firing is None else f"{view.alerts_firing} firing"
        quiet = f", {view.alerts_suppressed} suppressed" if view.alerts_suppressed else ""
        sign = state_text(view.alerts_health.value, self.glyphs, word=False)
        self.alerts.table.set_title("Alerts", joined(sign, f" {firing}{quiet}"))
        message = view.alerts_message or "no alerts"
        self.alerts.table.set_empty(message if view.alerts_health is Health.PASS else f"not proven: {message}")

    def _service(self, key: str, row: ServiceRow, age: Age) -> TableRow:
        rto = row.rto if row.rto is not None and row.rto.ended_mono is None else None
        message = with_age(age, row.message, self.store.wall)
        if row.fallback:
            message = joined(message, (f" (from {row.source})", WARN))
        return TableRow(
            key,
            (
                health_mark(row.health, self.glyphs, age),
                cell(row.name, "bold" if row.health is Health.FAIL else ""),
                unless_withheld(age, ratio(row.error_ratio, row.error_limit)),
                unless_withheld(age, latency(row.p99, row.p99_limit)),
                rto_left(rto, self.store, short=True) if rto is not None else cell(""),
                message,
                cell(row.releases, MUTED),
                sparkline(row.trend, TREND, self.glyphs, target=row.error_limit) if row.trend else cell(""),
                NOTHING if row.rate is None else unless_withheld(age, cell(rate(row.rate))),
            ),
        )

    def _alert(self, key: str, row: AlertRow, _age: Age) -> TableRow:
        since = cell(ago(max(0.0, self.store.wall - row.started_at)), MUTED)
        if row.suppressed is not None:
            name, summary = cell(row.name, MUTED), cell(f"{row.suppressed.text}: {row.summary}", MUTED)
            return TableRow(key, (cell(f"  {row.severity}", MUTED), name, since, summary))
        sign = state_text(row.health.value, self.glyphs, word=False)
        return TableRow(key, (joined(sign, f" {row.severity}"), cell(row.name, "bold"), since, cell(row.summary)))

    def _probe(self, key: str, row: ProbeRow, age: Age) -> TableRow:
        message = with_age(age, row.message, self.store.wall)
        return TableRow(key, (health_mark(row.health, self.glyphs, age), cell(row.name), message))

    def tick(self) -> None:
        super().tick()
        view = self.store.view(OverviewView)
        if view is not None and any(row.rto for row in view.services.values()):
            self.services.show(self._ordered(view), [k for k, row in view.services.items() if row.rto])
        if view is not None:
            self.alerts.show(view.alerts, list(view.alerts))

    def paint_detail(self) -> None:
        super().paint_detail()
        row = self.selected()
        if not isinstance(row, ServiceRow):
            row = self.row("services", self.services.table.cursor_key or "")
        if isinstance(row, ServiceRow):
            note = cell(f"target {percent(row.error_limit)}", MUTED)
            chart = self.query_one(Chart)
            chart.set_title(f"Errors of {row.name}", note)
            chart.draw(Drawing(row.trend, target=row.error_limit, label=percent))

    def detail_rows(self) -> list[Row]:
        row = self.selected()
        if isinstance(row, ServiceRow):
            return self._service_detail(row)
        if isinstance(row, AlertRow):
            return [
                cell(row.name, "bold"),
                fact("summary", row.summary or "none given"),
                fact("state", f"{row.severity}, {row.state} since {utc(row.started_at)}"),
                *([fact("suppressed", row.suppressed.text)] if row.suppressed is not None else []),
                sources_fact(self.store, row.sources),
            ]
        if isinstance(row, ProbeRow):
            return [
                cell(row.name, "bold"),
                fact("answer", row.message),
                fact("asked for", f"{row.service} in {row.site}"),
                sources_fact(self.store, (row.source,)),
            ]
        view = self.store.view(OverviewView)
        return [cell(view.alerts_message if view else "waiting for the engine", MUTED)]

    def _service_detail(self, row: ServiceRow) -> list[Row]:
        view = self.store.view(OverviewView)
        told: list[Row] = [joined((row.name, "bold"), (f"  tier {row.tier}  owners {row.owners or 'none'}", MUTED))]
        told.append(fact("verdict", row.message))
        told += self._clock_facts(row)
        if row.fallback:
            told.append(fact("read from", f"{row.source}, the fallback", WARN))
        if view is not None:
            told += cascade_rows(row, view, self.glyphs)
            if view.advice:
                told.append(fact("advice", view.advice))
        errors = "?" if row.error_ratio is None else percent(row.error_ratio)
        told.append(fact("errors", f"{errors} of at most {percent(row.error_limit)}"))
        if row.p99_limit is not None:
            slow = "?" if row.p99 is None else millis(row.p99)
            told.append(fact("p99", f"{slow} of at most {millis(row.p99_limit)}"))
        told.append(fact("load", "unknown" if row.rate is None else rate(row.rate)))
        told.append(fact("releases", row.releases or "unknown"))
        told.append(fact("promised", f"RTO {clock(row.rto_target)}, RPO {megabytes(row.rpo_target)}"))
        told.append(sources_fact(self.store, (row.source,)))
        return told

    def _clock_facts(self, row: ServiceRow) -> list[Row]:
        """The running objective, or how the last one ended."""
        if row.rto is None:
            return []
        if row.rto.ended_mono is None:
            return [fact("RTO", rto_line(row.rto, self.store))]
        spent = self.store.spent(row.rto.started_mono, row.rto.ended_mono)
        met = spent <= row.rto.target
        verdict = f"within its RTO of {clock(row.rto.target)}" if met else f"its RTO was {clock(row.rto.target)}"
        return [fact("RTO", f"recovered after {clock(spent)}, {verdict}", OK if met else FAIL)]

    @staticmethod
    def _ordered(view: OverviewView) -> dict[str, ServiceRow]:
        return dict(sorted(view.services.items(), key=lambda item: (item[1].order, item[0])))
