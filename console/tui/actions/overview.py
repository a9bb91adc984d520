"""Keys of the overview."""

from __future__ import annotations

from console.tui.actions.base import Action, ActionContext, Navigation
from state.api.views.overview import ServiceRow
from state.health import Health

WORST_FIRST = (Health.FAIL, Health.UNKNOWN, Health.WARN, Health.PASS)


class OpenTraffic(Action):
    """Go to the backend of the selected service, on the Traffic screen."""

    key, title, screens, on = "t", "traffic", ("overview",), ("services",)

    def missing(self, ctx: ActionContext) -> str | None:
        return None if isinstance(ctx.row, ServiceRow) else "select a service first"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        # Only here: the footer checks `missing` every second, and the traffic may be thousands of rows.
        backend = self._backend(ctx)
        if backend:
            navigator.open_place("traffic", "backends", backend)
        else:
            navigator.say(f"{self.title}: no backend of {ctx.row.name} is known")

    def _backend(self, ctx: ActionContext) -> str:
        """The worst of the service's backends."""
        view = ctx.store.view("traffic")
        mine = [row for row in view.backends.values() if row.service == ctx.row.name] if view is not None else []
        mine.sort(key=lambda row: (WORST_FIRST.index(row.health), row.key))
        return str(mine[0].key) if mine else ""
