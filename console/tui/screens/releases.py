"""Screen 5: which artifact every instance runs, and to which release a service can go back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from rich.text import Text
from textual.containers import Horizontal
from textual.widget import Widget

from console.release_text import HEALTHS, against, reason_line, schema_span, standing_text
from console.tui.glyphs import FAIL, MUTED, OK, UNKNOWN
from console.tui.mirror import Touched
from console.tui.parts.ages import age_text, health_mark, unless_withheld
from console.tui.parts.facts import Row, fact
from console.tui.parts.feed import Feed
from console.tui.parts.messages import severity, sources_fact
from console.tui.screens.base import Detail, MainScreen
from console.tui.store import Age
from console.tui.text import cell, joined, state_text
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.api.views.releases import InstanceRow, ReleaseRow, ReleaseServiceRow, ReleaseStanding, ReleasesView
from state.health import Health
from state.units import utc_date
from state.world.release_parts import short_digest

SERVICES = (
    Column("state", "state", 9),
    Column("service", "service", 12, grow=24),
    Column("running", "runs", 24, grow=44),
    Column("schema", "schema", 8, grow=16),
    Column("message", "why", 12, flex=1, cut="end", wish=30),
)
INSTANCES = (
    Column("state", "state", 9),
    Column("instance", "instance", 14, grow=30),
    Column("version", "release", 7, grow=14),
    Column("traffic", "traffic", 11, grow=22),
    Column("digest", "digest", 12),
    Column("schema", "schema", 9, grow=14),
    Column("message", "why", 8, flex=1, cut="end"),
    Column("colour", "colour", 8),
)
RELEASES = (
    Column("state", "way back", 16, grow=24),
    Column("version", "release", 8, grow=16),
    Column("digest", "digest", 12),
    Column("schema", "schema", 9, grow=14),
    Column("why", "why", 12, flex=1, cut="end", wish=40),
    Column("recorded", "recorded", 17, cut="end"),
)
FITS: Mapping[Health, str] = {Health.FAIL: FAIL, Health.UNKNOWN: UNKNOWN}


def _digits(digest: str) -> str:
    """The first digits of a digest, without its kind."""
    return short_digest(digest).partition(":")[2]


class ReleasesScreen(MainScreen):
    """Which artifact every instance runs by its own word, and to which release a service can go back, and why."""

    narrow: ClassVar[Mapping[str, int]] = {"services": 5, "instances": 6, "releases": 5}
    DEFAULT_CSS = """
    ReleasesScreen #services { height: 4; }
    ReleasesScreen #instances { height: 1fr; min-height: 4; }
    ReleasesScreen #releases { height: 5; }
    ReleasesScreen #bottom { height: 5; }
    ReleasesScreen.-tall #bottom { height: 9; }
    ReleasesScreen #bottom Detail { width: 1fr; height: 1fr; }
    ReleasesScreen.-huge #bottom { dock: right; width: 84; height: 100%; layout: vertical; }
    ReleasesScreen.-tiny #services { height: 1fr; }
    ReleasesScreen.-tiny #bottom, ReleasesScreen.-tiny #instances { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        glyphs = self.glyphs
        services = LineTable(SERVICES, title="Services", empty="no release read yet", glyphs=glyphs, id="services")
        instances = LineTable(
            INSTANCES, title="Instances", empty="no service is selected", glyphs=glyphs, id="instances"
        )
        releases = LineTable(RELEASES, title="Releases", empty="no service is selected", glyphs=glyphs, id="releases")
        self.services = Feed[ReleaseServiceRow](services, self.store, self._service, lambda row: row.sources)
        self.instances = Feed[InstanceRow](instances, self.store, self._instance, lambda row: row.sources[:1])
        self.releases = Feed[ReleaseRow](releases, self.store, self._release, lambda row: row.sources)
        self.feeds = [self.services, self.instances, self.releases]
        self._service_shown = ""
        yield services
        yield instances
        yield releases
        yield Horizontal(Detail(), id="bottom")

    def paint(self, touched: Touched) -> None:
        view = self.store.view(ReleasesView)
        assert view is not None
        keys = touched or {}
        whole = touched is None
        if whole or "services" in keys:
            rows = sorted(view.services.values(), key=lambda row: row.order)
            self.services.show({row.service: row for row in rows}, None if whole else keys["services"])
            self.services.table.set_empty(
                "no service has releases: the estate names no instance's page (docs/releases.md)"
            )
        height = self.app.size.height
        self.set_height("#services", len(view.services) + 2, 3, 5 if height < 32 else 10)
        self._paint_below(None if whole else keys)

    def _paint_below(self, keys: Mapping[str, frozenset[str]] | None) -> None:
        view = self.store.view(ReleasesView)
        if view is None:
            return
        name = self.services.table.cursor_key or ""
        keys = None if name != self._service_shown else keys
        self._service_shown = name
        mine = [row for row in view.instances.values() if row.service == name]
        mine.sort(key=lambda row: (not row.drift, not row.doubt, -row.share, row.key))  # what is wrong comes first
        instances = {row.key: row for row in mine}
        releases = {key: row for key, row in view.releases.items() if row.service == name}
        self.instances.show(instances, None if keys is None else keys.get("instances", frozenset()))
        self.releases.show(releases, None if keys is None else keys.get("releases", frozenset()))
        self.instances.table.set_title(f"Instances of {name}" if name else "Instances")
        none = "no service is selected"
        self.instances.table.set_empty("the service has no server and no instance that is asked" if name else none)
        service = view.services.get(name)
        note = cell(service.forward, MUTED) if service is not None and service.forward and releases else ""
        self.releases.table.set_title(f"Releases of {name}, the best way back first" if name else "Releases", note)
        self.releases.table.set_empty(f"none is recorded: recovery release record {name} …" if name else none)
        self.set_height("#releases", len(releases) + 2, 4, 6 if self.app.size.height < 32 else 12)

    def on_line_table_row_highlighted(self, message: LineTable.RowHighlighted) -> None:
        """Another service under the cursor: its instances and releases."""
        if message.table.id == "services" and self.ready:
            self._paint_below({})

    def reveal(self, table: str, key: str) -> None:
        """An instance and a release are shown under their service."""
        view = self.store.view(ReleasesView)
        row: InstanceRow | ReleaseRow | None = None
        if view is not None and table in ("instances", "releases"):
            row = view.instances.get(key) if table == "instances" else view.releases.get(key)
        if row is not None:
            super().reveal("services", row.service)
            self._paint_below(None)
        super().reveal(table, key)

    def _service(self, key: str, row: ReleaseServiceRow, age: Age) -> TableRow:
        message = cell(row.message, FAIL if row.drifts else "")
        old = () if age.fresh else (age_text(age, self.store.wall),)
        return TableRow(
            key,
            (
                health_mark(row.health, self.glyphs, age),
                cell(row.service),
                unless_withheld(age, cell(row.running)),
                unless_withheld(age, self._schema(row)),
                joined(*old, message, separator="; "),
            ),
            {"state": severity(row.health)},
        )

    @staticmethod
    def _schema(row: ReleaseServiceRow) -> Text:
        if not row.schema_read:
            return cell("not read", MUTED)
        return cell(row.schema or "unknown", "" if row.schema else UNKNOWN)

    def _instance(self, key: str, row: InstanceRow, age: Age) -> TableRow:
        drift = FAIL if row.drift else ""
        old = () if age.fresh else (age_text(age, self.store.wall),)
        span = schema_span(row.schema_min, row.schema_max)
        return TableRow(
            key,
            (
                health_mark(row.health, self.glyphs, age),
                cell(row.instance, "bold" if row.share else ""),
                unless_withheld(age, cell(row.version or "unknown", drift)),
                unless_withheld(age, cell(row.state, "" if row.share else MUTED)),
                unless_withheld(age, cell(_digits(row.digest) or "unknown", drift if row.digest else UNKNOWN)),
                cell(span, FITS.get(row.fits, "") if span else MUTED),
                joined(*old, cell(row.drift or row.doubt, drift), separator="; "),
                cell(row.colour, MUTED),
            ),
            {"state": severity(row.health), "traffic": row.share},
        )

    def _release(self, key: str, row: ReleaseRow, age: Age) -> TableRow:
        health = Health.UNKNOWN if age.withheld else HEALTHS[row.standing]
        offered = row.standing is ReleaseStanding.OFFERED
        mark = state_text(health.value, self.glyphs, word=False)
        quiet = "" if row.place else MUTED
        return TableRow(
            key,
            (
                joined(mark, cell(f" {standing_text(row)}", OK if offered else quiet)),
                cell(row.version, "bold" if offered else quiet),
                cell(_digits(row.digest), quiet),
                cell(schema_span(row.schema_min, row.schema_max), FITS.get(row.fits, quiet)),
                cell(against(row) if row.place else "", "" if offered else quiet),
                cell(utc_date(row.recorded_at), MUTED),
            ),
            {"state": row.place or 1000, "recorded": row.recorded_at},
        )

    def detail_rows(self) -> list[Row]:
        row = self.selected()
        if isinstance(row, ReleaseServiceRow):
            return self._service_detail(row)
        if isinstance(row, InstanceRow):
            began = utc_date(row.started_at) if row.started_at is not None else "not told"
            return [
                joined((row.instance, "bold"), (f"  {row.service}, {row.site}, server {row.server}", MUTED)),
                *([fact("drift", row.drift, FAIL)] if row.drift else []),
                fact("runs", f"{row.version} {row.digest}" if row.digest else f"unknown: {row.doubt}"),
                fact("process", f"began {began}"),
                fact("traffic", row.state),
                sources_fact(self.store, row.sources),
            ]
        if isinstance(row, ReleaseRow):
            facts = {"commit": row.commit, "change": row.change, "until": row.reversible_until}
            return [
                joined((f"{row.service} {row.version}", "bold"), (f"  {row.digest}", MUTED)),
                *(fact(r.kind.value, reason_line(r), FITS.get(r.health, "")) for r in row.reasons),
                fact("recorded", f"{utc_date(row.recorded_at)} by {row.actor}"),
                *(fact(name, value) for name, value in facts.items() if value),
            ]
        return [cell("select a service, an instance or a release", MUTED)]

    def _service_detail(self, row: ReleaseServiceRow) -> list[Row]:
        view = self.store.view(ReleasesView)
        offered = view.releases.get(f"{row.service}/{row.offered}") if view is not None and row.offered else None
        back = f"{offered.version}: {against(offered)}" if offered is not None else f"none. {row.forward}"
        return [
            joined((row.service, "bold"), (f"  runs {row.running}", MUTED)),
            fact("way back", back, OK if offered is not None else ""),
            *(fact("drift", each, FAIL) for each in row.drifts),
            fact(
                "schema",
                row.schema or f"unknown: {row.schema_why}",
                UNKNOWN if row.schema_read and not row.schema else "",
            ),
            sources_fact(self.store, row.sources),
        ]
