"""Screen 2: who leads each database cluster, by votes, and how far the others are behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from rich.text import Text
from textual.containers import Horizontal
from textual.widget import Widget

from console.tui.glyphs import FAIL, MUTED, OK, UNKNOWN, WARN
from console.tui.screens.base import Detail, MainScreen, Touched
from console.tui.screens.facts import Row, fact
from console.tui.screens.feed import Feed, age_mark, aged_words
from console.tui.screens.header import DANGER_LINE
from console.tui.screens.words import NOTHING, health_mark, size, sources_fact
from console.tui.text import cell, joined, state_text
from console.tui.widgets.lines import Lines
from console.tui.widgets.panel import Panel
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.spark import Chart, sparkline
from console.tui.widgets.table import LineTable
from state.api import ClusterRow, Health, NodeRow, SlotRow
from state.units import megabytes

TREND = 14
NODES = (
    Column("state", "state", 9),
    Column("node", "node", 8, flex=1),
    Column("role", "role", 8),
    Column("timeline", "TL", 3, align="right"),
    Column("lag", "behind", 9, align="right"),
    Column("seconds", "seconds", 7, align="right"),
    Column("sync", "sync", 5),
    Column("age", "age", 15),
    Column("lsn", "position", 12),
    Column("unapplied", "unapplied", 9, align="right"),
    Column("trend", "behind, last", TREND),
)
SLOTS = (
    Column("state", "state", 10),
    Column("name", "slot", 8, flex=1),
    Column("type", "type", 8),
    Column("retained", "holds WAL", 9, align="right"),
    Column("words", "note", 12, flex=2),
)
LEADS = frozenset({"primary", "leader", "master"})


class Replication(MainScreen):
    """Roles as their witnesses tell them, distance in bytes and seconds, what a failover would lose."""

    name_, digit, title_, topic = "replication", "2", "Replication", "replication"
    narrow: ClassVar[Mapping[str, int]] = {"nodes": 8}
    DEFAULT_CSS = """
    Replication #clusters-panel { height: auto; max-height: 8; }
    Replication #nodes-panel { height: 1fr; min-height: 4; }
    Replication #slots-panel { height: 5; }
    Replication.-short #slots-panel { height: 4; }
    Replication #bottom { height: 6; }
    Replication.-tall #bottom { height: 11; }
    Replication #bottom Detail { height: 1fr; }
    Replication Chart { display: none; height: 1fr; width: 48; margin: 0 1; }
    Replication.-wide.-tall Chart { display: block; }
    Replication.-tiny #bottom { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        glyphs = self.glyphs
        nodes = LineTable(NODES, empty="no database node read yet", glyphs=glyphs, id="nodes")
        slots = LineTable(SLOTS, empty="no replication slot on the primary", glyphs=glyphs, id="slots")
        self.nodes = Feed[NodeRow](nodes, self.store, self._node, lambda row: row.sources)
        self.slots = Feed[SlotRow](slots, self.store, self._slot, lambda row: (row.source,))
        self.feeds = [self.nodes, self.slots]
        yield Panel(
            Lines(["waiting for the engine"], id="clusters"), title="Clusters", glyphs=glyphs, id="clusters-panel"
        )
        yield Panel(nodes, title="Nodes", glyphs=glyphs, id="nodes-panel")
        yield Panel(slots, title="Slots", glyphs=glyphs, id="slots-panel", classes="second")
        yield Horizontal(Detail(), Chart(glyphs), id="bottom")

    def paint(self, touched: Touched) -> None:
        view = self.store.replication
        assert view is not None
        keys = touched or {}
        whole = touched is None
        if whole or "nodes" in keys:
            self.nodes.show(dict(sorted(view.nodes.items())), None if whole else keys["nodes"])
            self.nodes.table.set_empty("the estate names no database; add one to its file")
        if whole or "slots" in keys:
            self.slots.show(view.slots, None if whole else keys["slots"])
        self._paint_clusters()

    def tick(self) -> None:
        super().tick()
        self._paint_clusters()

    def _paint_clusters(self) -> None:
        view = self.store.replication
        if view is None:
            return
        rows: list[Text] = []
        for cluster in view.clusters.values():
            rows += self._cluster(cluster)
        self.query_one("#clusters", Lines).show(rows or [cell("  the estate names no database", MUTED)])

    def _cluster(self, row: ClusterRow) -> list[Text]:
        old = age_mark(self.store, row.risk.sources)
        header = self.store.header
        told_above = header is not None and any(row.split_brain in alarm for alarm in header.alarms)
        split = []
        if row.split_brain and not told_above:
            split = [joined((f" SPLIT BRAIN {row.name}: {row.split_brain} ", DANGER_LINE))]
        leader = FAIL if row.leader.startswith("CONFLICT") else "" if row.leader else UNKNOWN
        paused = joined(" ", ("PAUSED: no automatic failover", WARN)) if row.paused else cell("")
        head = joined(
            "  ",
            health_mark(row.health, self.glyphs, old),
            (f" {row.name}", "bold"),
            (" leader ", MUTED),
            (row.leader or "? unknown", leader),
            (f"  {row.votes}", MUTED),
            (f"  TL {row.timeline}" if row.timeline else "", MUTED),
            paused,
            (f" {old.plain}" if old.plain else "", UNKNOWN),
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
            ("  best ", MUTED),
            row.candidate or "none",
            (f"  {row.guarantee}", MUTED),
        )
        return [*split, head, risk]

    def _node(self, key: str, row: NodeRow) -> TableRow:
        old = age_mark(self.store, row.sources)
        gone = old.plain.startswith("no data")
        leads = row.role in LEADS
        role = FAIL if row.role == "CONFLICT" else OK if leads else ""
        over = row.health is Health.FAIL and not leads
        behind = (
            cell("no data", UNKNOWN)
            if gone
            else NOTHING
            if row.lag_bytes is None
            else cell(megabytes(row.lag_bytes), FAIL if over else "")
        )
        seconds = NOTHING if gone or row.lag_seconds is None else cell(f"{row.lag_seconds:.1f} s")
        return TableRow(
            key,
            (
                health_mark(Health.UNKNOWN if gone else row.health, self.glyphs, old),
                cell(row.node, "bold" if leads else ""),
                cell(row.role or "?", role),
                NOTHING if row.timeline is None or gone else cell(str(row.timeline)),
                cell("", MUTED) if leads and row.lag_bytes in {0, None} and not gone else behind,
                cell("", MUTED) if leads and not row.lag_seconds and not gone else seconds,
                cell(row.sync or ("" if leads else "?"), "" if row.sync else UNKNOWN),
                joined((old.plain.removeprefix("no data "), UNKNOWN)) if gone else old,
                NOTHING if gone or not row.lsn else cell(row.lsn),
                NOTHING if gone else size(row.unapplied_bytes),
                sparkline(row.trend, TREND, self.glyphs) if row.trend else cell(""),
            ),
        )

    def _slot(self, key: str, row: SlotRow) -> TableRow:
        old = age_mark(self.store, (row.source,))
        sign = state_text("stale" if old.plain else "active" if row.active else "warn", self.glyphs, word=False)
        word = "active" if row.active else "inactive"
        return TableRow(
            key,
            (
                joined(sign, f" {word}"),
                cell(row.name),
                cell(row.slot_type, MUTED),
                size(row.retained),
                aged_words(row.words, old),
            ),
        )

    def paint_detail(self) -> None:
        row = self.selected()
        detail, view = self.query_one(Detail), self.store.replication
        if isinstance(row, NodeRow) and view is not None:
            cluster = view.clusters.get(row.cluster)
            target = float(cluster.risk.target) if cluster else None
            told: list[Row] = [
                joined((row.node, "bold"), (f"  {row.cluster}, {row.site}, {row.state}", MUTED)),
                fact("verdict", row.words),
                fact("role", f"{row.role or 'unknown'}: {row.votes}"),
            ]
            if cluster is not None:
                told.append(fact("cluster", f"{cluster.words}; {cluster.guarantee}"))
                told.append(fact("risk", cluster.risk.words))
                told.append(fact("service", cluster.service_words))
            told.append(sources_fact(self.store, row.sources))
            detail.show(told)
            self.query_one(Chart).show_values(row.trend, target=target, label=megabytes)
        elif isinstance(row, SlotRow):
            told = [joined((row.name, "bold"), (f"  {row.slot_type} slot of {row.cluster}", MUTED))]
            told.append(fact("note", row.words or "none"))
            detail.show([*told, sources_fact(self.store, (row.source,))])
        else:
            detail.show([cell("select a node to see its witnesses", MUTED)])
