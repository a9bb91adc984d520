"""A client with an account of its own of what was acknowledged to it, and what the servers really hold of it."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg

from adapters.lab.client import LabClient
from adapters.lab.options import LabOptions
from adapters.lab.process.binaries import discover
from adapters.lab.topology import SITES

MADE = """
create table if not exists ledger (n bigint primary key, written_at text not null);
grant insert, select on ledger to shop;
"""
POSITION = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"


class ClientLedger:
    """Numbers rows, writes each in a transaction of its own, and notes those whose commit was acknowledged."""

    def __init__(self, lab: LabClient) -> None:
        told = lab.description()
        self._lab, self._nodes, self._rw = lab, told["nodes"], int(told["ports"]["pg_rw"])
        self._shop = (Path(told["root"]) / "shop-password").read_text().strip()
        self._next = 1
        self.acknowledged: dict[str, set[int]] = {}
        """Rows by the name of the place where they were written."""

    async def balanced(self, count: int, place: str) -> None:
        """Write as an application does: to whom the balancer leads. `place` is what they are noted under."""
        connection = await asyncpg.connect(
            host=SITES["east"], port=self._rw, user="shop", password=self._shop, database="postgres", ssl=False,
            timeout=10, command_timeout=10,
        )  # fmt: skip
        try:
            await self._write(connection, count, place)
        finally:
            connection.terminate()

    async def direct(self, node: str, count: int, place: str) -> None:
        """Write past the balancer, as a client with an old address does."""
        connection = await self._superuser(node)
        try:
            await self._write(connection, count, place)
        finally:
            connection.terminate()

    async def _write(self, connection: asyncpg.Connection[asyncpg.Record], count: int, place: str) -> None:
        noted = self.acknowledged.setdefault(place, set())
        for number in range(self._next, self._next + count):
            await connection.execute("insert into ledger values ($1, $2)", number, place)
            noted.add(number)
        self._next += count

    async def make(self, node: str) -> None:
        """Create the table."""
        await self.ask(node, MADE)

    async def rows(self, node: str) -> set[int]:
        """What a server has of it."""
        connection = await self._superuser(node)
        try:
            return {row[0] for row in await connection.fetch("select n from ledger")}
        finally:
            connection.terminate()

    async def has_all_but(self, node: str, place: str) -> bool:
        """Whether a server has every row that was acknowledged, but those of one place."""
        wanted = set().union(*(rows for name, rows in self.acknowledged.items() if name != place))
        with suppress(OSError, asyncpg.PostgresError, TimeoutError):
            return wanted <= await self.rows(node)
        return False

    async def position(self, node: str) -> int:
        """How far a primary has written, in bytes."""
        return int(await self.ask(node, POSITION))

    def stopped_at(self, node: str) -> int:
        """The end of the WAL of a node that was stopped at once, as pg_waldump reads it, in bytes: its servers write
        some on their own until then."""
        dump = discover(LabOptions())["postgres"].path / "pg_waldump"
        wal = Path(self._lab.description()["root"]) / node / "data" / "pg_wal"
        newest = max(wal.glob("?" * 24), key=lambda segment: (segment.name[:8], segment.stat().st_mtime)).name
        read = subprocess.run([dump, "-p", wal, newest], capture_output=True, text=True, check=False, timeout=60)
        ends = re.findall(r"at ([0-9A-F]+)/([0-9A-F]+)", read.stderr)  # of the last record, and where the next would be
        assert ends, f"the WAL of {node} has no end in {newest}: {read.stderr}"
        return (int(ends[-1][0], 16) << 32) + int(ends[-1][1], 16)

    async def forked(self, node: str) -> int:
        """Where the timeline of a server began, by its own history file, in bytes."""
        file = await self.ask(node, "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '.history'")
        text = await self.ask(node, f"select pg_read_file('pg_wal/{file}')")
        high, _, low = str(text).strip().splitlines()[-1].split("\t")[1].partition("/")
        return (int(high, 16) << 32) + int(low, 16)

    async def ask(self, node: str, statement: str) -> Any:
        """One value, or a script without one, as superuser at a node itself."""
        connection = await self._superuser(node)
        try:
            if statement.lstrip().startswith("select"):
                return await connection.fetchval(statement)
            return await connection.execute(statement)
        finally:
            connection.terminate()

    async def _superuser(self, name: str) -> asyncpg.Connection[asyncpg.Record]:
        node = self._nodes[name]
        return await asyncpg.connect(
            host=node["host"], port=node["postgres"], user="superuser", database="postgres", ssl=False, timeout=5,
            password=(self._lab.directory / "secrets" / "superuser").read_text().strip(), command_timeout=10,
        )  # fmt: skip
