"""Faults of history: a primary put back to an older state, and two servers that share the number of a timeline."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import ClassVar

from adapters.lab.errors import LabError
from adapters.lab.faults.replication import TAKES_EFFECT, PrimaryFault, ReplicationFault
from adapters.lab.links.links import Mode
from adapters.lab.waiting import until

OLDER = "older"
"""What rows are marked with that only the newer state has."""
LOST_ROWS = 10_000
FILES = 3
"""WAL files by which the newer state is ahead: more than is written while the fault lasts, so that no standby finds
other WAL at the place where its own ends."""
TIMELINE = "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"


class RestoreOlderBackup(PrimaryFault):
    """The primary is put back to a base backup of itself, on the same timeline, while its standbys hold more."""

    name = "restore-older-backup"
    description = (
        "the primary is put back to an older base backup of itself, on the same timeline: its standbys hold 10,000 rows"
        " that it lacks"
    )
    undo_text = "put its newer data back: what was written meanwhile is lost; where another node leads, copy that one's"
    limit = 300
    settles_within = 90
    waits: ClassVar[float] = 30.0

    def _newer(self, node: str) -> Path:
        return self.bench.data_of(node).parent / "newer"

    async def inject(self, target: str) -> None:
        await self.require_primary(target)
        if len(self.bench.topology.nodes) < 2:
            raise LabError(f"{self.name} needs a standby")
        older = self.bench.data_of(target).parent / OLDER
        await asyncio.to_thread(shutil.rmtree, older, ignore_errors=True)
        await self._back_up(target, older)
        await self._write(target)
        self.bench.freeze_agent(target)
        try:
            await self._exchange(target, older)
        except LabError:
            await self.undo(target)
            raise
        await self.bench.resume_node(target)

        async def leads() -> bool:
            return await self.bench.cluster.primary() == target and not await self.ask(
                target, "select pg_is_in_recovery()"
            )

        await until(f"{target} leads again", leads, self.waits)

    async def _back_up(self, target: str, place: Path) -> None:
        node = self.bench.topology.nodes[target]
        await self.bench.tool(
            "pg_basebackup", "-D", str(place), "-X", "stream", "-c", "fast", "--no-sync",
            "-h", node.host, "-p", str(node.postgres), "-U", "replication",
            environment={"PGPASSWORD": self.bench.credentials.replication},
        )  # fmt: skip

    async def _write(self, target: str) -> None:
        """Rows that only the newer state has, in several WAL files, received by every standby."""
        sql = (
            "insert into orders (number, site, release)"
            " select -n, 'lab', $1 from generate_series(1, $2::int) n on conflict do nothing"
        )
        await self.ask(target, sql, OLDER, LOST_ROWS)
        for _ in range(FILES):
            await self.switch_file(target)
        end = await self.ask(target, "select pg_current_wal_lsn()::text")

        async def received() -> bool:
            sql = "select count(*) from pg_stat_replication where flush_lsn >= $1::text::pg_lsn"
            return await self.ask(target, sql, end) == len(self.bench.topology.nodes) - 1

        await until(f"the standbys of {target} have its WAL", received, TAKES_EFFECT)

    async def _exchange(self, target: str, other: Path) -> None:
        """Stop the server, put other data in the place of its own, and start it. Its agent must not look meanwhile."""
        await self.bench.stop_server(target)
        self._put(target, other)
        await self.bench.start_server(target)

    def _put(self, target: str, other: Path) -> None:
        data = self.bench.data_of(target)
        data.rename(self._newer(target))
        other.rename(data)

    async def undo(self, target: str) -> None:
        newer, data = self._newer(target), self.bench.data_of(target)
        if not newer.exists():
            await self.bench.resume_node(target)
        elif await self.bench.cluster.primary() in (target, None):
            if self.bench.children.exit_code(target) is None:
                self.bench.freeze_agent(target)
            await self.bench.stop_server(target)
            await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)
            newer.rename(data)
            await self.bench.start_server(target)
            await self.bench.resume_node(target)
        else:
            await asyncio.to_thread(shutil.rmtree, newer, ignore_errors=True)
            await self.bench.new_node(target)

    async def undone(self, target: str) -> bool:
        if self._newer(target).exists() or not await self.bench.cluster.healthy():
            return False
        if not await self.bench.cluster.settled():
            return False
        await self.ask(await self.primary(), "delete from orders where release = $1", OLDER)
        return True


class ForkSameTimeline(ReplicationFault):
    """Two servers are promoted apart, and both call their timeline by the same number."""

    name = "fork-same-timeline"
    description = (
        "the leader hands over to one standby while another is cut off and then promoted beside Patroni: both accept"
        " writes, both on a timeline of the same number"
    )
    undo_text = "end the one beside Patroni, remove its data, and copy the leader's"
    needs = frozenset({"patroni"})
    seconds = 60
    limit = 300
    settles_within = 120

    async def choose(self, target: str | None) -> str:
        if len(self.bench.topology.nodes) < 3:
            raise LabError(f"{self.name} needs three nodes")
        name = await self.bench.standby(target)
        if await self.bench.cluster.in_recovery(name) is not True:
            raise LabError(f"{name} is not a standby")
        return name

    async def inject(self, target: str) -> None:
        leader = await self.primary()
        candidate = next(n for n in self.bench.topology.nodes if n not in (leader, target))
        self.bench.freeze_agent(target)
        await self.bench.wiring.set(f"replication-{target}", Mode.RESET)
        try:
            await self.bench.cluster.switch_over(leader, candidate)

            async def leads() -> bool:
                return await self.bench.cluster.primary() == candidate

            await until(f"{candidate} leads", leads, TAKES_EFFECT)
            await self.bench.promote(target)
            await self.ask(target, "checkpoint")
            sql = "insert into orders (number, site, release) values (-extract(epoch from now())::bigint, 'rogue', '-')"
            await self.ask(target, sql)
            if await self.ask(target, TIMELINE) != await self.ask(candidate, TIMELINE):
                raise LabError(f"{target} and {candidate} are on timelines of different numbers")
        except LabError:
            await self.undo(target)
            raise
        await self.bench.wiring.set(f"replication-{target}", Mode.PASS)

    async def undo(self, target: str) -> None:
        await self.bench.wiring.set(f"replication-{target}", Mode.PASS)
        if await self.bench.cluster.primary() == target:
            await self.bench.resume_node(target)
        else:
            await self.bench.new_node(target)

    async def undone(self, target: str) -> bool:
        return await self.bench.cluster.healthy() and await self.bench.cluster.settled()
