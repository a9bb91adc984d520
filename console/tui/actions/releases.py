"""Keys of the releases screen."""

from __future__ import annotations

from dataclasses import replace

from console.tui.actions.base import ActionContext, Effect, Navigation
from state.api.requests import PlanRollback
from state.api.views.releases import InstanceRow, ReleaseRow, ReleaseServiceRow, ReleaseStanding, ReleasesView


class RollBackRelease(Effect):
    """Propose to take the service back: to the selected release, else to the best one that is safe."""

    key, title, screens = "r", "roll back", ("releases",)
    on = ("services", "releases")

    def missing(self, ctx: ActionContext) -> str | None:
        row = ctx.row
        if isinstance(row, ReleaseRow):
            if row.standing is ReleaseStanding.OFFERED:
                return None
            return "this release is not safe to go back to: its reasons are in the detail"
        service = self._service(ctx)
        if service is None:
            return "select a service first"
        return None if service.offered else f"no release is safe to go back to. {service.forward}"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.preview(self._request(ctx))

    def _request(self, ctx: ActionContext) -> PlanRollback:
        row = ctx.row
        if isinstance(row, ReleaseRow):
            return PlanRollback(row.service, row.digest)
        service = self._service(ctx)
        assert service is not None, "looked for before"
        return PlanRollback(service.service, service.offered)

    @staticmethod
    def _service(ctx: ActionContext) -> ReleaseServiceRow | None:
        """The service of the row under the cursor."""
        row = ctx.row
        if isinstance(row, ReleaseServiceRow):
            return row
        view = ctx.store.view(ReleasesView)
        return view.services.get(row.service) if view is not None and isinstance(row, InstanceRow) else None


class RampBackRelease(RollBackRelease):
    """The same in steps: more and more of the traffic, where colours share a backend."""

    key, title = "R", "roll back by a ramp"

    def _request(self, ctx: ActionContext) -> PlanRollback:
        return replace(super()._request(ctx), ramp=True)
