"""The estate's own changes as targets of the crash sweep: a command, a call over HTTP and a statement."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import web

from adapters.lab.client import LabClient
from tests.contract.components import answers, haproxies, wait_for
from tests.crash.targets import Truth
from tests.crash.trials import Target

SEND = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b"\\n")
said = s.recv(4096).decode()
sys.exit(0 if said.startswith(sys.argv[3]) else 1)
"""
QUICK = {"risk": "B1", "quiet": "1s", "settle": "200ms", "timeout": "12s"}
LIMIT = 30.0


def command(lab: LabClient, truth: Truth) -> Target:
    """A program that sets a weight at HAProxy's socket."""
    socket = str(truth.socket("west"))

    async def read() -> Any:
        return (await truth.servers("west", "catalog"))["a"]

    async def reset() -> None:
        assert (await truth.haproxy("west", "set server catalog/a weight 100")).strip() == ""

    def own() -> dict[str, Any]:
        argv = [sys.executable, "-c", SEND, "socket of edge-west", "set server catalog/a weight ${to}", ""]
        done = [sys.executable, "-c", SEND, socket, "get weight catalog/a", "${to} "]
        entry = {"argv": argv, "params": {"to": {"kind": "number"}}, "read": {"argv": done}, **QUICK}
        return {"commands": {"weight": entry}}

    args = {"command": "weight", "args": {"to": 66}}
    sections = ("balancers", "services")
    return Target(
        "command.run", args, sections, read, lambda was: (66, was[1]),
        seconds=LIMIT, prepare=reset, reset=reset, own=own,
    )  # fmt: skip


ROUTED = """
global
  stats socket {folder}/own.sock level admin mode 600
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend f
  bind {folder}/front.sock
  use_backend %[str(x.test),map_str({folder}/led.map,a)]
backend a
  server s {folder}/nobody.sock
backend b
  server s {folder}/nobody.sock
"""


def route(lab: LabClient, truth: Truth) -> Target:
    """A balancer of its own with a map that leads to one of two backends."""
    started: list[subprocess.Popen[bytes]] = []
    place = Path(tempfile.mkdtemp(prefix="rm-", dir="/tmp"))

    async def asked(command: str) -> str:
        reader, writer = await asyncio.open_unix_connection(str(place / "own.sock"))
        writer.write(command.encode() + b"\n")
        said = (await reader.read()).decode()
        writer.close()
        return said

    async def start() -> None:
        (place / "led.map").write_text("x.test a\n")
        (place / "h.cfg").write_text(ROUTED.format(folder=place))
        program = next(iter(haproxies().values()))
        started.append(subprocess.Popen([program, "-db", "-f", place / "h.cfg"], env={}))
        wait_for(lambda: answers(place / "own.sock"))

    async def stop() -> None:
        started[-1].kill()
        started[-1].wait()
        shutil.rmtree(place, ignore_errors=True)

    async def read() -> Any:
        return (await asked(f"show map {place}/led.map")).split()[1:]

    def own() -> dict[str, Any]:
        balancer = {"kind": "haproxy", "site": "east", "socket": str(place / "own.sock"), "maps": [f"{place}/led.map"]}
        routes = {"map": f"{place}/led.map", "key": "x.test", "backends": {"first": "a", "second": "b"}}
        traffic = {"balancers": ["own"], "backend": "a", "routes": routes}
        service = {"tier": 1, "rto": "5m", "rpo": "0B", "traffic": traffic}
        return {"balancers": {"own": balancer}, "services": {"led": service}}

    args = {"balancer": "own", "service": "led", "to": "second"}
    return Target(
        "backend.route", args, ("none",), read, lambda was: ["x.test", "b"],
        seconds=LIMIT, prepare=start, reset=stop, own=own,
    )  # fmt: skip


def call(lab: LabClient, truth: Truth) -> Target:
    """A service that holds a release."""
    held: dict[str, Any] = {"release": "v1", "count": 0}
    runners: list[web.AppRunner] = []

    async def serve(request: web.Request) -> web.Response:
        if request.method == "PUT":
            held.update(release=(await request.json())["release"], count=held["count"] + 1)
        return web.json_response(held)

    async def start() -> None:
        app = web.Application()
        app.router.add_route("*", "/release", serve)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()

    async def stop() -> None:
        await runners[-1].cleanup()

    async def read() -> Any:
        return held["release"], held["count"]

    def own() -> dict[str, Any]:
        url = f"http://127.0.0.1:{runners[-1].addresses[0][1]}/release"
        read = {
            "url": url,
            "done": {"field": "release", "equals": "v2"},
            "not_done": {"field": "release", "equals": "v1"},
        }
        return {
            "http_calls": {"deploy": {"method": "PUT", "url": url, "body": {"release": "v2"}, "read": read, **QUICK}}
        }

    return Target(
        "http.call", {"call": "deploy", "args": {}}, ("none",), read, lambda was: ("v2", 1),
        seconds=LIMIT, prepare=start, reset=stop, own=own,
    )  # fmt: skip


def statement(lab: LabClient, truth: Truth) -> Target:
    """A row of a table at the primary; how often it was changed is in the row."""
    password = lab.directory / "secrets" / "superuser"

    async def at_primary(query: str) -> Any:
        leader, _ = await truth.writer()
        node = lab.description()["nodes"][leader]
        connection = await asyncpg.connect(
            host=node["host"], port=node["postgres"], user="superuser", password=password.read_text().strip(),
            database="postgres", ssl=False, timeout=5, command_timeout=10,
        )  # fmt: skip
        try:
            if query.startswith("select"):
                return tuple(await connection.fetchrow(query))
            return await connection.execute(query)
        finally:
            await connection.close()

    async def fresh() -> None:
        await at_primary(
            "drop table if exists own_jobs; drop table if exists own_effects;"
            "create table own_effects (effect text primary key); create table own_jobs (runs int);"
            "insert into own_jobs values (0)"
        )

    async def read() -> Any:
        return await at_primary("select runs, (select count(*) from own_effects) from own_jobs")

    def own() -> dict[str, Any]:
        entry = {
            "database": "orders",
            "user": "superuser",
            "password": {"file": str(password)},
            "statement": "update own_jobs set runs = runs + $1",
            "values": ["${by}"],
            "params": {"by": {"kind": "number"}},
            "rows": 1,
            "record": "own_effects",
            **QUICK,
        }
        return {"sql_calls": {"count": entry}}

    args = {"statement": "count", "args": {"by": 1}}
    return Target(
        "sql.call", args, ("databases",), read, lambda was: (was[0] + 1, was[1] + 1), 0,
        seconds=LIMIT, prepare=fresh, own=own,
    )  # fmt: skip
