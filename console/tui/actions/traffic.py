"""Keys of the traffic screen."""

from __future__ import annotations

from typing import Any

from console.tui.actions.base import ActionContext, Effect, FormValues, Navigation
from state.api.requests import PlanChange, PlanEvacuate, PlanShare, PlanUndo
from state.api.views.runbooks import Param, RunbooksView, RunRow
from state.api.views.traffic import BackendRow, DnsRow, ServerRow, TrafficView
from state.units import parse_duration

MOST_WEIGHT = 256
"""The highest weight a server may have, HAProxy management guide, `set server … weight`."""


ALL = "everywhere"
TEMPORARY = (
    Param("for", "duration", "", (), False, title="for how long, then it ends by itself"),
    Param("comment", "text", "", (), False, title="why; required with a time"),
)
"""What every set asks about its end."""


def _server(row: ServerRow) -> dict[str, Any]:
    return {"balancer": row.balancer, "backend": row.backend, "server": row.server}


class ServerAction(Effect):
    """A change of the selected server."""

    screens = ("traffic",)
    on = ("servers",)

    def missing(self, ctx: ActionContext) -> str | None:
        return None if isinstance(ctx.row, ServerRow) else "select a server first (Tab)"


class ChangeWeight(ServerAction):
    """Propose another weight for the selected server."""

    key, title = "w", "weight"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: ServerRow = ctx.row
        weight = Param("weight", "whole", str(row.weight), (), True, title=f"its share of requests, 0 to {MOST_WEIGHT}")

        def check(answers: FormValues) -> str | None:
            text = answers["weight"]
            valid = text.isascii() and text.isdigit() and int(text) <= MOST_WEIGHT
            return None if valid else f"a weight is a whole number from 0 to {MOST_WEIGHT}"

        def then(answers: FormValues) -> None:
            navigator.preview(PlanChange("server.weight", {**_server(row), "weight": int(answers["weight"])}))

        navigator.ask(f"Weight of {row.server} in {row.balancer}/{row.backend}", (weight,), then, check)


class DrainServer(ServerAction):
    """Propose to send no new connections to the selected server; its open connections continue."""

    key, title = "d", "drain"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.preview(PlanChange("server.drain", _server(ctx.row)))


class ReadyServer(ServerAction):
    """Propose to let the selected server take traffic again."""

    key, title = "r", "ready"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.preview(PlanChange("server.ready", _server(ctx.row)))


class FlipBackend(Effect):
    """Propose to move all traffic of a backend to one of its colours (blue-green)."""

    key, title, screens, on = "f", "flip", ("traffic",), ("backends", "servers")

    def missing(self, ctx: ActionContext) -> str | None:
        return None if isinstance(ctx.row, ServerRow | BackendRow) else "select a backend or server first"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: ServerRow | BackendRow = ctx.row
        backend = backend_of(ctx)
        if backend is not None and backend.routes:
            _ask_route(backend, navigator)
            return
        fixed = {"balancer": row.balancer, "backend": row.backend}
        if isinstance(row, ServerRow):
            navigator.preview(PlanChange("backend.flip", {**fixed, "to": row.colour or row.server}))
            return
        view = ctx.store.view(TrafficView)
        assert view is not None
        here = [s for s in view.servers.values() if (s.balancer, s.backend) == (row.balancer, row.backend)]
        names = tuple(dict.fromkeys(s.colour or s.server for s in here))
        carrying = {s.colour or s.server for s in here if s.share}
        idle = next((name for name in names if name not in carrying), "")
        target = Param("to", "server", idle, names, True, title="the colour or server that takes all traffic")
        navigator.ask(
            f"Flip {row.balancer}/{row.backend} to",
            (target,),
            lambda answers: navigator.preview(PlanChange("backend.flip", {**fixed, "to": answers["to"]})),
        )


class SetAddresses(Effect):
    """Propose other answers for the selected DNS record, by default those that the estate expects."""

    key, title, screens, on = "a", "addresses", ("traffic",), ("dns",)

    def missing(self, ctx: ActionContext) -> str | None:
        return None if isinstance(ctx.row, DnsRow) and ctx.row.zone else "select a DNS record first (Tab)"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: DnsRow = ctx.row
        what = "the whole name it is an alias of" if row.type == "CNAME" else "addresses"
        answers = Param("answers", "text", row.expected, (), True, title=what)
        ttl = Param("ttl", "duration", "", (), False, title="how long to keep answers, as 30s")

        def then(given: FormValues) -> None:
            values = given["answers"].replace(",", " ").split()
            args: dict[str, Any] = {"zone": row.zone, "record": row.record}
            args[row.type.lower()] = values[0] if row.type == "CNAME" else values
            args |= {"ttl": given["ttl"]} if given.get("ttl") else {}
            navigator.preview(PlanChange("dns.set", args))

        def check(given: FormValues) -> str | None:
            values = given["answers"].replace(",", " ").split()
            return None if row.type != "CNAME" or len(values) == 1 else "an alias leads to one name"

        navigator.ask(f"Answers of {row.name}", (answers, ttl), then, check)


def _ask_route(backend: BackendRow, navigator: Navigation) -> None:
    """The flip of a service whose colours are backends: its map leads to another one."""
    service = backend.service.split(", ")[0]
    target = Param("to", "colour", backend.routes[0], backend.routes, True, title="the colour whose backend takes it")
    args = {"balancer": backend.balancer, "service": service}
    navigator.ask(
        f"Lead {service} on {backend.balancer} to",
        (target,),
        lambda answers: navigator.preview(PlanChange("backend.route", {**args, "to": answers["to"]})),
    )


class ShareService(Effect):
    """Propose to give a colour a share of the service's traffic, on every balancer or on this one, for good or for a
    time."""

    key, title, screens, on = "s", "share", ("traffic",), ("backends", "servers")

    def missing(self, ctx: ActionContext) -> str | None:
        backend = backend_of(ctx)
        if backend is None:
            return "select a backend or server first"
        return None if backend.service else f"no service of the estate uses {backend.key}"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        backend, view = backend_of(ctx), ctx.store.view(TrafficView)
        assert backend is not None
        assert view is not None
        service = backend.service.split(", ")[0]
        here = [s for s in view.servers.values() if (s.balancer, s.backend) == (backend.balancer, backend.backend)]
        names = tuple(dict.fromkeys(s.colour or s.server for s in here))
        least = min(names, key=lambda name: sum(s.share for s in here if (s.colour or s.server) == name), default="")
        params = (
            Param("to", "server", least, names, True, title="the colour or server that gets the share"),
            Param("percent", "whole", "10", (), True, title="its share of the traffic, 0 to 100"),
            Param(
                "where", "choice", ALL, (ALL, backend.balancer), True, title="on every balancer of the service, or here"
            ),
            *TEMPORARY,
        )

        def then(answers: FormValues) -> None:
            where = () if answers["where"] == ALL else (backend.balancer,)
            percent = int(answers["percent"])
            request = PlanShare(
                service=service, to=answers["to"], percent=percent, balancers=where, **temporary_of(answers)
            )
            navigator.preview(request)

        navigator.ask(f"Share of {service}", params, then, _wrong_share)


class EvacuateSite(Effect):
    """Propose to give the servers that stand at a site no traffic, on every balancer."""

    key, title, screens, on = "v", "evacuate", ("traffic",), ("backends", "servers")

    def missing(self, ctx: ActionContext) -> str | None:
        return None if backend_of(ctx) is not None else "select a backend or server first"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        view, backend = ctx.store.view(TrafficView), backend_of(ctx)
        assert view is not None
        assert backend is not None
        sites = tuple(dict.fromkeys(row.site for row in view.backends.values()))
        site = Param("site", "text", backend.site, sites, True, title="the site to leave")

        def then(answers: FormValues) -> None:
            navigator.preview(PlanEvacuate(site=answers["site"], **temporary_of(answers)))

        navigator.ask("Evacuate a site", (site, *TEMPORARY), then, wrong_time)


class UndoLast(Effect):
    """Propose to undo what the last run did here; refused where the balancers are not as it left them."""

    key, title, screens, on = "z", "undo last", ("traffic",), ("backends", "servers")

    def _last(self, ctx: ActionContext) -> RunRow | None:
        backend, view = backend_of(ctx), ctx.store.view(RunbooksView)
        if backend is None or view is None:
            return None
        here = [run for run in view.runs.values() if backend.key in run.targets]
        return max(here, key=lambda run: run.started_at, default=None)

    def missing(self, ctx: ActionContext) -> str | None:
        run = self._last(ctx)
        if run is None:
            return "no run that is still listed changed this backend"
        return None if PlanUndo.do in run.next_actions else f"{run.id} ({run.title}) has nothing to undo, or is open"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        run = self._last(ctx)
        assert run is not None
        navigator.preview(PlanUndo(run.id))


def backend_of(ctx: ActionContext) -> BackendRow | None:
    """The backend under the cursor, or that of the server under the cursor."""
    if isinstance(ctx.row, BackendRow):
        return ctx.row
    view = ctx.store.view(TrafficView)
    if view is None or not isinstance(ctx.row, ServerRow):
        return None
    return view.backends.get(f"{ctx.row.balancer}/{ctx.row.backend}")


def temporary_of(answers: FormValues) -> dict[str, Any]:
    """What a form says about the end."""
    time = answers.get("for", "").strip()
    return {"lasts": parse_duration(time) if time else 0.0, "comment": answers.get("comment", "")}


def wrong_time(answers: FormValues) -> str | None:
    """Why the end that a form has is none; None when it is, or when there is none."""
    try:
        lasts = temporary_of(answers)["lasts"]
    except ValueError as error:
        return str(error)
    return "a temporary change needs a comment: why?" if lasts and not answers.get("comment", "").strip() else None


def _wrong_share(answers: FormValues) -> str | None:
    text = answers["percent"]
    if not (text.isascii() and text.isdigit() and int(text) <= 100):
        return "a share is a whole number from 0 to 100"
    return wrong_time(answers)
