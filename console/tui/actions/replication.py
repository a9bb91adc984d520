"""Keys of the replication screen."""

from __future__ import annotations

from console.tui.actions.base import ActionContext, Effect, Navigation
from state.api.requests import PlanChange
from state.api.views.replication import NodeRow


class SwitchOver(Effect):
    """Propose a planned switchover of a database to another node."""

    key, title, screens, on = "s", "switchover", ("replication",), ("nodes",)

    def missing(self, ctx: ActionContext) -> str | None:
        if not isinstance(ctx.row, NodeRow):
            return "select a node first"
        return "this node is already the primary" if ctx.row.role in {"primary", "leader"} else None

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: NodeRow = ctx.row
        navigator.preview(PlanChange("database.switchover", {"database": row.cluster, "to": row.node}))
