"""What is done to a node of the lab at its host: stopped for good, started to rejoin, copied anew."""

from __future__ import annotations

import asyncio
import shutil

from adapters.lab.errors import LabError, NoSuchFaultError
from adapters.lab.process.processes import postgres_family, state_of
from adapters.lab.targets import Bench
from adapters.lab.waiting import until
from state.config_files.suggestions import not_found

STOPS_WITHIN = 15.0
FOLLOWS_WITHIN = 90.0


class NodeActs:
    """Acts on one node at a time, as a person at its host would."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def state(self, node: str) -> dict[str, object]:
        """`agent` (running, stopped, exited …), and whether a process of its PostgreSQL lives. Raises
        NoSuchFaultError for a name that no node has."""
        self._known(node)
        return {
            "node": node,
            "agent": self._bench.children.state(node),
            "postgres": bool(postgres_family(self._bench.data_of(node))),
        }

    async def fence(self, node: str) -> str:
        """End its Patroni, then its PostgreSQL, at once. Raises LabError when one of them stays."""
        self._known(node)
        children = self._bench.children
        if children.exit_code(node) is None:
            self._bench.kill_node(node)
            await children.wait(node)

        async def gone() -> bool:
            family = postgres_family(self._bench.data_of(node))
            if family:
                self._bench.kill_postgres(node)
            return all(state_of(pid) in ("gone", "zombie") for pid in family)

        await until(f"PostgreSQL on {node} has ended", gone, STOPS_WITHIN)
        return f"Patroni and PostgreSQL on {node} have ended"

    async def rejoin(self, node: str) -> str:
        """Start its Patroni, which rewinds and follows; return once it streams. Raises LabError."""
        primary = await self._other_leader(node)
        await self._bench.resume_node(node)
        await self._follows(node)
        return f"Patroni on {node} runs, {node} streams from {primary}"

    async def rebuild(self, node: str) -> str:
        """Remove its data and start its Patroni, which copies the leader's. Raises LabError."""
        primary = await self._other_leader(node)
        await self.fence(node)
        data = self._bench.data_of(node)
        old = data.with_name("data.old")
        await asyncio.to_thread(shutil.rmtree, old, ignore_errors=True)
        if data.exists():
            data.rename(old)
        await self._bench.start_node(node)
        await self._follows(node)
        await asyncio.to_thread(shutil.rmtree, old, ignore_errors=True)
        return f"{node} is a new copy of {primary} and streams from it"

    async def _other_leader(self, node: str) -> str:
        self._known(node)
        primary = await self._bench.cluster.primary()
        if primary is None or primary == node:
            raise LabError(f"no other node than {node} leads: there is nobody to follow")
        return primary

    async def _follows(self, node: str) -> None:
        async def streams() -> bool:
            return node in await self._bench.cluster.streaming()

        await until(f"{node} streams", streams, FOLLOWS_WITHIN)

    def _known(self, node: str) -> None:
        if node not in self._bench.topology.nodes:
            raise NoSuchFaultError(str(not_found("node", node, self._bench.topology.nodes)))
