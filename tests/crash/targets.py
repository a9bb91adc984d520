"""What is really so at each target, asked past the engine and past every link."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from adapters.lab.client import LabClient

FORCED_DRAIN = 0x08  # srv_admin_state, HAProxy management guide, "show servers state"


class Truth:
    """A lab's own words: HAProxy's sockets, PostgreSQL's servers, the lab's list of faults."""

    def __init__(self, lab: LabClient) -> None:
        self._lab = lab
        self._told = lab.description()

    def socket(self, site: str) -> Path:
        """HAProxy's own socket of a site."""
        return Path(self._told["balancer_sockets"][site])

    async def haproxy(self, site: str, command: str) -> str:
        """One command on HAProxy's own socket, and its whole answer."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket(site)))
        try:
            writer.write(command.encode() + b"\n")
            return (await asyncio.wait_for(reader.read(), 5)).decode()
        finally:
            writer.close()
            await writer.wait_closed()

    async def servers(self, site: str, backend: str) -> dict[str, tuple[int, bool]]:
        """Weight of every server of a backend and whether it is drained."""
        lines = (await self.haproxy(site, f"show servers state {backend}")).splitlines()
        names = lines[1].lstrip("# ").split()
        found: dict[str, tuple[int, bool]] = {}
        for line in lines[2:]:
            row = dict(zip(names, line.split(), strict=False))
            if row.get("srv_name"):
                drained = bool(int(row["srv_admin_state"]) & FORCED_DRAIN)
                found[row["srv_name"]] = (int(row["srv_uweight"]), drained)
        return found

    async def postgres(self) -> dict[str, int | None]:
        """Every node that answers: the timeline it writes on, None for a standby."""
        password = (self._lab.directory / "secrets" / "superuser").read_text().strip()
        found: dict[str, int | None] = {}
        for name, node in self._told["nodes"].items():
            try:
                connection = await asyncpg.connect(
                    host=node["host"], port=node["postgres"], user="superuser", password=password,
                    database="postgres", ssl=False, timeout=2, command_timeout=3,
                )  # fmt: skip
            except (OSError, TimeoutError, asyncpg.PostgresError):
                continue
            try:
                if await connection.fetchval("select pg_is_in_recovery()"):
                    found[name] = None
                else:
                    file = await connection.fetchval("select pg_walfile_name(pg_current_wal_lsn())")
                    found[name] = int(file[:8], 16)
            finally:
                connection.terminate()
        return found

    async def writer(self) -> tuple[str, int]:
        """The one node that takes writes and its timeline. Raises AssertionError unless there is exactly one."""
        writers = {name: timeline for name, timeline in (await self.postgres()).items() if timeline is not None}
        assert len(writers) == 1, f"writers: {writers}"
        return next(iter(writers.items()))

    async def faults(self) -> set[str]:
        """The faults that are on."""
        rows = (await self._lab.faults())["injected"]
        return {row["name"] for row in rows if row["state"] != "undone"}
