"""Screen 1: the services in the order to recover them, alerts and probes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.containers import Horizontal
from textual.widget import Widget

from console.tui.glyphs import MUTED, WARN
from console.tui.screens.base import Detail, MainScreen, Touched
from console.tui.screens.facts import Row, fact
from console.tui.screens.feed import Feed, age_mark, aged_words
from console.tui.screens.header import rto_forms
from console.tui.screens.words import NOTHING, health_mark, latency, ratio, sources_fact
from console.tui.text import cell, joined, state_text
from console.tui.widgets.panel import Panel
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.spark import Chart, sparkline
from console.tui.widgets.table import LineTable
from state.api import AlertRow, Health, OverviewView, ProbeRow, ServiceRow
from state.units import ago, clock, megabytes, percent, rate, utc

TREND = 14
SERVICES = (
    Column("state", "state", 9),
    Column("service", "service", 11, flex=1),
    Column("errors", "errors", 6, align="right"),
    Column("p99", "p99", 8, align="right"),
    Column("rto", "RTO left", 8, align="right"),
    Column("words", "why", 24, flex=4),
    Column("rate", "rate", 9, align="right"),
    Column("trend", "errors, last", TREND),
    Column("releases", "release", 14, flex=1),
)
ALERTS = (
    Column("state", "state", 9),
    Column("name", "alert", 12, flex=2),
    Column("since", "since", 6, align="right"),
)
PROBES = (Column("state", "state", 9), Column("name", "probe", 12, flex=2), Column("words", "answer", 8, flex=2))
SEVERITY = {"critical": Health.FAIL, "page": Health.FAIL, "warning": Health.WARN}


class Overview(MainScreen):
    """What fails, what to recover first and why, and how long is left."""

    name_, digit, title_, topic = "overview", "1", "Overview", "overview"
    narrow: ClassVar[Mapping[str, int]] = {"services": 6}
    DEFAULT_CSS = """
    Overview #services-panel { height: 1fr; }
    Overview #signals { height: 6; }
    Overview.-tall #signals { height: 9; }
    Overview #bottom { height: 7; }
    Overview.-tall #bottom { height: 11; }
    Overview #bottom Detail { height: 1fr; }
    Overview Chart { display: none; height: 1fr; width: 48; margin: 0 1; }
    Overview.-wide.-tall Chart { display: block; }
    Overview.-tiny #bottom { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        glyphs = self.glyphs
        services = LineTable(SERVICES, empty="no service read yet", glyphs=glyphs, id="services")
        alerts = LineTable(ALERTS, empty="no alerts read yet", glyphs=glyphs, id="alerts")
        probes = LineTable(PROBES, empty="no probes in the estate", glyphs=glyphs, id="probes")
        self.services = Feed[ServiceRow](services, self.store, self._service, lambda row: (row.source,))
        self.alerts = Feed[AlertRow](alerts, self.store, self._alert, lambda row: (row.source,))
        self.probes = Feed[ProbeRow](probes, self.store, self._probe, lambda row: (row.source,))
        self.feeds = [self.services, self.alerts, self.probes]
        yield Panel(services, title="Services", glyphs=glyphs, id="services-panel")
        yield Horizontal(
            Panel(alerts, title="Alerts", glyphs=glyphs, id="alerts-panel"),
            Panel(probes, title="Probes", glyphs=glyphs),
            id="signals",
            classes="second",
        )
        yield Horizontal(Detail(), Chart(glyphs), id="bottom")

    def paint(self, touched: Touched) -> None:
        view = self.store.overview
        assert view is not None
        keys = touched or {}
        whole = touched is None
        if whole or "services" in keys:
            self.services.show(self._ordered(view), None if whole else keys["services"])
            self.services.table.set_empty("the estate names no service; add one to its file")
        if whole or "alerts" in keys:
            self.alerts.show(view.alerts, None if whole else keys["alerts"])
        if whole or "probes" in keys:
            self.probes.show(view.probes, None if whole else keys["probes"])
        self._words(view)

    def _words(self, view: OverviewView) -> None:
        failing = sum(row.health is Health.FAIL for row in view.services.values())
        note = (
            cell(view.advice, "bold") if view.advice else cell("all within their objectives" if not failing else "")
        )
        if not view.services:
            note = cell("")
        self.query_one("#services-panel", Panel).set_title("Services", note)
        self.query_one("#alerts-panel", Panel).set_title(
            "Alerts", joined(state_text(view.alerts_health.value, self.glyphs, word=False), f" {len(view.alerts)}")
        )
        words = view.alerts_words or "no alerts"
        self.alerts.table.set_empty(words if view.alerts_health is Health.PASS else f"unproven: {words}")

    def _service(self, key: str, row: ServiceRow) -> TableRow:
        old = age_mark(self.store, (row.source,))
        left = cell("", MUTED)
        if row.rto is not None:
            left = rto_forms(row.rto, self.store)[-1][4:]
        words = aged_words(row.words, old)
        if row.fallback:
            words = joined(words, (f" (from {row.source})", WARN))
        gone = old.plain.startswith("no data")
        return TableRow(
            key,
            (
                health_mark(Health.UNKNOWN if gone else row.health, self.glyphs, old),
                cell(row.name, "bold" if row.health is Health.FAIL else ""),
                NOTHING if gone else ratio(row.error_ratio, row.error_limit),
                NOTHING if gone else latency(row.p99, row.p99_limit),
                left,
                words,
                NOTHING if gone or row.rate is None else cell(rate(row.rate)),
                sparkline(row.trend, TREND, self.glyphs, target=row.error_limit) if row.trend else cell(""),
                cell(row.releases, MUTED),
            ),
        )

    def _alert(self, key: str, row: AlertRow) -> TableRow:
        severity = SEVERITY.get(row.severity, Health.UNKNOWN)
        sign = state_text(severity.value, self.glyphs, word=False)
        since = ago(max(0.0, self.store.wall - row.started_at))
        return TableRow(key, (joined(sign, f" {row.severity}"), cell(row.name), cell(since, MUTED)))

    def _probe(self, key: str, row: ProbeRow) -> TableRow:
        old = age_mark(self.store, (row.source,))
        return TableRow(
            key,
            (
                health_mark(row.health, self.glyphs, old),
                cell(row.name),
                aged_words(row.words, old),
            ),
        )

    def tick(self) -> None:
        super().tick()
        view = self.store.overview
        if view is not None and any(row.rto for row in view.services.values()):
            self.services.show(self._ordered(view), [k for k, row in view.services.items() if row.rto])
        if view is not None:
            self.alerts.show(view.alerts, list(view.alerts))

    def paint_detail(self) -> None:
        row = self.selected()
        detail = self.query_one(Detail)
        if isinstance(row, ServiceRow):
            detail.show(self._service_detail(row))
            self.query_one(Chart).show_values(row.trend, target=row.error_limit, label=percent)
        elif isinstance(row, AlertRow):
            detail.show(
                [
                    cell(row.name, "bold"),
                    fact("summary", row.summary),
                    fact("state", f"{row.severity}, {row.state} since {utc(row.started_at)}"),
                    sources_fact(self.store, (row.source,)),
                ]
            )
        elif isinstance(row, ProbeRow):
            told: list[Row] = [
                cell(row.name, "bold"),
                fact("answer", row.words),
                fact("asked for", f"{row.service} in {row.site}"),
            ]
            detail.show([*told, sources_fact(self.store, (row.source,))])
        else:
            view = self.store.overview
            detail.show([cell(view.alerts_words if view else "waiting for the engine", MUTED)])

    def _service_detail(self, row: ServiceRow) -> list[Row]:
        view = self.store.overview
        told: list[Row] = [joined((row.name, "bold"), (f"  tier {row.tier}  owners {row.owners or 'none'}", MUTED))]
        told.append(fact("verdict", row.words))
        if view is not None and view.advice:
            told.append(fact("advice", view.advice))
        if row.fallback:
            told.append(fact("read from", f"{row.source}, the fallback", WARN))
        errors = "?" if row.error_ratio is None else percent(row.error_ratio)
        told.append(fact("errors", f"{errors} of at most {percent(row.error_limit)}"))
        told.append(fact("releases", row.releases or "unknown"))
        needs = ", ".join(row.depends_on) or "nothing"
        told.append(fact("needs", f"{needs}; unblocks {row.unblocks}"))
        told.append(fact("promised", f"RTO {clock(row.rto_target)}, RPO {megabytes(row.rpo_target)}"))
        told.append(sources_fact(self.store, (row.source,)))
        return told

    @staticmethod
    def _ordered(view: OverviewView) -> dict[str, ServiceRow]:
        return dict(sorted(view.services.items(), key=lambda item: (item[1].order, item[0])))
