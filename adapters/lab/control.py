"""The lab's control socket: HTTP over a Unix socket that only its owner may use.

    GET /status · GET /faults · POST /faults/NAME {target, seconds} · DELETE /faults/NAME
    PUT /links/NAME {mode, delay} · GET /orders/lost · POST /down
    GET /nodes/NAME · POST /nodes/NAME/fence, rejoin or rebuild · GET /schema · POST /schema/VERSION

Errors are 404 (no such fault, link or node), 409 (not possible now), 400 (malformed), 504 (not confirmed), each with
{"error": text}.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.lab.cluster import SQL_ERRORS, Cluster
from adapters.lab.errors import LabError, LabUnknownError, NoSuchFaultError
from adapters.lab.faults.schedule import FaultSchedule
from adapters.lab.links.links import Mode
from adapters.lab.links.wiring import Wiring
from adapters.lab.nodes import NodeActs
from adapters.lab.schema_moves import SchemaMoves
from adapters.lab.services.load import Load
from state.config_files.suggestions import not_found

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except NoSuchFaultError as error:
        return web.json_response({"error": str(error)}, status=404)
    except LabUnknownError as error:
        return web.json_response({"error": str(error)}, status=504)
    except LabError as error:
        return web.json_response({"error": str(error)}, status=409)


async def _body(request: web.Request) -> dict[str, Any]:
    text = await request.text()
    try:
        body = json.loads(text or "{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text=json.dumps({"error": "the body must be a JSON object"}))
    return body


def _number(body: dict[str, Any], key: str) -> float | None:
    value = body.get(key)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise web.HTTPBadRequest(text=json.dumps({"error": f"{key} must be a number of seconds"}))


class LabControl:
    """Serves the control socket of one lab."""

    def __init__(self, status: Callable[[], dict[str, Any]], down: asyncio.Event) -> None:
        self._status = status
        self._down = down
        self._runner: web.AppRunner | None = None
        self._parts: tuple[FaultSchedule, Wiring, Cluster] | None = None
        self._load: Load | None = None
        self._acts: NodeActs | None = None

    def attach(self, schedule: FaultSchedule, wiring: Wiring, cluster: Cluster, acts: NodeActs) -> None:
        """Allow faults and acts on nodes, once the lab is live."""
        self._parts, self._acts = (schedule, wiring, cluster), acts

    def attach_load(self, load: Load) -> None:
        self._load = load

    async def start(self, path: Path) -> None:
        """Listen. Raises OSError."""
        app = web.Application(middlewares=[_errors])
        app.router.add_get("/status", self._get_status)
        app.router.add_get("/faults", self._get_faults)
        app.router.add_post("/faults/{name}", self._inject)
        app.router.add_delete("/faults/{name}", self._undo)
        app.router.add_put("/links/{name}", self._set_link)
        app.router.add_get("/nodes/{name}", self._node_state)
        for act in ("fence", "rejoin", "rebuild"):
            app.router.add_post(f"/nodes/{{name}}/{{act:{act}}}", self._act_on_node)
        app.router.add_get("/schema", self._schema)
        app.router.add_post(r"/schema/{version:[0-9]{1,9}}", self._move_schema)
        app.router.add_get("/orders/lost", self._lost)
        app.router.add_post("/down", self._go_down)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(path)).start()
        os.chmod(path, 0o600)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _live(self) -> tuple[FaultSchedule, Wiring, Cluster]:
        if self._parts is None:
            raise LabError("the lab is still starting")
        return self._parts

    async def _get_status(self, _request: web.Request) -> web.Response:
        return web.json_response(self._status())

    async def _get_faults(self, _request: web.Request) -> web.Response:
        schedule = self._live()[0]
        return web.json_response({"catalogue": schedule.catalogue(), "injected": schedule.active()})

    async def _inject(self, request: web.Request) -> web.Response:
        body = await _body(request)
        target = body.get("target")
        if target is not None and not isinstance(target, str):
            raise web.HTTPBadRequest(text=json.dumps({"error": "target must be a name"}))
        schedule = self._live()[0]
        return web.json_response(await schedule.inject(request.match_info["name"], target, _number(body, "seconds")))

    async def _undo(self, request: web.Request) -> web.Response:
        return web.json_response(await self._live()[0].undo(request.match_info["name"]))

    async def _set_link(self, request: web.Request) -> web.Response:
        body = await _body(request)
        name, wiring = request.match_info["name"], self._live()[1]
        if name not in wiring.names():
            raise NoSuchFaultError(str(not_found("link", name, wiring.names())))
        try:
            mode = Mode(str(body.get("mode")))
        except ValueError:
            raise NoSuchFaultError(str(not_found("mode", str(body.get("mode")), list(Mode)))) from None
        delay = _number(body, "delay")
        await wiring.set(name, mode, 0.3 if delay is None else delay)
        return web.json_response(wiring.status()[name])

    def _nodes(self) -> NodeActs:
        if self._acts is None:
            raise LabError("the lab is still starting")
        return self._acts

    async def _node_state(self, request: web.Request) -> web.Response:
        return web.json_response(self._nodes().state(request.match_info["name"]))

    async def _act_on_node(self, request: web.Request) -> web.Response:
        acts, name = self._nodes(), request.match_info["name"]
        act = {"fence": acts.fence, "rejoin": acts.rejoin, "rebuild": acts.rebuild}[request.match_info["act"]]
        return web.json_response({"done": await act(name)})

    async def _schema(self, _request: web.Request) -> web.Response:
        return web.json_response({"version": await SchemaMoves(self._live()[2]).version()})

    async def _move_schema(self, request: web.Request) -> web.Response:
        done = await SchemaMoves(self._live()[2]).move(int(request.match_info["version"]))
        return web.json_response({"done": done})

    async def _lost(self, _request: web.Request) -> web.Response:
        """Compare the acknowledged orders with the primary."""
        cluster = self._live()[2]
        acknowledged = list(self._load.acknowledged) if self._load is not None else []
        try:
            lost = await cluster.lost_orders(acknowledged)
        except (*SQL_ERRORS, LookupError) as error:
            raise LabError(f"lost orders unknown, the primary did not answer: {error}") from error
        return web.json_response({"acknowledged": len(acknowledged), "lost": len(lost), "numbers": lost[:100]})

    async def _go_down(self, _request: web.Request) -> web.Response:
        self._down.set()
        return web.json_response({"state": "going down"})
