"""Screen 1: services and databases in the order to recover them, alerts, open runs and probes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from rich.text import Text
from textual.containers import Horizontal
from textual.widget import Widget

from console.tui.glyphs import FAIL, KEY, MUTED, OK, WARN
from console.tui.mirror import Touched
from console.tui.parts.ages import NOTHING, health_mark, judged_mark, unless_withheld, with_age
from console.tui.parts.cascade import cascade_rows
from console.tui.parts.facts import Row, fact
from console.tui.parts.feed import Feed
from console.tui.parts.header import rto_left, rto_line
from console.tui.parts.headline import alerts_are_old, headline
from console.tui.parts.history import hour_of
from console.tui.parts.messages import latency, ratio, severity, shown_severity, sources_fact
from console.tui.parts.sentence import says_more, step_text
from console.tui.screens.base import WIDE, Detail, MainScreen
from console.tui.store import Age, LinkState
from console.tui.text import cell, joined, state_text
from console.tui.widgets.chart import Chart, Drawing
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.spark import sparkline
from console.tui.widgets.table import LineTable
from state.api.views.causes import SubjectKind
from state.api.views.header import HeaderView
from state.api.views.overview import AlertRow, OpenRunRow, OverviewView, ProbeRow, RecoverRow, ServiceRow
from state.health import Health
from state.units import ago, clock, least, megabytes, millis, percent, rate, utc_since

TITLE = "Recover in this order"
TREND = 12
SUPPRESSED = 9.0
"""Where a suppressed alert stands by severity: below every other one."""
RECOVER = (
    Column("state", "state", 9),
    Column("name", "what", 12, grow=26),
    Column("since", "since", 6, align="right"),
    Column("rto", "RTO left", 8, align="right"),
    Column("why", "why", 20, flex=1, cut="end", wish=24),
    Column("key", "key", 3, cut="end", wish=30, grow=24),
    Column("errors", "errors", 6, align="right"),
    Column("p99", "p99", 8, align="right"),
    Column("releases", "release", 14, grow=30),
    Column("trend", "errors│limit", TREND),
    Column("rate", "rate", 8, align="right"),
)
ALERTS = (
    Column("state", "severity", 10),
    Column("name", "alert", 12, grow=28),
    Column("since", "since", 6, align="right"),
    Column("summary", "summary", 10, flex=1, cut="end"),
)
RUNS = (
    Column("state", "state", 10),
    Column("name", "run", 5, grow=7),
    Column("title", "what", 10, flex=1, cut="end"),
)
PROBES = (
    Column("state", "state", 9),
    Column("name", "probe", 11, grow=24),
    Column("message", "answer", 10, flex=1, cut="end"),
)


class OverviewScreen(MainScreen):
    """What is broken and since when, what it waits for, how long is left, and the key that leads out."""

    narrow: ClassVar[Mapping[str, int]] = {"recover": 6}
    DEFAULT_CSS = """
    OverviewScreen #recover { height: 6; }
    OverviewScreen #signals { height: 5; }
    OverviewScreen #probes { display: none; }
    OverviewScreen #bottom { height: 1fr; min-height: 4; }
    OverviewScreen #bottom Detail { height: 1fr; width: 1fr; }
    OverviewScreen #errors { display: none; height: 1fr; width: 1fr; }
    OverviewScreen.-wide #errors { display: block; }
    OverviewScreen.-wide #probes { display: block; }
    OverviewScreen.-wide #alerts { width: 3fr; }
    OverviewScreen.-wide #runs { width: 2fr; }
    OverviewScreen.-wide #probes { width: 2fr; }
    OverviewScreen Chart { padding: 0 1; }
    OverviewScreen.-tiny #recover { height: 1fr; }
    OverviewScreen.-tiny #bottom { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        glyphs = self.glyphs
        recover = LineTable(
            RECOVER, title="Recover in this order", empty="nothing read yet", glyphs=glyphs, id="recover"
        )
        alerts = LineTable(ALERTS, title="Alerts", empty="no alerts read yet", glyphs=glyphs, id="alerts")
        runs = LineTable(RUNS, title="Runs", empty="no run is open; s on Runbooks starts one", glyphs=glyphs, id="runs")
        probes = LineTable(PROBES, title="Probes", empty="no probes in the estate", glyphs=glyphs, id="probes")
        self.recover = Feed[RecoverRow](recover, self.store, self._recover, lambda row: row.sources)
        self.alerts = Feed[AlertRow](alerts, self.store, self._alert, lambda row: row.sources)
        self.runs = Feed[OpenRunRow](runs, self.store, self._run)
        self.probes = Feed[ProbeRow](probes, self.store, self._probe, lambda row: (row.source,))
        self.feeds = [self.recover, self.alerts, self.runs, self.probes]
        yield recover
        yield Horizontal(alerts, runs, probes, id="signals", classes="second")
        yield Horizontal(Detail(), Chart(glyphs, title="Errors", id="errors"), id="bottom")

    def paint(self, touched: Touched) -> None:
        view = self.store.view(OverviewView)
        assert view is not None
        keys = touched or {}
        whole = touched is None
        if whole or "recover" in keys or "services" in keys:
            changed = set(keys.get("recover", ())) | {f"service/{name}" for name in keys.get("services", ())}
            self.recover.show(self._ordered(view), None if whole else changed)
            self.recover.table.set_empty("the estate has no service and no database; add one to its file")
            self._suggest(view)
        if whole or "alerts" in keys:
            self.alerts.show(view.alerts, None if whole else keys["alerts"])
        if whole or "probes" in keys:
            self.probes.show(view.probes, None if whole else keys["probes"])
        if whole or "runs" in keys:
            self.runs.show(view.runs, None if whole else keys["runs"])
        self._words(view)
        height = self.app.size.height
        self.set_height("#recover", len(view.recover) + 2, 4, max(6, height * 2 // 5))
        rows = max(len(view.alerts), len(view.probes) if self.has_class("-wide") else 0, len(view.runs))
        self.set_height("#signals", rows + 2, 4, 6 if height < 32 else 12)

    def _suggest(self, view: OverviewView) -> None:
        """Until a person chose a row the cursor is on what the sentence is about, else on the first to recover."""
        header, rows = self.store.view(HeaderView), self._ordered(view)
        worst = header.causes[0].name if header is not None and header.causes else ""
        key = next((key for key, row in rows.items() if row.name == worst), next(iter(rows), None))
        if key is not None:
            self.recover.table.suggest(key)

    def _words(self, view: OverviewView) -> None:
        """The titles: how everything is, and how many alerts fire with what proves it."""
        lost = self.store.link.state is LinkState.LOST
        self.recover.table.set_title(TITLE, joined(headline(self.store, view)))
        old = view.alerts_health is Health.PASS and alerts_are_old(self.store)
        health = Health.UNKNOWN if lost or old else view.alerts_health
        count = "not known" if lost or old else self._alerts_note(view)
        message = view.alerts_message or "no alerts"
        if health is None:
            self.alerts.table.set_title("Alerts", joined("no source"))
            self.alerts.table.set_empty(message)
            return
        sign = state_text(health.value, self.glyphs, word=False)
        self.alerts.table.set_title("Alerts", joined(sign, f" {count}"))
        self.alerts.table.set_empty(message if health is Health.PASS else f"not proven: {message}")

    @staticmethod
    def _alerts_note(view: OverviewView) -> str:
        """`3 firing, 2 suppressed`; that none fires is said only where it is proven."""
        firing = "not proven" if view.alerts_firing is None else f"{view.alerts_firing} firing"
        return firing + (f", {view.alerts_suppressed} suppressed" if view.alerts_suppressed else "")

    def _recover(self, key: str, row: RecoverRow, age: Age) -> TableRow:
        view = self.store.view(OverviewView)
        service = view.services.get(row.name) if view is not None and row.kind is SubjectKind.SERVICE else None
        bad = row.health is not Health.PASS
        since = clock(self.store.spent(row.since_mono)) if bad and row.since_mono is not None else ""
        mark, message = judged_mark(row.health, self.glyphs, age), cell(row.message)
        newest = min((self.store.age(source) for source in row.sources), key=lambda each: each.burden, default=age)
        if age.lost or newest.withheld:
            mark, message = health_mark(row.health, self.glyphs, newest), with_age(newest, message, self.store.wall)
        elif row.kind is SubjectKind.SERVICE:  # what is bad says by itself what is missing
            message = with_age(newest if bad else age, message, self.store.wall)
        step = cell("")
        if row.next is not None and bad and not age.lost:
            step = cell(row.next.key if self.app.size.width < WIDE else f"{row.next.key} {row.next.title}", KEY)
        return TableRow(
            key,
            (
                mark,
                cell(" " * row.depth + row.name, "bold" if row.health is Health.FAIL else ""),
                cell("" if age.lost else since),
                rto_left(row.rto, self.store, short=True) if row.rto is not None and not age.lost else cell(""),
                message,
                step,
                *(self._figures(service, self.store.age(service.source)) if service is not None else ()),
            ),
            self._order(row, service, age),
        )

    def _order(self, row: RecoverRow, service: ServiceRow | None, age: Age) -> dict[str, float | str | None]:
        """What the columns are sorted by: severity, instants and figures."""
        bad = row.health is not Health.PASS and row.since_mono is not None
        figures = (None,) * 3 if service is None else (service.error_ratio, service.p99, service.rate)
        return {
            "state": shown_severity(row.health, age),
            "since": self.store.spent(row.since_mono) if bad and row.since_mono is not None else None,
            "rto": None if row.rto is None else row.rto.target - self.store.spent(row.rto.started_mono),
            "errors": figures[0],
            "p99": figures[1],
            "trend": figures[0],
            "rate": figures[2],
        }

    def _figures(self, row: ServiceRow, age: Age) -> tuple[Text, ...]:
        """What a wide terminal shows of a service besides its verdict."""
        return (
            unless_withheld(age, ratio(row.error_ratio, row.error_limit)),
            unless_withheld(age, latency(row.p99, row.p99_limit, beyond=row.p99_beyond)),
            cell(row.releases, MUTED),
            sparkline(row.trend, TREND, self.glyphs, target=row.error_limit) if row.trend else cell(""),
            NOTHING if row.rate is None else unless_withheld(age, cell(rate(row.rate))),
        )

    def _run(self, key: str, row: OpenRunRow, _age: Age) -> TableRow:
        told = cell(f"{row.title}: {row.message}")
        return TableRow(key, (state_text(row.state.value, self.glyphs), cell(row.id), told))

    def _alert(self, key: str, row: AlertRow, _age: Age) -> TableRow:
        known = row.started_at > 0
        since = cell(ago(max(0.0, self.store.wall - row.started_at)) if known else "?", MUTED)
        least = row.suppressed is not None
        order = {"state": SUPPRESSED if least else severity(row.health), "since": -row.started_at if known else None}
        if row.suppressed is not None:
            name, summary = cell(row.name, MUTED), cell(f"{row.suppressed.text}: {row.summary}", MUTED)
            return TableRow(key, (cell(f"  {row.severity}", MUTED), name, since, summary), order)
        sign = state_text(row.health.value, self.glyphs, word=False)
        shown = (joined(sign, f" {row.severity}"), cell(row.name, "bold"), since, cell(row.summary))
        return TableRow(key, shown, order)

    def _probe(self, key: str, row: ProbeRow, age: Age) -> TableRow:
        message = with_age(age, row.message, self.store.wall)
        shown = (health_mark(row.health, self.glyphs, age), cell(row.name), message)
        return TableRow(key, shown, {"state": shown_severity(row.health, age)})

    def tick(self) -> None:
        super().tick()
        view = self.store.view(OverviewView)
        if view is not None:
            running = [k for k, row in view.recover.items() if row.since_mono is not None or row.rto is not None]
            self.recover.show(self._ordered(view), running)
            self.alerts.show(view.alerts, list(view.alerts))
            self._words(view)

    def reveal(self, table: str, key: str) -> None:
        """A service is a row of the recovery order."""
        if table == "services":
            super().reveal("recover", f"service/{key}")
        else:
            super().reveal(table, key)

    def paint_detail(self) -> None:
        super().paint_detail()
        if self.app.size.width < WIDE:
            return  # there is no chart, and what it would draw need not be decoded
        row = self.selected()
        if not isinstance(row, RecoverRow):
            row = self.row("recover", self.recover.table.cursor_key or "")
        view = self.store.view(OverviewView)
        service = self._charted(row, view) if view is not None and isinstance(row, RecoverRow) else None
        chart = self.query_one(Chart)
        if self.lost_rows():
            chart.draw(Drawing())
        elif service is not None:
            note = cell(f"target {percent(service.error_limit)}", MUTED)
            chart.set_title(f"Errors of {service.name}", note)
            hour = hour_of(self.store, service.name, "errors", target=service.error_limit, label=percent)
            chart.draw(hour or Drawing(service.trend, target=service.error_limit, label=percent))
        elif isinstance(row, RecoverRow):
            chart.set_title(f"Errors: no service waits for {row.name}")
            chart.draw(Drawing())

    @staticmethod
    def _charted(row: RecoverRow, view: OverviewView) -> ServiceRow | None:
        """The service whose errors are drawn: the row's own, of a database the first one that waits for it or needs
        it."""
        if row.kind is SubjectKind.SERVICE:
            return view.services.get(row.name)
        waiting = [each.name for each in view.recover.values() if each.waits_for == row.name]
        waiting += [each.name for each in view.services.values() if row.name in each.depends_on]
        return view.services.get(waiting[0]) if waiting else None

    def detail_rows(self) -> list[Row]:
        row, view = self.selected(), self.store.view(OverviewView)
        if isinstance(row, RecoverRow):
            return self._recover_detail(row)
        if isinstance(row, OpenRunRow):
            return [
                joined((row.id, "bold"), f" {row.title}"),
                fact("state", row.state.value),
                fact("says", row.message),
            ]
        if isinstance(row, AlertRow):
            return [
                cell(row.name, "bold"),
                fact("summary", row.summary or "none given"),
                fact("state", f"{row.severity}, {row.state} since {utc_since(row.started_at, self.store.wall)}"),
                *([fact("suppressed", row.suppressed.text)] if row.suppressed is not None else []),
                *([fact("copies", "; ".join(row.copies))] if row.copies else []),
                sources_fact(self.store, row.sources),
            ]
        if isinstance(row, ProbeRow):
            return [
                cell(row.name, "bold"),
                fact("answer", row.message),
                fact("asked for", f"{row.service} in {row.site}"),
                sources_fact(self.store, (row.source,)),
            ]
        return [cell(view.alerts_message if view else "waiting for the engine", MUTED)]

    def _recover_detail(self, row: RecoverRow) -> list[Row]:
        """The verdict and the way out first, then what the row is made of."""
        view, header = self.store.view(OverviewView), self.store.view(HeaderView)
        told: list[Row] = [joined(state_text(row.health.value, self.glyphs), (f" {row.name}", "bold"))]
        told.append(fact("why", row.message))
        mine = [c for c in header.causes if c.name == row.name] if header is not None else []
        for cause in mine:
            if cause.forecast is not None:
                told.append(fact("by itself", cause.forecast.text(self.store.beaten)))
        if row.waits_for:
            told.append(fact("waits for", f"{row.waits_for}, the row above: recover that first"))
        if row.next is not None and row.health is not Health.PASS:
            told.append(fact("next", step_text(row.next)))
        if row.runs:
            told.append(fact("runs", joined(", ".join(row.runs), "  ", ("d", KEY), " opens")))
        service = view.services.get(row.name) if view is not None and row.kind is SubjectKind.SERVICE else None
        if service is not None:
            told += self._service_detail(service)
        else:
            told += [fact("detail", cause.detail) for cause in mine if says_more(cause)]
            told.append(sources_fact(self.store, row.sources))
        return told

    def _service_detail(self, row: ServiceRow) -> list[Row]:
        view = self.store.view(OverviewView)
        told: list[Row] = self._clock_facts(row)
        told.append(fact("tier", f"{row.tier}, owners {row.owners or 'none'}"))
        if row.fallback:
            told.append(fact("read from", f"{row.source}, the fallback", WARN))
        if view is not None:
            told += cascade_rows(row, view, self.glyphs)
        errors = "?" if row.error_ratio is None else percent(row.error_ratio)
        told.append(fact("errors", f"{errors} of at most {percent(row.error_limit)}"))
        if row.p99_limit is not None:
            slow = "?" if row.p99 is None else least(millis(row.p99), beyond=row.p99_beyond)
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
    def _ordered(view: OverviewView) -> dict[str, RecoverRow]:
        return dict(sorted(view.recover.items(), key=lambda item: (item[1].order, item[0])))
