"""Faults of Patroni's store."""

from __future__ import annotations

from adapters.lab.errors import LabError, NoSuchFaultError
from adapters.lab.faults.fault import Fault
from adapters.lab.links.links import Mode

STORE = "store"


class DcsDown(Fault):
    """No member reaches another one's raft: the store has no majority."""

    name = "dcs-down"
    description = "no Patroni reaches the raft of another one: the store has no majority, and the leader steps down"
    undo_text = "let them reach each other again; Patroni elects a leader by itself"
    needs = frozenset({"patroni"})
    seconds = 60
    limit = 300
    settles_within = 90

    async def choose(self, target: str | None) -> str:
        if target not in (None, STORE):
            raise NoSuchFaultError(f"{self.name} works on the {STORE} only, not on {target!r}")
        if len(self.bench.topology.nodes) < 2:
            raise LabError(f"{self.name} needs two nodes")
        return STORE

    async def _set(self, mode: Mode) -> None:
        for node in self.bench.topology.nodes:
            await self.bench.wiring.set(f"raft-{node}", mode)

    async def inject(self, target: str) -> None:
        await self._set(Mode.RESET)

    async def undo(self, target: str) -> None:
        await self._set(Mode.PASS)

    async def undone(self, target: str) -> bool:
        return await self.bench.cluster.healthy() and await self.bench.cluster.settled()
