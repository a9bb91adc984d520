"""What is really so at each target, asked past the engine and past every link."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import dns.asyncquery
import dns.message
import dns.rcode
import dns.tsigkeyring
import dns.update

from adapters.lab.client import LabClient
from adapters.lab.topology import KEY_ALGORITHM, KEY_NAME, LOCAL, TTL, ZONE

LIMIT = 60.0
"""Seconds in which a balancer answers on a machine that is very busy."""
FORCED_MAINT, FORCED_DRAIN = 0x01, 0x08  # srv_admin_state, HAProxy management guide, "show servers state"


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
            return (await asyncio.wait_for(reader.read(), LIMIT)).decode()
        finally:
            writer.close()
            await writer.wait_closed()

    async def servers(self, site: str, backend: str) -> dict[str, tuple[int, bool]]:
        """Weight of every server of a backend and whether it is drained."""
        rows = await self._rows(site, backend)
        return {n: (int(r["srv_uweight"]), bool(int(r["srv_admin_state"]) & FORCED_DRAIN)) for n, r in rows.items()}

    async def maintained(self, site: str, backend: str) -> set[str]:
        """The servers of a backend that somebody put into maintenance."""
        rows = await self._rows(site, backend)
        return {name for name, row in rows.items() if int(row["srv_admin_state"]) & FORCED_MAINT}

    async def _rows(self, site: str, backend: str) -> dict[str, dict[str, str]]:
        lines = (await self.haproxy(site, f"show servers state {backend}")).splitlines()
        names = lines[1].lstrip("# ").split()
        rows = (dict(zip(names, line.split(), strict=False)) for line in lines[2:])
        return {row["srv_name"]: row for row in rows if row.get("srv_name")}

    async def postgres(self) -> dict[str, int | None]:
        """Every node that answers: the timeline it writes on, None for a standby."""
        found: dict[str, int | None] = {}
        for name in self._told["nodes"]:
            connection = await self._connect(name)
            if connection is None:
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

    async def furthest(self) -> str:
        """The standby that has received most of the log."""
        received = "select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::int8"
        standbys = [name for name, line in (await self.postgres()).items() if line is None]
        reached = {name: int((await self._rows_of(name, received))[0]) for name in standbys}
        return max(reached, key=lambda name: reached[name])

    async def started(self, node: str) -> float | None:
        """When the server of a node began, in seconds since 1970; None while it does not answer."""
        connection = await self._connect(node)
        if connection is None:
            return None
        try:
            return float(await connection.fetchval("select extract(epoch from pg_postmaster_start_time())"))
        finally:
            connection.terminate()

    async def _connect(self, name: str) -> asyncpg.Connection[asyncpg.Record] | None:
        node = self._told["nodes"][name]
        password = (self._lab.directory / "secrets" / "superuser").read_text().strip()
        try:
            return await asyncpg.connect(
                host=node["host"], port=node["postgres"], user="superuser", password=password,
                database="postgres", ssl=False, timeout=2, command_timeout=3,
            )  # fmt: skip
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return None

    async def marks(self, node: str) -> list[str]:
        """The marks that the engine's account has at a node."""
        return await self._rows_of(
            node, "select unnest(setconfig) from pg_db_role_setting where setrole = 'recovery'::regrole"
        )

    async def unmarked(self) -> None:
        """Take the mark away."""
        node = (await self.writer())[0]
        await self._rows_of(node, "alter role recovery in database postgres reset all")

    async def _rows_of(self, node: str, statement: str) -> list[str]:
        connection = await self._connect(node)
        assert connection is not None, f"{node} does not answer"
        try:
            return [row[0] for row in await connection.fetch(statement)]
        finally:
            connection.terminate()

    async def writer(self) -> tuple[str, int]:
        """The one node that takes writes and its timeline. Raises AssertionError unless there is exactly one."""
        writers = {name: timeline for name, timeline in (await self.postgres()).items() if timeline is not None}
        assert len(writers) == 1, f"writers: {writers}"
        return next(iter(writers.items()))

    async def addresses(self, name: str) -> tuple[list[str], int]:
        """The A records of a name, and the serial of the zone, asked at the name server itself."""
        found: list[list[str]] = []
        for place, kind in ((f"{name}.{ZONE}", "A"), (ZONE, "SOA")):
            question = dns.message.make_query(place, kind, flags=0)
            answer = await dns.asyncquery.tcp(question, LOCAL, port=self._told["ports"]["dns"], timeout=5)
            found.append(sorted(each.to_text() for rrset in answer.answer for each in rrset))
        return found[0], int(found[1][0].split()[2])

    async def point(self, name: str, addresses: list[str]) -> None:
        """Give a name these addresses, by the lab's own key."""
        secret = (self._lab.directory / "secrets" / "tsig").read_text().strip()
        keyring = dns.tsigkeyring.from_text({KEY_NAME: (KEY_ALGORITHM, secret)})
        update = dns.update.UpdateMessage(ZONE, keyring=keyring)
        update.replace(name, TTL, "A", *addresses)
        answer = await dns.asyncquery.tcp(update, LOCAL, port=self._told["ports"]["dns"], timeout=5)
        assert answer.rcode() == dns.rcode.NOERROR

    async def faults(self) -> set[str]:
        """The faults that are on."""
        rows = (await self._lab.faults())["injected"]
        return {row["name"] for row in rows if row["state"] != "undone"}
