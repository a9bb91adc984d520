"""A real pair that gives access, links to it that can be cut, and an engine whose wall clock can be set."""

from __future__ import annotations

import asyncio
import os
import pwd
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from adapters.access.postgres_access import PostgresAccess
from adapters.access.prepared_sql import prepare_sql
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_cluster import PostgresCluster
from adapters.lab.options import LabOptions
from adapters.lab.process.binaries import find_faketime
from adapters.secrets import Secret
from state.estate.access import AccessEntry
from state.granting.model import Bundle
from tests.contract.components import PASSWORD, as_user
from tests.support.plain_pair import Servers, plain_pair
from tests.support.real_engine import EngineProcess, RealEngine, as_program, engine_home

CHUNK = 1 << 16
REJOIN = """
{bin}/pg_ctl -D {data} -m fast stop || true
if ! {bin}/pg_rewind -D {data} --source-server="host=$1 port=$2 user=postgres dbname=postgres"; then
  rm -rf {data}
  {bin}/pg_basebackup -D {data} -X stream -c fast --no-sync -d "host=$1 port=$2 user=postgres"
fi
echo "primary_conninfo = 'host=$1 port=$2 user=postgres application_name={name}'" >> {data}/postgresql.auto.conf
touch {data}/standby.signal
{start}
"""
"""A copy where the WAL that rewinding needs is gone."""


@dataclass
class Link:
    """A way to one server. While it is cut nothing is lost and nothing arrives, as between hosts that cannot reach each
    other for a while."""

    port: int
    at: int = 0
    whole: asyncio.Event = field(default_factory=asyncio.Event)
    held: int = 0
    """Pieces that came while it was cut."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        """Listen."""
        self.whole.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.at = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End every connection."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(task := asyncio.create_task(self._serve(reader, writer)))
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())  # also when it never began

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back: asyncio.StreamWriter | None = None
        try:
            await self._gate()
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
            both = [asyncio.create_task(self._copy(*each)) for each in ((reader, back), (there, writer))]
            self._tasks |= {*both}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()
            self._tasks -= {*both}
        except OSError:
            pass
        finally:
            writer.transport.abort()
            if back is not None:
                back.transport.abort()

    async def _gate(self) -> None:
        if not self.whole.is_set():
            self.held += 1
            await self.whole.wait()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._gate()
                writer.write(data)
                await writer.drain()
            await self._gate()  # also that it was closed is heard later


@dataclass
class AccessSite:
    """Servers a and b, the links by which the engine reaches them, the engine, and a way past it. `leader` leads."""

    servers: Servers
    links: Mapping[str, Link]
    engine: RealEngine
    target: PostgresAccess
    clock: Path
    leader: str = "a"
    down: set[str] = field(default_factory=set)

    @property
    def standby(self) -> str:
        return "b" if self.leader == "a" else "a"

    async def login(self, node: str, user: str, password: str, **settings: str) -> asyncpg.Connection:
        """A session straight at a server."""
        return await asyncpg.connect(
            host="127.0.0.1", port=self.servers.ports[node], user=user, password=password, database="postgres",
            ssl=False, timeout=9, server_settings=settings,
        )  # fmt: skip

    async def admin(self, node: str, statement: str) -> None:
        """One statement of a superuser at a node."""
        host, port = str(self.servers.pair.place), self.servers.ports[node]
        session = await asyncpg.connect(host=host, port=port, user="postgres", database="postgres")
        try:
            await session.execute(statement)
        finally:
            await session.close()

    async def stop(self, node: str, how: str) -> None:
        await asyncio.to_thread(self.servers.pair.control, node, "-m", how, "stop")

    async def begin(self, node: str) -> None:
        await asyncio.to_thread(as_user, "sh", "-c", self.servers.start(node))

    async def promote(self) -> None:
        """The other node leads. The one that led goes on, if it was not stopped, until it `rejoin`s."""
        await self.admin(self.standby, "select pg_promote()")

    async def rejoin(self) -> None:
        """The node that led follows the new leader, rewound."""
        old, new = self.leader, self.standby
        place, program = self.servers.pair.place, self.servers.pair.bin
        text = REJOIN.format(bin=program, data=place / old, name=old, start=self.servers.start(old))
        await self.admin(new, "checkpoint")  # until then its control file names the former timeline
        name = f"rejoin-{old}-now"
        argv = [*self.servers.script(name, text), "127.0.0.1", str(self.servers.ports[new])]
        done = await asyncio.to_thread(subprocess.run, argv, check=False, capture_output=True, text=True, timeout=90)
        if done.returncode:
            log = (place / f"{old}.log").read_text()[-1500:]
            raise RuntimeError(f"{old} does not follow {new}: {done.stderr[-1500:]}\n{log}")
        self.leader = new

    def set_engine_clock(self, seconds: int) -> None:
        """How much the engine's wall clock is off from now on; its monotonic one goes on."""
        self.clock.write_text(f"{seconds:+d}\n")


def _starter(clock: Path) -> Any:
    library = find_faketime(LabOptions())

    def start(argv: Sequence[str], environment: Mapping[str, str], said: Path) -> EngineProcess:
        assert library is not None, "install faketime"
        more = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return as_program(argv, {**environment, **more}, said)

    assert sys.platform == "linux"
    return start


@asynccontextmanager
async def access_site(programs: Path) -> AsyncIterator[AccessSite]:
    """All of it, started; of the PostgreSQL whose programs are there."""
    async with AsyncExitStack() as stack:
        servers = stack.enter_context(plain_pair(programs))
        major = int((servers.pair.place / "a" / "PG_VERSION").read_text())
        await asyncio.to_thread(_prepare, servers, major)
        links = {name: Link(servers.ports[name]) for name in ("a", "b")}
        for link in links.values():
            await link.open()
            stack.push_async_callback(link.close)
        clock = servers.pair.place / "clock"
        clock.write_text("+0\n")
        entry = {**servers.database("a", "b", fenced=False), "access": {"schema_owner": "app"}}
        for name, node in entry["nodes"].items():
            node["postgres"] = f"127.0.0.1:{links[name].at}"
        tree: dict[str, Any] = {
            "estate": "hostile",
            "environment": "lab",
            "sites": {"east": {}},
            "people": {"you": {"accounts": [pwd.getpwuid(os.geteuid()).pw_name], "roles": ["commander"]}},
            "databases": {"ledger": entry},
            "runbooks": [],
        }
        reading, acting = (Access(name, "postgres", Secret(PASSWORD)) for name in ("recovery", "ops"))
        nodes = [PostgresNode(name, "127.0.0.1", servers.ports[name], reading) for name in ("a", "b")]
        allowed = AccessEntry(schema_owner="app", bundles=tuple(Bundle))
        target = PostgresAccess(PostgresCluster("ledger", nodes, acting), acting, allowed)
        stack.push_async_callback(target.close)
        engine = stack.enter_context(engine_home(tree, _starter(clock)))
        await engine.start()
        yield AccessSite(servers, links, engine, target, clock)


def _prepare(servers: Servers, major: int) -> None:
    servers.sql("a", "create role app nologin; create table accounts (n int); alter table accounts owner to app")
    servers.sql("a", "grant create on schema public to app")
    servers.sql("a", prepare_sql(major, act="ops", read="recovery", longest=14_400, schema_owner="app"))
    servers.sql("a", "grant create on schema public to public")
    for setting in ("max_prepared_transactions = 40", "max_connections = 300"):
        servers.sql("a", f"alter system set {setting}")
    place = servers.pair.place
    for node in ("b", "a"):
        servers.pair.control(node, "-m", "fast", "stop")
    own = (place / "a" / "postgresql.auto.conf").read_text()
    other = place / "b" / "postgresql.auto.conf"
    other.write_text(
        own + "".join(line + "\n" for line in other.read_text().splitlines() if "primary_conninfo" in line)
    )
    for node in ("a", "b"):
        servers.again(node)
