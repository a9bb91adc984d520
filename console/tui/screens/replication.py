"""Screen 2: who leads each database cluster, by votes, and how far the others are behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar

from rich.text import Text
from textual.containers import Horizontal
from textual.widget import Widget

from console.tui.glyphs import FAIL, MUTED, OK, UNKNOWN, WARN
from console.tui.mirror import Touched
from console.tui.parts.ages import (
    NOTHING,
    age_text,
    age_words,
    health_mark,
    judged_mark,
    since,
    unless_withheld,
    with_age,
)
from console.tui.parts.facts import Row, fact
from console.tui.parts.feed import Feed
from console.tui.parts.messages import NO_MEANING, severity, size, sources_fact
from console.tui.screens.base import Detail, MainScreen
from console.tui.store import Age
from console.tui.text import cell, joined, state_text
from console.tui.widgets.chart import Chart, Drawing
from console.tui.widgets.lines import Lines
from console.tui.widgets.panel import TitleRule
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.spark import sparkline
from console.tui.widgets.table import LineTable
from state.api.views.replication import ClusterRow, NodeRow, ReplicationView, SlotRow
from state.health import Health
from state.units import megabytes

TREND = 10
NODES = (
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
SLOTS = (
    Column("state", "state", 10),
    Column("name", "slot", 8, grow=24),
    Column("type", "type", 8),
    Column("retained", "holds WAL", 9, align="right"),
    Column("message", "note", 12, flex=1, cut="end"),
)
GUARANTEES = {
    "async": "asynchronous: a commit may be on one node only",
    "sync": "synchronous: a commit is on a standby too",
    "quorum": "quorum: a commit is on several nodes",
    "blocked": "commits wait",
}
LEADS = frozenset({"primary", "leader", "master"})


class ReplicationScreen(MainScreen):
    """Roles as their witnesses report them, lag in bytes and seconds, what a failover would lose."""

    narrow: ClassVar[Mapping[str, int]] = {"nodes": 8}
    DEFAULT_CSS = """
    ReplicationScreen #clusters { height: auto; max-height: 7; }
    ReplicationScreen #nodes { height: 6; }
    ReplicationScreen #slots { height: 4; }
    ReplicationScreen #bottom { height: 1fr; min-height: 4; }
    ReplicationScreen #bottom Detail { height: 1fr; width: 1fr; }
    ReplicationScreen #behind { display: none; height: 1fr; width: 1fr; }
    ReplicationScreen.-wide #behind { display: block; }
    ReplicationScreen Chart { padding: 0 1; }
    ReplicationScreen.-huge #bottom { dock: right; width: 76; height: 100%; layout: vertical; }
    ReplicationScreen.-huge #behind { height: 15; }
    ReplicationScreen.-huge #nodes, ReplicationScreen.-huge #slots { max-height: 50%; }
    ReplicationScreen.-tiny #clusters { max-height: 1; }
    ReplicationScreen.-tiny #nodes { height: 1fr; }
    ReplicationScreen.-tiny #bottom { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        glyphs = self.glyphs
        nodes = LineTable(NODES, title="Nodes", empty="no database node read yet", glyphs=glyphs, id="nodes")
        slots = LineTable(
            SLOTS,
            title="Slots",
            empty="no replication slot on the primary",
            glyphs=glyphs,
            id="slots",
            classes="second",
        )
        self.nodes = Feed[NodeRow](nodes, self.store, self._node, lambda row: row.sources[:1])  # its server
        self.slots = Feed[SlotRow](slots, self.store, self._slot, lambda row: (row.source,))
        self.feeds = [self.nodes, self.slots]
        yield TitleRule("Clusters", glyphs=glyphs)
        yield Lines(["waiting for the engine"], id="clusters")
        yield nodes
        yield slots
        yield Horizontal(Detail(), Chart(glyphs, title="Behind", id="behind"), id="bottom")

    def paint(self, touched: Touched) -> None:
        view = self.store.view(ReplicationView)
        assert view is not None
        keys = touched or {}
        whole = touched is None
        if whole or "nodes" in keys:
            self.nodes.show(dict(sorted(view.nodes.items())), None if whole else keys["nodes"])
            self.nodes.table.set_empty("the estate has no database; add one to its file")
        if whole or "slots" in keys:
            self.slots.show(view.slots, None if whole else keys["slots"])
        self._paint_clusters()
        height = self.app.size.height
        self.set_height("#nodes", len(view.nodes) + 2, 4, max(6, height // 3))
        self.set_height("#slots", len(view.slots) + 2, 4, 4 if height < 32 else 8)

    def reveal(self, table: str, key: str) -> None:
        """A database is shown by its leader, else by its first node."""
        view = self.store.view(ReplicationView)
        if table == "clusters" and view is not None:
            nodes = [name for name, row in view.nodes.items() if row.cluster == key]
            leader = f"{key}/{view.clusters[key].leader}" if key in view.clusters else ""
            table, key = "nodes", leader if leader in nodes else next(iter(sorted(nodes)), "")
        super().reveal(table, key)

    def tick(self) -> None:
        super().tick()
        self._paint_clusters()

    def _paint_clusters(self) -> None:
        view = self.store.view(ReplicationView)
        if view is None:
            return
        rows: list[Text] = []
        for cluster in view.clusters.values():
            rows += self._cluster(cluster, view.nodes)
        self.query_one("#clusters", Lines).show(rows or [cell("  the estate has no database", MUTED)])

    def _cluster(self, row: ClusterRow, nodes: Collection[str]) -> list[Text]:
        age = self.store.oldest(row.risk.sources)
        if age.lost:
            mark = judged_mark(row.health, self.glyphs, age)
            return [joined("  ", mark, (f" {row.name} ", "bold"), (age_words(age, self.store.wall), UNKNOWN))]
        split = [joined((f" {row.split_brain} ", "bold red reverse"))] if row.split_brain else []
        leads = f"{row.name}/{row.leader}" in nodes
        leader = "" if leads else FAIL if row.leader else UNKNOWN
        paused = joined(" ", ("PAUSED: no automatic failover", WARN)) if row.paused else cell("")
        head = joined(
            "  ",
            judged_mark(row.health, self.glyphs, age),
            (f" {row.name}", "bold"),
            (" leader ", MUTED),
            (row.leader or "? unknown", leader),
            (f"  {row.votes}", MUTED),
            (f"  TL {row.timeline}" if row.timeline else "", MUTED),
            paused,
            cell("") if age.fresh else joined((f" {age_words(age, self.store.wall)}", UNKNOWN)),
        )
        lost = row.risk.lost_bytes
        loss = (
            ("? unknown", UNKNOWN)
            if lost is None
            else (megabytes(lost), FAIL if row.risk.health is Health.FAIL else "")
        )
        risk = joined(
            ("    a failover loses ", MUTED),
            loss,
            (f" of {megabytes(row.risk.target)} ", MUTED),
            state_text(row.risk.health.value, self.glyphs, word=False),
            (", best to ", MUTED),
            row.candidate or "none",
        )
        kept = joined(("    ", MUTED), guarantee_message(row.guarantee, row.guarantee_detail))
        if risk.cell_len + kept.cell_len <= self.size.width:
            return [*split, head, joined(risk, kept)]
        return [*split, head, risk, kept]

    def _node(self, key: str, row: NodeRow, age: Age) -> TableRow:
        leads = row.role in LEADS
        role = FAIL if row.role == "CONFLICT" else OK if leads else ""

        over = FAIL if row.health is Health.FAIL and not leads else ""

        def figure(value: float | None, shown: str, style: str = "") -> Text:
            """Unknown is `?`; `-` where a primary has no such value."""
            if leads and not value:
                return NO_MEANING
            return NOTHING if value is None else unless_withheld(age, cell(shown, style))

        behind = figure(row.lag_bytes, megabytes(row.lag_bytes or 0), over)
        wall = self.store.wall
        return TableRow(
            key,
            (
                health_mark(row.health, self.glyphs, age),
                cell(row.node, "bold" if leads else ""),
                cell(row.role or "?", role),
                NOTHING if row.timeline is None else unless_withheld(age, cell(str(row.timeline))),
                cell("no data", UNKNOWN) if age.withheld else behind,
                figure(row.lag_seconds, f"{row.lag_seconds or 0.0:.1f} s"),
                cell(row.sync) if row.sync else NO_MEANING if leads else NOTHING,
                cell(since(age, wall), UNKNOWN) if age.withheld else age_text(age, wall),
                cell(row.site, MUTED),
                unless_withheld(age, cell(row.lsn)) if row.lsn else NOTHING,
                figure(row.unapplied_bytes, megabytes(row.unapplied_bytes or 0)),
                sparkline(row.trend, TREND, self.glyphs) if row.trend else cell(" " * TREND),
                cell(row.message),
            ),
            {
                "state": severity(row.health),
                "timeline": row.timeline,
                "lag": row.lag_bytes,
                "seconds": row.lag_seconds,
                "unapplied": row.unapplied_bytes,
                "trend": row.lag_bytes,
            },
        )

    def _slot(self, key: str, row: SlotRow, age: Age) -> TableRow:
        sign = state_text("stale" if not age.fresh else "active" if row.active else "warn", self.glyphs, word=False)
        word = "active" if row.active else "inactive"
        return TableRow(
            key,
            (
                joined(sign, f" {word}"),
                cell(row.name),
                cell(row.slot_type, MUTED),
                size(row.retained),
                with_age(age, row.message, self.store.wall),
            ),
            {"retained": row.retained},
        )

    def paint_detail(self) -> None:
        super().paint_detail()
        view, row = self.store.view(ReplicationView), self.selected()
        if view is None:
            return
        if not isinstance(row, NodeRow):
            row = self.row("nodes", self.nodes.table.cursor_key or "")
        if isinstance(row, NodeRow) and row.role in LEADS:
            row = farthest(row.cluster, view.nodes.values())
        chart = self.query_one(Chart)
        if self.lost_rows():
            chart.draw(Drawing())
            return
        if not isinstance(row, NodeRow):
            chart.set_title("Behind", cell("no standby is read", MUTED))
            chart.draw(Drawing())
            return
        cluster = view.clusters.get(row.cluster)
        target = float(cluster.risk.target) if cluster else None
        chart.set_title(f"{row.node} behind", cell(f"RPO {megabytes(target)}" if target is not None else "", MUTED))
        chart.draw(Drawing(row.trend, target=target, label=megabytes))

    def detail_rows(self) -> list[Row]:
        row, view = self.selected(), self.store.view(ReplicationView)
        if isinstance(row, NodeRow) and view is not None:
            return self._node_detail(row, view.clusters.get(row.cluster))
        if isinstance(row, SlotRow):
            told: list[Row] = [joined((row.name, "bold"), (f"  {row.slot_type} slot of {row.cluster}", MUTED))]
            told.append(fact("note", row.message or "none"))
            return [*told, sources_fact(self.store, (row.source,))]
        return [cell("select a node to see its witnesses", MUTED)]

    def _node_detail(self, row: NodeRow, cluster: ClusterRow | None) -> list[Row]:
        told: list[Row] = [
            joined((row.node, "bold"), (f"  {row.cluster}, {row.site}, {row.state}", MUTED)),
            fact("verdict", row.message),
            fact("role", f"{row.role or 'unknown'}: {row.votes}"),
        ]
        if row.role not in LEADS:
            behind = "unknown" if row.lag_bytes is None else megabytes(row.lag_bytes)
            seconds = "unknown" if row.lag_seconds is None else f"{row.lag_seconds:.1f} s"
            waiting = "unknown" if row.unapplied_bytes is None else megabytes(row.unapplied_bytes)
            told.append(fact("behind", f"{behind}, {seconds}; received but not applied: {waiting}"))
        place = f"timeline {'?' if row.timeline is None else row.timeline}, {row.lsn or 'unknown'}"
        told.append(fact("position", place))
        if cluster is not None:
            told.append(fact("cluster", cluster.message))
            told.append(fact("risk", cluster.risk.message))
            told.append(fact("service", cluster.service_message))
        told.append(sources_fact(self.store, row.sources))
        return told


def farthest(cluster: str, nodes: Iterable[NodeRow]) -> NodeRow | None:
    """The standby of a cluster that is furthest behind, among those with a history."""
    others = [row for row in nodes if row.cluster == cluster and row.role not in LEADS]
    return max(others, key=lambda row: (bool(row.trend), row.lag_bytes or 0), default=None)


def guarantee_message(kind: str, detail: str) -> str:
    """What a commit waits for, without PostgreSQL's terms."""
    message = GUARANTEES.get(kind, kind)
    return f"{message} ({detail})" if detail else message
