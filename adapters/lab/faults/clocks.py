"""A host whose clock is apart from the others'."""

from __future__ import annotations

import time

from adapters.lab.errors import LabError
from adapters.lab.faults.replication import ReplicationFault
from adapters.lab.waiting import until

APART = -12.0
"""Seconds. More, and raft, which compares the clocks of its members, would drop the node's key (ttl 20 s) at once."""
ALIKE = 2.0
STARTS_WITHIN = 60.0


class ClockApart(ReplicationFault):
    """Patroni and PostgreSQL of a node have another clock than everything else; what they measure with it stays right.

    The node is started again for it, and again when it ends.
    """

    name = "clock-apart"
    description = f"Patroni and PostgreSQL of a standby are started again with a clock that is {-APART:g} s behind"
    undo_text = "start them again with the clock of the others"
    needs = frozenset({"patroni", "faketime"})

    async def choose(self, target: str | None) -> str:
        return await self.bench.standby(target)

    async def inject(self, target: str) -> None:
        if not await self.ask(target, "select pg_is_in_recovery()"):
            raise LabError(f"{target} is not a standby")
        self.bench.clocks[target] = APART
        try:
            await self.bench.restart_node(target)
            await until(f"{target} streams again", self.bench.cluster.settled, STARTS_WITHIN)
            if await self._apart(target) < ALIKE:
                raise LabError(f"{target} has the clock of the others all the same")
        except LabError:
            await self.undo(target)
            raise

    async def _apart(self, target: str) -> float:
        """Seconds between the clock of a server and this one's."""
        told = await self.ask(target, "select extract(epoch from clock_timestamp())::float8")
        return abs(float(str(told)) - time.time())

    async def undo(self, target: str) -> None:
        if self.bench.clocks.pop(target, None) is not None:
            await self.bench.restart_node(target)

    async def undone(self, target: str) -> bool:
        try:
            return await self.bench.cluster.settled() and await self._apart(target) < ALIKE
        except LabError:
            return False
