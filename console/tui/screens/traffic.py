"""Screen 4: backends and their servers on every balancer, and what DNS answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.containers import Horizontal
from textual.widget import Widget

from console.tui.glyphs import FAIL, MUTED, UNKNOWN, WARN
from console.tui.mirror import Touched
from console.tui.parts.ages import NOTHING, age_text, health_mark, unless_withheld, with_age
from console.tui.parts.facts import Row, fact
from console.tui.parts.feed import Feed
from console.tui.parts.messages import severity, sources_fact
from console.tui.screens.base import Detail, MainScreen
from console.tui.store import Age
from console.tui.text import cell, joined, state_text
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.spark import sparkline
from console.tui.widgets.table import LineTable
from state.api.views.traffic import BackendRow, DnsRow, ServerRow, TrafficView
from state.health import Health
from state.units import ago, percent, rate

TREND = 12
KEPT = {Health.WARN: WARN, Health.UNKNOWN: UNKNOWN}
"""How it looks what a reload makes of what is set."""
BACKENDS = (
    Column("state", "state", 9),
    Column("backend", "backend", 18, grow=32),
    Column("serving", "serve", 5, align="right", grow=9),
    Column("floor", "floor", 5, align="right"),
    Column("active", "active", 13, grow=24, cut="end"),
    Column("message", "why", 12, flex=1, cut="end", wish=24),
    Column("sessions", "sess", 5, align="right"),
)
SERVERS = (
    Column("state", "state", 9),
    Column("server", "server", 10, grow=24),
    Column("release", "release", 7, grow=14),
    Column("weight", "wght", 4, align="right"),
    Column("share", "share", 6, align="right"),
    Column("sessions", "sess", 5, align="right"),
    Column("errors", "errors", 7, align="right"),
    Column("age", "age", 6, grow=23),
    Column("rate", "rate", 8, align="right"),
    Column("trend", "rate, last", TREND),
    Column("check", "check", 12, flex=1, cut="end"),
)
DNS = (
    Column("state", "state", 9),
    Column("name", "record", 10, grow=30),
    Column("answers", "answers", 12, grow=40),
    Column("server", "server", 9, flex=1),
)


class TrafficScreen(MainScreen):
    """Which server takes which share of the traffic, on every balancer, and what DNS says."""

    narrow: ClassVar[Mapping[str, int]] = {"backends": 6, "servers": 9, "dns": 3}
    DEFAULT_CSS = """
    TrafficScreen #backends { height: 6; }
    TrafficScreen #servers { height: 1fr; min-height: 4; }
    TrafficScreen #bottom { height: 8; layout: vertical; }
    TrafficScreen.-tall #bottom { height: 11; }
    TrafficScreen #dns { width: 1fr; height: 4; }
    TrafficScreen #bottom Detail { width: 1fr; height: 1fr; }
    TrafficScreen.-wide #bottom { layout: horizontal; }
    TrafficScreen.-wide #dns { width: 3fr; height: 1fr; }
    TrafficScreen.-wide #bottom Detail { width: 2fr; }
    TrafficScreen.-huge #bottom { dock: right; width: 84; height: 100%; layout: vertical; }
    TrafficScreen.-huge #dns, TrafficScreen.-huge #bottom Detail { width: 1fr; }
    TrafficScreen.-tiny #backends { height: 1fr; }
    TrafficScreen.-tiny #bottom, TrafficScreen.-tiny #servers { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        glyphs = self.glyphs
        backends = LineTable(BACKENDS, title="Backends", empty="no backend read yet", glyphs=glyphs, id="backends")
        servers = LineTable(SERVERS, title="Servers", empty="no backend is selected", glyphs=glyphs, id="servers")
        dns = LineTable(DNS, title="DNS", empty="no DNS record read yet", glyphs=glyphs, id="dns")
        self.backends = Feed[BackendRow](backends, self.store, self._backend, lambda row: (row.source,))
        self.servers = Feed[ServerRow](servers, self.store, self._server, lambda row: (row.source,))
        self.dns = Feed[DnsRow](dns, self.store, self._record, lambda row: (row.source,))
        self.feeds = [self.backends, self.servers, self.dns]
        self._backend_shown = ""
        yield backends
        yield servers
        yield Horizontal(dns, Detail(), id="bottom")

    def paint(self, touched: Touched) -> None:
        view = self.store.view(TrafficView)
        assert view is not None
        keys = touched or {}
        whole = touched is None
        if whole or "backends" in keys:
            self.backends.show(dict(sorted(view.backends.items())), None if whole else keys["backends"])
            self.backends.table.set_empty("the estate names no balancer; add one to its file")
        height = self.app.size.height
        self.set_height("#backends", len(view.backends) + 2, 4, 6 if height < 32 else 12)
        if whole or "dns" in keys:
            self.dns.show(view.dns, None if whole else keys["dns"])
            self.dns.table.set_empty("the estate names no DNS record")
        self._paint_servers(None if whole else keys.get("servers", frozenset()))

    def _paint_servers(self, touched: frozenset[str] | None) -> None:
        view = self.store.view(TrafficView)
        if view is None:
            return
        backend = view.backends.get(self.backends.table.cursor_key or "")
        name = backend.key if backend is not None else ""
        mine = {
            key: row
            for key, row in sorted(view.servers.items())
            if backend is not None and (row.balancer, row.backend) == (backend.balancer, backend.backend)
        }
        self.servers.show(mine, None if name != self._backend_shown else touched)
        self._backend_shown = name
        self.servers.table.set_empty("this backend has no server" if backend else "no backend is selected")
        self.servers.table.set_title(f"Servers of {name}" if name else "Servers")

    def on_line_table_row_highlighted(self, message: LineTable.RowHighlighted) -> None:
        """Another backend under the cursor: its servers."""
        if message.table.id == "backends" and self.ready:
            self._paint_servers(frozenset())

    def reveal(self, table: str, key: str) -> None:
        """A server is shown under its backend."""
        view = self.store.view(TrafficView)
        server = view.servers.get(key) if view is not None and table == "servers" else None
        if server is not None:
            super().reveal("backends", f"{server.balancer}/{server.backend}")
            self._paint_servers(None)
        super().reveal(table, key)

    def _backend(self, key: str, row: BackendRow, age: Age) -> TableRow:
        short = row.serving < row.floor
        message = [cell(row.message)]
        if row.drift:
            message.insert(0, cell(f"drift: {row.drift}", WARN))
        if not age.fresh:
            message.insert(0, age_text(age, self.store.wall))
        return TableRow(
            key,
            (
                health_mark(row.health, self.glyphs, age),
                cell(f"{row.balancer}/{row.backend}"),
                unless_withheld(age, cell(f"{row.serving}/{row.total}", FAIL if short else "")),
                cell(str(row.floor), MUTED),
                cell(row.active),
                joined(*message, separator="; "),
                unless_withheld(age, cell(str(row.sessions))),
            ),
            {"state": severity(row.health), "serving": row.serving, "floor": row.floor, "sessions": row.sessions},
        )

    def _server(self, key: str, row: ServerRow, age: Age) -> TableRow:
        old = age_text(age, self.store.wall)
        if age.withheld:
            blank = (NOTHING,) * 4
            return TableRow(key, (state_text("unknown", self.glyphs), cell(row.server), cell(row.release), *blank, old))
        stale = not age.fresh and row.health is Health.PASS
        sign = state_text("stale" if stale else row.health.value, self.glyphs, word=False)
        idle = MUTED if not row.share else ""
        return TableRow(
            key,
            (
                joined(sign, f" {row.state.upper()}"),
                cell(row.server, "bold" if row.share else ""),
                cell(row.release, MUTED),
                cell(str(row.weight), idle),
                cell(percent(row.share), idle),
                cell(str(row.sessions), idle),
                cell(rate(row.error_rate), FAIL if row.error_rate else idle),
                old,
                cell(rate(row.rate), idle),
                sparkline(row.trend, TREND, self.glyphs) if row.trend else cell(""),
                cell(row.check),
            ),
            {
                "state": severity(row.health),
                "weight": row.weight,
                "share": row.share,
                "sessions": row.sessions,
                "errors": row.error_rate,
                "age": age.seconds,
                "rate": row.rate,
                "trend": row.rate,
            },
        )

    def _record(self, key: str, row: DnsRow, age: Age) -> TableRow:
        answers = with_age(age, row.answers or "no answer", self.store.wall, separator=" ")
        return TableRow(
            key, (health_mark(row.health, self.glyphs, age), cell(row.name), answers, cell(row.server, MUTED))
        )

    def detail_rows(self) -> list[Row]:
        row = self.selected()
        if isinstance(row, ServerRow):
            return [
                joined((row.server, "bold"), (f"  {row.balancer}/{row.backend}, {row.site}", MUTED)),
                fact("state", f"{row.state}, weight {row.weight}, {percent(row.share)} of the traffic"),
                fact("release", row.release or "unknown"),
                fact("check", row.check or "none"),
                fact("load", f"{row.sessions} sessions, {row.queued} queued, {rate(row.rate)}"),
                fact("errors", rate(row.error_rate), FAIL if row.error_rate else ""),
                sources_fact(self.store, (row.source,)),
            ]
        if isinstance(row, BackendRow):
            return [
                joined((f"{row.balancer}/{row.backend}", "bold"), (f"  {row.site}, {row.service}", MUTED)),
                *([fact("drift", row.drift, WARN)] if row.drift else []),
                fact("verdict", row.message),
                fact("floor", f"{row.serving} of {row.total} serve; at least {row.floor} must"),
                fact("active", row.active or "no server takes traffic"),
                *([] if row.drift else [fact("drift", "none: what effects set here still stands")]),
                *([fact("reload", row.keeping, KEPT.get(row.kept, ""))] if row.keeping else []),
                sources_fact(self.store, (row.source,)),
            ]
        if isinstance(row, DnsRow):
            word = "kept for" if row.resolver else "TTL"
            ttl = "TTL unknown" if row.ttl is None else f"{word} {ago(row.ttl)}"
            return [
                joined((row.name, "bold"), (f"  asked at {row.server}, {ttl}", MUTED)),
                fact("verdict", row.message),
                *([fact("change", row.moved)] if row.moved else []),
                fact("answers", row.answers or "none", "" if row.answers else UNKNOWN),
                fact("expected", row.expected),
                *([joined("  ", sparkline(row.curve, TREND, self.glyphs))] if row.curve else []),
                sources_fact(self.store, (row.source,)),
            ]
        return [cell("select a backend, a server or a record", MUTED)]
