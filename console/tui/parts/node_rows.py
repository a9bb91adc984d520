"""Rows of database nodes: in a list, and in the tree of the streams between them."""

from __future__ import annotations

from rich.text import Text

from console.cluster_text import LEADS, candidate_of, edge_words, may_lead
from console.tui.glyphs import FAIL, MUTED, OK, UNKNOWN, Glyphs
from console.tui.parts.ages import NOTHING, age_text, health_mark, since, unless_withheld
from console.tui.parts.cluster_lines import lead_text
from console.tui.parts.messages import NO_MEANING, severity
from console.tui.store import Age
from console.tui.text import cell, joined
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.spark import sparkline
from state.api.views.replication import ClusterRow, NodeRow
from state.health import Health
from state.units import megabytes

TREND = 10
IN_LIST = (
    Column("state", "state", 9),
    Column("node", "node", 6, grow=16),
    Column("role", "role", 8),
    Column("timeline", "TL", 2, align="right", grow=4),
    Column("lag", "behind", 8, align="right", grow=10),
    Column("seconds", "lag", 6, align="right", grow=9),
    Column("sync", "sync", 5, grow=9),
    Column("age", "age", 15),
    Column("site", "site", 4, grow=8),
    Column("lsn", "position", 9, grow=17),
    Column("unapplied", "unapplied", 9, align="right"),
    Column("trend", "behind", 10),
    Column("message", "why", 12, flex=1, cut="end"),
)
NARROW_LIST = IN_LIST[:8]
IN_TREE = (
    Column("state", "state", 9),
    Column("node", "node", 10, grow=28),
    Column("site", "site", 4, grow=8),
    Column("role", "role", 8),
    Column("timeline", "TL", 2, align="right", grow=4),
    Column("lag", "behind", 8, align="right", grow=10),
    Column("seconds", "lag", 6, align="right", grow=9),
    Column("edge", "stream", 9, grow=20),
    Column("lead", "may lead, why", 13, flex=1, cut="end"),
)


class NodeCells:
    """What one node shows in any arrangement."""

    def __init__(self, row: NodeRow, age: Age, wall: float, glyphs: Glyphs) -> None:
        self.row, self.age, self.wall, self.glyphs = row, age, wall, glyphs
        self.leads = row.role in LEADS

    @property
    def mark(self) -> Text:
        return health_mark(self.row.health, self.glyphs, self.age)

    @property
    def role(self) -> Text:
        style = FAIL if self.row.role == "CONFLICT" else OK if self.leads else ""
        return cell(self.row.role or "?", style)

    @property
    def timeline(self) -> Text:
        known = self.row.timeline
        return NOTHING if known is None else unless_withheld(self.age, cell(str(known)))

    def figure(self, value: float | None, shown: str, style: str = "") -> Text:
        """Unknown is `?`; `-` where a primary has no such value."""
        if self.leads and not value:
            return NO_MEANING
        return NOTHING if value is None else unless_withheld(self.age, cell(shown, style))

    @property
    def behind(self) -> Text:
        over = FAIL if self.row.health is Health.FAIL and not self.leads else ""
        if self.age.withheld:
            return cell("no data", UNKNOWN)
        return self.figure(self.row.lag_bytes, megabytes(self.row.lag_bytes or 0), over)

    @property
    def seconds(self) -> Text:
        return self.figure(self.row.lag_seconds, f"{self.row.lag_seconds or 0.0:.1f} s")

    @property
    def order(self) -> dict[str, float | str | None]:
        """What the columns are sorted by."""
        row = self.row
        return {
            "state": severity(row.health),
            "node": row.node,
            "timeline": row.timeline,
            "lag": row.lag_bytes,
            "seconds": row.lag_seconds,
            "unapplied": row.unapplied_bytes,
            "trend": row.lag_bytes,
        }


def list_row(key: str, name: str, made: NodeCells) -> TableRow:
    """A node as a row of the list."""
    row, age = made.row, made.age
    cells = (
        made.mark,
        cell(name, "bold" if made.leads else ""),
        made.role,
        made.timeline,
        made.behind,
        made.seconds,
        cell(row.sync) if row.sync else NO_MEANING if made.leads else NOTHING,
        cell(since(age, made.wall), UNKNOWN) if age.withheld else age_text(age, made.wall),
        cell(row.site, MUTED),
        unless_withheld(age, cell(row.lsn)) if row.lsn else NOTHING,
        made.figure(row.unapplied_bytes, megabytes(row.unapplied_bytes or 0)),
        sparkline(row.trend, TREND, made.glyphs) if row.trend else cell(" " * TREND),
        cell(row.message),
    )
    return TableRow(key, cells, made.order)


def tree_row(key: str, lead: str, name: str, cluster: ClusterRow | None, made: NodeCells) -> TableRow:
    """A node as a row of the tree: below the one it streams from, with the edge that leads to it."""
    row, age = made.row, made.age
    each = candidate_of(row, cluster)
    leader = cluster.leader if cluster is not None else ""
    able = unless_withheld(age, lead_text(each, may_lead(each, leader), made.glyphs))
    edge = cell(since(age, made.wall), UNKNOWN) if age.withheld else age_text(age, made.wall)
    if not age.withheld:
        edge = joined(edge, " " if edge else "", edge_words(row, cluster))
    cells = (
        made.mark,
        joined((lead, MUTED), (name, "bold" if made.leads else "")),
        cell(row.site, MUTED),
        made.role,
        made.timeline,
        made.behind,
        made.seconds,
        edge,
        able if row.health is Health.PASS else joined(able, f"; {row.message}"),
    )
    return TableRow(key, cells, made.order)
