"""Screen 2: who leads each database cluster, by votes, and how far the others are behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rich.text import Text
from textual import on
from textual.containers import Horizontal
from textual.widget import Widget

from console.cluster_text import ASCII_TWIGS, LEADS, UNICODE_TWIGS, loss, loss_reason, ranking, tree, withheld
from console.tui.glyphs import MUTED
from console.tui.mirror import Touched
from console.tui.parts.ages import with_age
from console.tui.parts.cluster_lines import cluster_lines, lead_text, restore_text
from console.tui.parts.compared import compared_facts, comparison_lines
from console.tui.parts.facts import Row, fact
from console.tui.parts.feed import Feed
from console.tui.parts.history import lag_hour_of
from console.tui.parts.messages import size, sources_fact
from console.tui.parts.node_rows import IN_LIST, IN_TREE, NARROW_LIST, NodeCells, list_row, tree_row
from console.tui.screens.base import WIDE, Detail, MainScreen
from console.tui.store import Age
from console.tui.text import cell, joined, state_text
from console.tui.widgets.chart import Chart, Drawing
from console.tui.widgets.lines import Lines
from console.tui.widgets.panel import TitleRule
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.api.views.replication import PUBLICATION, SUBSCRIPTION, ClusterRow, NodeRow, ReplicationView, SlotRow
from state.units import megabytes

TREE_FROM = 110
"""Columns of the terminal from which the nodes are drawn as a tree; below they are a list."""
SLOTS = (
    Column("state", "state", 10),
    Column("name", "slot", 8, grow=24),
    Column("type", "type", 8),
    Column("retained", "holds WAL", 9, align="right"),
    Column("message", "note", 12, flex=1, cut="end"),
)


class ReplicationScreen(MainScreen):
    """Roles as their witnesses report them, lag in bytes and seconds, what a failover would lose and who may lead.
    From 110 columns each node stands below the one it streams from; a cross: no stream, ?: from where is not known."""

    DEFAULT_CSS = """
    ReplicationScreen #clusters { height: auto; max-height: 7; }
    ReplicationScreen.-tall #clusters { max-height: 12; }
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
        nodes = LineTable(
            self._node_columns, title="Nodes", empty="no database node read yet", glyphs=glyphs, id="nodes"
        )
        slots = LineTable(
            SLOTS,
            title="Slots",
            empty="no replication slot on the primary",
            glyphs=glyphs,
            id="slots",
            classes="second",
        )
        self._leads: dict[str, str] = {}
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
        if whole or "nodes" in keys or "clusters" in keys:
            self._show_nodes(view, None if whole or "clusters" in keys else keys["nodes"])
        if whole or "slots" in keys:
            self.slots.show(view.slots, None if whole else keys["slots"])
        self._paint_clusters()
        height = self.app.size.height
        self.set_height("#nodes", len(view.nodes) + 2, 4, max(6, height // 3))
        self.set_height("#slots", len(view.slots) + 2, 3 if height < 32 else 4, 4 if height < 32 else 8)

    @property
    def _as_tree(self) -> bool:
        return self.app.size.width >= TREE_FROM

    @property
    def _node_columns(self) -> tuple[Column, ...]:
        if self._as_tree:
            return IN_TREE
        return IN_LIST if self.app.size.width >= WIDE else NARROW_LIST

    def _fit_columns(self, width: int) -> None:
        super()._fit_columns(width)
        view = self.store.view(ReplicationView)
        if self.nodes.table.columns != self._node_columns:
            self.nodes.table.set_columns(self._node_columns)
            if view is not None:
                self._show_nodes(view, None)

    def _show_nodes(self, view: ReplicationView, touched: Collection[str] | None) -> None:
        """In the order of the tree; where a node hangs elsewhere now, all of them anew."""
        branches = tree(view.nodes, ASCII_TWIGS if self.glyphs.ascii_only else UNICODE_TWIGS)
        leads = {branch.key: branch.lead for branch in branches}
        moved, self._leads = leads != self._leads, leads
        rows = {branch.key: branch.row for branch in branches} if self._as_tree else dict(sorted(view.nodes.items()))
        self.nodes.show(rows, None if moved else touched)
        self.nodes.table.set_empty("the estate has no database; add one to its file")

    @on(LineTable.Rearranged, "#nodes")
    def _rearranged(self) -> None:
        """Sorted or filtered, the rows are no tree."""
        view = self.store.view(ReplicationView)
        if view is not None and self.ready:
            self._show_nodes(view, None)

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
            rows += cluster_lines(cluster, view.nodes, self.store, self.glyphs, self.app.size, ranked=not self._as_tree)
        rows += comparison_lines(self.store)
        self.query_one("#clusters", Lines).show(rows or [cell("  the estate has no database", MUTED)])

    def _node(self, key: str, row: NodeRow, age: Age) -> TableRow:
        view = self.store.view(ReplicationView)
        several = view is not None and len(view.clusters) > 1
        made = NodeCells(row, age, self.store.wall, self.glyphs)
        if not self._as_tree:
            return list_row(key, key if several else row.node, made)
        lead = "" if self.nodes.table.rearranged else self._leads.get(key, "")
        rooted = not lead or self.nodes.table.rearranged
        name = key if several and rooted else row.node
        return tree_row(key, lead, name, view.clusters.get(row.cluster) if view is not None else None, made)

    def _slot(self, key: str, row: SlotRow, age: Age) -> TableRow:
        offered = row.slot_type == PUBLICATION and not row.active  # who reads it may be outside of the estate
        kind = "stale" if not age.fresh else "active" if row.active or offered else "warn"
        sign = state_text(kind, self.glyphs, word=False)
        word = "offered" if offered else "active" if row.active else "inactive"
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
        if self.app.size.width < WIDE:
            return  # there is no chart, and what it would draw need not be decoded
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
        hour = lag_hour_of(self.store, row.cluster, row.node, target=target, label=megabytes)
        chart.draw(hour or Drawing(row.trend, target=target, label=megabytes))

    def detail_rows(self) -> list[Row]:
        row, view = self.selected(), self.store.view(ReplicationView)
        if isinstance(row, NodeRow) and view is not None:
            return self._node_detail(row, view.clusters.get(row.cluster))
        if isinstance(row, SlotRow):
            told: list[Row] = [joined((row.name, "bold"), (f"  {slot_title(row)}", MUTED))]
            told.append(fact("note", row.message or "none"))
            return [*told, sources_fact(self.store, (row.source,))]
        return [cell("select a node to see its witnesses", MUTED)]

    def _node_detail(self, row: NodeRow, cluster: ClusterRow | None) -> list[Row]:
        told: list[Row] = [
            joined((row.node, "bold"), (f"  {row.cluster}, {row.site}, {row.state}", MUTED)),
            fact("verdict", row.message),
            fact("role", f"{row.role or 'unknown'}: {row.votes}"),
        ]
        if row.upstream:
            told.append(fact("from", ", ".join(filter(None, (row.upstream, row.state, row.transport)))))
        if row.role not in LEADS:
            behind = "unknown" if row.lag_bytes is None else megabytes(row.lag_bytes)
            seconds = "unknown" if row.lag_seconds is None else f"{row.lag_seconds:.1f} s"
            waiting = "unknown" if row.unapplied_bytes is None else megabytes(row.unapplied_bytes)
            told.append(fact("behind", f"{behind}, {seconds}; received but not applied: {waiting}"))
        place = f"timeline {'?' if row.timeline is None else row.timeline}, {row.lsn or 'unknown'}"
        told.append(fact("position", place))
        if row.agent_certificate:
            told.append(fact("agent", f"its certificate: {row.agent_certificate}"))
        if row.tags:
            told.append(fact("tags", ", ".join(row.tags)))
        if cluster is not None:
            told += self._cluster_facts(cluster)
        told += compared_facts(self.store, f"{row.cluster}/{row.node}")
        told.append(sources_fact(self.store, row.sources))
        return told

    def _cluster_facts(self, cluster: ClusterRow) -> list[Row]:
        """Who would lead next and why not the others, then the cluster itself."""
        told: list[Row] = []
        for place, (each, said) in enumerate(ranking(cluster)):
            line = joined((f"{place + 1} {each.node} ", "bold"), lead_text(each, said, self.glyphs))
            told.append(fact("may lead" if not place else "", line))
            told += [fact("", f"  then: {note}") for note in each.notes]
        told.append(fact("cluster", cluster.message))
        old = self.store.oldest(cluster.risk.sources).withheld
        told.append(
            fact("risk", f"{loss(withheld(cluster.risk) if old else cluster.risk)}: {loss_reason(cluster.risk)}")
        )
        told += [fact("note", note) for note in cluster.notes]
        if cluster.restore is not None:
            told.append(fact("restore", restore_text(cluster.restore, self.store, self.glyphs)))
        told.append(fact("service", cluster.service_message))
        return told


def slot_title(row: SlotRow) -> str:
    """What a row of the slots is: `physical slot of orders`, `publication of orders`."""
    ends = row.slot_type in (SUBSCRIPTION, PUBLICATION)
    return f"{row.slot_type} of {row.cluster}" if ends else f"{row.slot_type} slot of {row.cluster}"


def farthest(cluster: str, nodes: Iterable[NodeRow]) -> NodeRow | None:
    """The standby of a cluster that is furthest behind, among those with a history."""
    others = [row for row in nodes if row.cluster == cluster and row.role not in LEADS]
    return max(others, key=lambda row: (bool(row.trend), row.lag_bytes or 0), default=None)
