"""Keys of the traffic screen."""

from __future__ import annotations

from typing import Any

from console.tui.actions.base import ActionContext, Effect, FormValues, Navigation
from state.api.requests import PlanChange
from state.api.views.runbooks import Param
from state.api.views.traffic import BackendRow, DnsRow, ServerRow, TrafficView

MOST_WEIGHT = 256
"""The highest weight a server may have, HAProxy management guide, `set server … weight`."""


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
