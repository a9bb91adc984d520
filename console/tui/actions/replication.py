"""Keys of the replication screen. What is seldom done has no key: the palette has it."""

from __future__ import annotations

from typing import Any, ClassVar

from console.compare_text import comparison_words
from console.tui.actions.base import Action, ActionContext, Effect, FormValues, Navigation
from state.api.requests import PlanChange
from state.api.views.comparisons import CompareOutcome, ComparisonRow, ComparisonsView
from state.api.views.replication import PUBLICATION, SUBSCRIPTION, ClusterRow, NodeRow, ReplicationView, SlotRow
from state.api.views.runbooks import Param

LEADS = {"primary", "leader"}


class NodeAction(Effect):
    """A change of the selected node."""

    screens = ("replication",)
    on = ("nodes",)
    kind: ClassVar[str] = ""
    word: ClassVar[str] = "node"
    """What the node is in the change: `node`, or `to`, the one that is to lead."""

    def missing(self, ctx: ActionContext) -> str | None:
        return None if isinstance(ctx.row, NodeRow) else "select a node first"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: NodeRow = ctx.row
        navigator.preview(PlanChange(self.kind, {"database": row.cluster, self.word: row.node}))


class StandbyAction(NodeAction):
    """A change that a primary is no object of."""

    def missing(self, ctx: ActionContext) -> str | None:
        if not isinstance(ctx.row, NodeRow):
            return "select a node first"
        return "this node is already the primary" if ctx.row.role in LEADS else None


class SwitchOver(StandbyAction):
    """Propose a planned switchover of a database to another node."""

    key, title, kind, word = "s", "switchover", "database.switchover", "to"


class FailOverTo(StandbyAction):
    """Propose to let the selected node lead where no node does; refused without proof that the old one is fenced."""

    key, title, kind, word = "f", "failover", "database.failover", "to"


class FenceNode(NodeAction):
    """Propose to stop the selected node by the estate's own command, so that it accepts no writes."""

    key, title, kind = "n", "fence", "database.fence"


class RejoinNode(StandbyAction):
    """Propose to make the selected node a standby again by the estate's own command (pg_rewind)."""

    key, title, kind = "j", "rejoin", "database.rejoin"


class PauseManager(Effect):
    """Propose to pause the cluster's manager, or to resume a paused one."""

    key, title, screens, on = "p", "pause", ("replication",), ("nodes", "clusters")

    def missing(self, ctx: ActionContext) -> str | None:
        return None if isinstance(ctx.row, NodeRow | ClusterRow) else "select a node first"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: NodeRow | ClusterRow = ctx.row
        name = row.name if isinstance(row, ClusterRow) else row.cluster
        view = ctx.store.view(ReplicationView)
        cluster = view.clusters.get(name) if view is not None else None
        kind = "database.resume" if cluster is not None and cluster.paused else "database.pause"
        navigator.preview(PlanChange(kind, {"database": name}))


class RestartNode(StandbyAction):
    """Propose to restart PostgreSQL of the selected standby."""

    title, kind = "restart standby", "database.restart"


class ReinitializeNode(StandbyAction):
    """Propose to remove the data of the selected node and to copy the leader's, through the cluster's manager."""

    title, kind = "reinitialise", "database.reinitialize"


class RebuildNode(StandbyAction):
    """Propose to copy the primary to the selected node anew by the estate's own command (pg_basebackup)."""

    title, kind = "rebuild", "database.rebuild"


class ProveStandbys(NodeAction):
    """Propose to write a mark on the primary and to look for it on every other node."""

    title, kind = "prove standbys", "database.prove"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.preview(PlanChange(self.kind, {"database": ctx.row.cluster}))


class UnscheduleSwitchover(NodeAction):
    """Propose to take back the scheduled switchover of the selected node's database."""

    title, kind = "unschedule switchover", "database.unschedule"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.preview(PlanChange(self.kind, {"database": ctx.row.cluster}))


class DropSlotOfPrimary(Effect):
    """Propose to drop the selected slot; refused unless it is lost and not in use."""

    title, screens, on = "drop slot", ("replication",), ("slots",)

    def missing(self, ctx: ActionContext) -> str | None:
        if not isinstance(ctx.row, SlotRow):
            return "select a slot first"
        if ctx.row.slot_type in (SUBSCRIPTION, PUBLICATION):
            return f"this is a {ctx.row.slot_type}, not a slot"
        return None if self._node(ctx) else "which node has the slot is not known"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: SlotRow = ctx.row
        args: dict[str, Any] = {"database": row.cluster, "node": self._node(ctx), "slot": row.name}
        navigator.preview(PlanChange("database.drop-slot", args))

    @staticmethod
    def _node(ctx: ActionContext) -> str:
        """The node of its source, `postgres:orders/n1`."""
        return str(ctx.row.source).rpartition("/")[2]


def running_comparison(ctx: ActionContext) -> ComparisonRow | None:
    """The comparison under way."""
    view = ctx.store.view(ComparisonsView)
    rows = view.comparisons.values() if view is not None else ()
    return next((row for row in rows if row.outcome is CompareOutcome.RUNNING), None)


def propose_comparison(ctx: ActionContext, navigator: Navigation, a: str, b: str) -> None:
    """Ask for a yes, then have the engine compare."""
    facts = (
        ("does", f"compares all rows of {a} with those of {b}; only reads"),
        ("burden", "one core of each server for half of the time; at most an hour; x on this screen ends it"),
        ("then", "equal, or how many rows differ in how many tables; every row: recovery db compare"),
    )
    navigator.confirm(f"Compare {a} with {b}", facts, lambda: navigator.send_compare(a, b))


class CompareWithPrimary(Action):
    """Compare all rows of the selected standby with those of the primary of its cluster; only reads."""

    key, title, screens, on, acts = "c", "compare", ("replication",), ("nodes",), True

    def missing(self, ctx: ActionContext) -> str | None:
        if not isinstance(ctx.row, NodeRow):
            return "select a node first"
        if (running := running_comparison(ctx)) is not None:
            return f"{running.a} and {running.b} are being compared: x ends that"
        if ctx.row.role in LEADS:
            return "this node is the primary: select a standby, or compare nodes in the palette"
        return None if self._primary(ctx) else "which node is the primary is not known"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: NodeRow = ctx.row
        propose_comparison(ctx, navigator, f"{row.cluster}/{self._primary(ctx)}", f"{row.cluster}/{row.node}")

    @staticmethod
    def _primary(ctx: ActionContext) -> str:
        """The leader of its cluster; empty when none is agreed on."""
        view, row = ctx.store.view(ReplicationView), ctx.row
        cluster = view.clusters.get(row.cluster) if view is not None else None
        known = view is not None and cluster is not None and f"{row.cluster}/{cluster.leader}" in view.nodes
        return cluster.leader if known and cluster is not None else ""


class CompareNodes(Action):
    """Compare all rows of the selected node with those of any other node of the estate; only reads."""

    title, screens, on, acts = "compare nodes", ("replication",), ("nodes",), True

    def missing(self, ctx: ActionContext) -> str | None:
        if not isinstance(ctx.row, NodeRow):
            return "select a node first"
        if (running := running_comparison(ctx)) is not None:
            return f"{running.a} and {running.b} are being compared: x ends that"
        return None if self._others(ctx) else "the estate has no other node"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: NodeRow = ctx.row
        here = f"{row.cluster}/{row.node}"

        def then(answers: FormValues) -> None:
            propose_comparison(ctx, navigator, here, answers["with"])

        navigator.ask(f"Compare {here}", (Param("with", "with", "", self._others(ctx), True),), then)

    @staticmethod
    def _others(ctx: ActionContext) -> tuple[str, ...]:
        view = ctx.store.view(ReplicationView)
        here = f"{ctx.row.cluster}/{ctx.row.node}"
        return tuple(sorted(each for each in view.nodes if each != here)) if view is not None else ()


class CancelComparison(Action):
    """End the comparison under way; its queries end in both servers."""

    key, title, screens, acts, shown = "x", "cancel comparison", ("replication",), True, False

    def missing(self, ctx: ActionContext) -> str | None:
        return None if running_comparison(ctx) is not None else "no comparison is under way"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row = running_comparison(ctx)
        assert row is not None
        facts = (("ends", comparison_words(row, ctx.store.wall)), ("then", "there is no verdict; it begins anew"))
        navigator.confirm(f"Cancel {row.id}", facts, navigator.send_cancel_comparison)
