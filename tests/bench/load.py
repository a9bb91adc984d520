"""Load roles, each a process of its own: `python -m tests.bench.load ROLE …` prints `ready` when it serves.

farm PORT COUNT     HTTP servers on COUNT ports from PORT: figures as Prometheus gives them (the same ones each time
                    below the path /still), and Patroni's answers
hole PORT SOCKET    accepts on a port and a Unix socket, and never answers
clients PORT N      N closed-loop HTTP clients until SIGTERM; then prints `started server` for each request
sessions SECONDS …  30 PostgreSQL sessions, for peers that watch sessions
weights B S PATH …  another weight once a second for the S servers of each of the B backends of the HAProxy there
writer PORT USER PASSWORD
                    inserts 1, 2, 3 … into `ledger (n)`, each as soon as the one before is answered, over a new
                    connection after each error, until SIGTERM; then prints `answered number` for each acknowledged row
bulk PORT           two connections that insert 25 KB at a time into `bulk (t)` until an error
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

COUNTER = itertools.count(1)
SERVICES = tuple(f"service-{number}" for number in range(10))
SAMPLES = 20


def prometheus(path: str, *, still: bool = False) -> bytes:
    """An answer about ten services to the query in this path: their best series, its samples, where they are
    counted, what is down of that, or their figures."""
    query = parse_qs(urlsplit(path).query).get("query", [""])[0]
    if query.startswith("topk"):
        return _answer("vector", [({"service": name}, SAMPLES) for name in SERVICES])
    if query.startswith("group by"):
        return _answer(
            "vector", [({"service": name, "job": "app", "instance": f"{name}:80"}, 1.0) for name in SERVICES]
        )
    if query.startswith("max_over_time(up"):
        return _answer("vector", [])
    if query.endswith("]"):
        return _answer("matrix", [({"service": "service-0"}, 0.0)])
    return figures(still=still)


def figures(*, still: bool = False) -> bytes:
    """All figures as one instant query has them, about 2 KB; the rate moves with every answer, unless still."""
    rows: list[tuple[dict[str, str], float]] = []
    tick = 0 if still else next(COUNTER)
    for number, name in enumerate(SERVICES):
        labels = {"service": name, "release": "v41"}
        rows.append((labels | {"recovery_figure": "rate"}, 20 + (tick + number) % 17))
        rows.append(({"service": name, "recovery_figure": "age"}, 0.4))
    return _answer("vector", rows)


def _answer(kind: str, rows: list[tuple[dict[str, str], float]]) -> bytes:
    """A vector now, or a matrix of samples that came every second."""
    now = time.time()
    result: list[dict[str, Any]] = [{"metric": labels, "value": [now, str(value)]} for labels, value in rows]
    if kind == "matrix":
        result = [{"metric": x, "values": [[now - ago, str(v)] for ago in range(SAMPLES, 0, -1)]} for x, v in rows]
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


def patroni(path: str) -> bytes:
    """What a member under /SCOPE/NODE answers; node `a` leads, `b` follows."""
    _, scope, node, what = path.split("/", 3)
    if what == "config":
        return b"{}"
    members = [
        {"name": "a", "role": "leader", "state": "running", "timeline": 1},
        {"name": "b", "role": "replica", "state": "streaming", "timeline": 1, "lag": 0},
    ]
    if what == "cluster":
        return json.dumps({"members": members, "scope": scope}).encode()
    own = {
        "state": "running",
        "role": "primary" if node == "a" else "replica",
        "timeline": 1,
        "xlog": {"location": 1} if node == "a" else {"received_location": 1, "replayed_location": 1},
        "database_system_identifier": "1",
        "dcs_last_seen": int(time.time()),
        "patroni": {"version": "4.1.0", "scope": scope, "name": node},
    }
    return json.dumps(own).encode()


class Site(asyncio.Protocol):
    """One kept connection; answers every request by its path."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._held = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            path = self._held[:end].split(b" ", 2)[1].decode("ascii")
            self._held = self._held[end + 4 :]
            assert self.transport is not None
            body = self._body(path)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nX-Server: {self._name}\r\n\r\n"
            self.transport.write(head.encode() + body)

    def _body(self, path: str) -> bytes:
        if path.startswith("/fixed"):
            return FIXED
        if path.startswith(("/api/", "/still/")):
            return prometheus(path, still=path.startswith("/still/"))
        return patroni(path) if path.count("/") >= 3 else b"ok\n"


FIXED = figures()


async def farm(port: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    for number in range(count):
        await loop.create_server(partial(Site, f"srv{number:03d}"), "127.0.0.1", port + number, backlog=500)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def hole(port: int, path: Path) -> None:
    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    await asyncio.start_server(silent, "127.0.0.1", port)
    await asyncio.start_unix_server(silent, path)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def clients(port: int, count: int) -> None:
    """Each request is told as the instant it started (CLOCK_MONOTONIC) and the server that answered."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    told: list[str] = []

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not ending.is_set():
            started = time.monotonic()
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            await reader.readexactly(int(fields[b"content-length"]))
            told.append(f"{started!r} {fields[b'x-server'].decode()}")

    print("ready", flush=True)
    await asyncio.gather(*(ask() for _ in range(count)))
    print("\n".join(told), flush=True)


async def sessions(seconds: float, port: int, user: str, password: str) -> None:
    import asyncpg

    end = time.monotonic() + seconds

    async def work(number: int) -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=port, user=user, password=password, database="postgres", ssl=False
        )
        while time.monotonic() < end:
            await connection.execute(f"select pg_sleep({0.2 + random.random() * 2:.2f}) /* session {number} */")
        await connection.close()

    print("ready", flush=True)
    await asyncio.gather(*(work(number) for number in range(30)))


async def weights(backends: int, servers: int, paths: list[str]) -> None:
    """Three digits always, so that the screen's columns do not move."""
    print("ready", flush=True)
    while True:
        started = time.monotonic()
        for path in paths:
            for backend in range(backends):
                names = (f"be{backend:03d}/srv{i:03d}" for i in range(servers))
                line = ";".join(f"set server {name} weight {random.randint(100, 199)}" for name in names)
                reader, writer = await asyncio.open_unix_connection(path)
                writer.write(line.encode() + b"\n")
                told = await reader.read(-1)
                writer.close()
                assert not told.strip(), told
        await asyncio.sleep(max(0.0, started + 1.0 - time.monotonic()))


async def writer(port: int, user: str, password: str) -> None:
    """An insert whose answer did not come may have been carried out: its number is not used again."""
    import asyncpg

    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    acknowledged: list[str] = []
    number = 0
    print("ready", flush=True)
    while not ending.is_set():
        connection = None
        try:
            connection = await asyncpg.connect(
                host="127.0.0.1", port=port, user=user, password=password, database="postgres", ssl=False, timeout=1
            )
            insert = await connection.prepare("insert into ledger (n) values ($1)")
            while not ending.is_set():
                number += 1
                await insert.fetch(number, timeout=2)
                acknowledged.append(f"{time.monotonic()!r} {number}")
                await asyncio.sleep(0.002)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.sleep(0.002)
        finally:
            if connection is not None:
                connection.terminate()
    print("\n".join(acknowledged), flush=True)


async def bulk(port: int) -> None:
    import asyncpg

    async def fill() -> None:
        try:
            connection = await asyncpg.connect(
                host="127.0.0.1", port=port, user="postgres", database="postgres", ssl=False
            )
            while True:
                await connection.execute("insert into bulk (t) select repeat('x', 500) from generate_series(1, 50)")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return

    print("ready", flush=True)
    await asyncio.gather(fill(), fill())


def main() -> None:
    name, *given = sys.argv[1:]
    match name:
        case "farm":
            asyncio.run(farm(int(given[0]), int(given[1])))
        case "hole":
            asyncio.run(hole(int(given[0]), Path(given[1])))
        case "clients":
            asyncio.run(clients(int(given[0]), int(given[1])))
        case "sessions":
            asyncio.run(sessions(float(given[0]), int(given[1]), given[2], given[3]))
        case "weights":
            asyncio.run(weights(int(given[0]), int(given[1]), given[2:]))
        case "writer":
            asyncio.run(writer(int(given[0]), *given[1:]))
        case "bulk":
            asyncio.run(bulk(int(given[0])))


if __name__ == "__main__":
    main()
