"""Keys of the replication screen. What is seldom done has no key: the palette has it."""

from __future__ import annotations

from typing import Any, ClassVar

from console.tui.actions.base import ActionContext, Effect, Navigation
from state.api.requests import PlanChange
from state.api.views.replication import ClusterRow, NodeRow, ReplicationView, SlotRow

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
        return None if self._node(ctx) else "which node has the slot is not known"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: SlotRow = ctx.row
        args: dict[str, Any] = {"database": row.cluster, "node": self._node(ctx), "slot": row.name}
        navigator.preview(PlanChange("database.drop-slot", args))

    @staticmethod
    def _node(ctx: ActionContext) -> str:
        """The node of its source, `postgres:orders/n1`."""
        return str(ctx.row.source).rpartition("/")[2]
