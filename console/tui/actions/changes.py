"""Keys that propose a change of the outside world: traffic, database, and the faults of a lab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.tui.actions.base import ActionContext, Effect, FormValues, Navigation
from state.api.views.replication import NodeRow
from state.api.views.runbooks import Param
from state.api.views.traffic import BackendRow, ServerRow

MOST_WEIGHT = 256
"""The highest weight a server may have, HAProxy management guide, `set server … weight`."""
FAULTS = (
    "bad-release",
    "freeze-primary",
    "kill-node",
    "cut-replication",
    "split-brain",
    "hang-source",
    "wrong-dns",
)


def change(kind: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """The request that previews one change."""
    return {"do": "change", "kind": kind, "args": dict(args)}


def _server(row: ServerRow) -> dict[str, Any]:
    return {"balancer": row.balancer, "backend": row.backend, "server": row.server}


class ServerAction(Effect):
    """A change of the selected server."""

    screens = ("traffic",)

    def missing(self, ctx: ActionContext) -> str | None:
        return None if isinstance(ctx.row, ServerRow) else "select a server first (Tab)"


class ChangeWeight(ServerAction):
    """Propose another weight for the selected server."""

    key, title = "w", "weight"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        row: ServerRow = ctx.row
        weight = Param("weight", "whole", str(row.weight), (), True)

        def then(answers: FormValues) -> None:
            text = answers["weight"]
            if not (text.isascii() and text.isdigit() and int(text) <= MOST_WEIGHT):
                desk.say(f"a weight is a whole number from 0 to {MOST_WEIGHT}")
                return
            desk.preview(change("server.weight", {**_server(row), "weight": int(text)}))

        desk.ask(f"Weight of {row.server} in {row.balancer}/{row.backend}", (weight,), then)


class DrainServer(ServerAction):
    """Propose to send no new connections to the selected server; those it has go on."""

    key, title = "d", "drain"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.preview(change("server.drain", _server(ctx.row)))


class ReadyServer(ServerAction):
    """Propose to let the selected server take traffic again."""

    key, title = "r", "ready"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.preview(change("server.ready", _server(ctx.row)))


class FlipBackend(Effect):
    """Propose to move all traffic of a backend to one of its servers (blue-green)."""

    key, title, screens = "f", "flip", ("traffic",)

    def missing(self, ctx: ActionContext) -> str | None:
        return None if isinstance(ctx.row, ServerRow | BackendRow) else "select a backend or server first"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        row: ServerRow | BackendRow = ctx.row
        fixed = {"balancer": row.balancer, "backend": row.backend}
        if isinstance(row, ServerRow):
            desk.preview(change("backend.flip", {**fixed, "to": row.server}))
            return
        view = ctx.store.traffic
        assert view is not None
        here = [s for s in view.servers.values() if (s.balancer, s.backend) == (row.balancer, row.backend)]
        idle = next((s.server for s in here if not s.share), "")
        target = Param("to", "server", idle, tuple(s.server for s in here), True)
        desk.ask(
            f"Flip {row.balancer}/{row.backend} to",
            (target,),
            lambda answers: desk.preview(change("backend.flip", {**fixed, "to": answers["to"]})),
        )


class SwitchOver(Effect):
    """Propose to move the primary role of a database to another node, in order."""

    key, title, screens = "s", "switchover", ("replication",)

    def missing(self, ctx: ActionContext) -> str | None:
        if not isinstance(ctx.row, NodeRow):
            return "select a node first"
        return "this node is the primary already" if ctx.row.role in {"primary", "leader"} else None

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        row: NodeRow = ctx.row
        desk.preview(change("database.switchover", {"database": row.cluster, "to": row.node}))


class FaultAction(Effect):
    """A fault of the lab."""

    def missing(self, ctx: ActionContext) -> str | None:
        header = ctx.store.header
        return None if header is not None and header.environment == "lab" else "faults exist in a lab only"


class InjectFault(FaultAction):
    """Break something in the lab on purpose, for a stated time."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    @property
    def id(self) -> str:
        return f"fault-{self._fault}"

    @property
    def name(self) -> str:
        return f"fault {self._fault}"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        seconds = Param("seconds", "whole", "120", (), True)

        def then(answers: FormValues) -> None:
            text = answers["seconds"]
            if not (text.isascii() and text.isdigit() and int(text) > 0):
                desk.say("a fault lasts a whole number of seconds")
                return
            desk.preview(change("fault.inject", {"fault": self._fault, "seconds": int(text)}))

        desk.ask(f"Fault {self._fault}: for how long", (seconds,), then)


class LiftFault(FaultAction):
    """End a fault of the lab before its time."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    @property
    def id(self) -> str:
        return f"lift-{self._fault}"

    @property
    def name(self) -> str:
        return f"lift fault {self._fault}"

    def perform(self, ctx: ActionContext, desk: Navigation) -> None:
        desk.preview(change("fault.lift", {"fault": self._fault}))
