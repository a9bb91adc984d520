"""`recovery db lost`: which servers of a cluster parted, where, and what each has past that point. Only reads."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import combinations
from pathlib import Path

import asyncpg

from adapters.context import AdapterContext
from adapters.databases.comparing.side import ComparedSide, said
from adapters.databases.comparing.work import server_of
from adapters.databases.lost.parting import Parting, parting
from adapters.databases.lost.wal import LONGEST, side_of
from adapters.databases.postgres import PostgresNode
from adapters.net.ssh import SshConnections
from state.config_files.suggestions import not_found
from state.errors import ReadFailure
from state.estate.model import Estate
from state.verdicts.forks import Fork, fork_of
from state.verdicts.lost_commits import LostPair
from state.world.readings import PostgresReading

DEADLINE = 10.0
SETTINGS = {"statement_timeout": f"{LONGEST * 1000:.0f}"}
GRANT = "GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) TO"


async def lost(estate: Estate, base: Path, name: str) -> tuple[list[LostPair], dict[str, str]]:
    """Every pair of servers, and those that do not answer with the reason. Raises NotFound and ConfigError."""
    if name not in estate.databases:
        raise not_found("database", name, estate.databases)
    hosts = SshConnections(dict(estate.hosts), base)
    context = AdapterContext(base, estate.polling, {}, hosts)
    nodes = [server_of(estate, context, name, node).aside() for node in estate.databases[name].nodes]
    try:
        return await lost_between(nodes)
    finally:
        await hosts.close()


async def lost_between(nodes: list[PostgresNode]) -> tuple[list[LostPair], dict[str, str]]:
    """The same of servers, which this closes."""
    answers = await asyncio.gather(*(node.read(deadline=DEADLINE) for node in nodes), return_exceptions=True)
    readings, silent = {}, {}
    for node, answer in zip(nodes, answers, strict=True):
        if isinstance(answer, PostgresReading):
            readings[node.node] = (node, answer)
        elif isinstance(answer, ReadFailure):
            silent[node.node] = answer.message
        else:
            raise answer
    try:
        return [await _Pair(*two).judged() for two in combinations(readings.values(), 2)], silent
    finally:
        await asyncio.gather(*(node.close() for node in nodes))


class _Pair:
    """Two servers as they were read, with the sessions that look deeper."""

    def __init__(self, one: tuple[PostgresNode, PostgresReading], other: tuple[PostgresNode, PostgresReading]) -> None:
        self._readings = (one[1], other[1])
        self._nodes = {node.node: node for node, _ in (one, other)}
        self._sides: dict[tuple[str, str], ComparedSide] = {}
        self.names = (one[1].node, other[1].node)

    async def judged(self) -> LostPair:
        """Where they part, and what each has past that."""
        try:
            return await self._judged(fork_of(*self._readings))
        finally:
            await asyncio.gather(*(side.close() for side in self._sides.values()))

    def _opened(self, node: str, database: str) -> ComparedSide:
        if (node, database) not in self._sides:
            made = ComparedSide(node, self._nodes[node], database or None, 0, SETTINGS)
            self._sides[node, database] = made
        return self._sides[node, database]

    async def _judged(self, fork: Fork | None) -> LostPair:
        a, b = self._readings
        if fork is not None and not fork.one_number:
            if fork.lsn is None:
                return LostPair(self.names, None, None, False, fork.why)
            return await self._parted(fork.lsn, fork.lsn, fork.why)
        begins = (a.history[-1].lsn if a.history else 0) if a.history is not None else 0
        ends = [each for each in (a.held, b.held) if each is not None]
        if a.timeline is None or len(ends) < 2:
            return LostPair(self.names, None, None, False, "a position is not known")
        try:
            one, other = (self._opened(name, "") for name in self.names)
            found = await parting(one, other, a.timeline, begins, min(ends))
        except asyncpg.InsufficientPrivilegeError as error:
            why = f"{said(error)}: {GRANT} {self._nodes[a.node].access.user}"
            return LostPair(self.names, None, None, False, why)
        except (asyncpg.PostgresError, ReadFailure) as error:
            return LostPair(self.names, None, None, False, said(error))
        return await self._compared(found, min(ends))

    async def _compared(self, found: Parting | None, ends: int) -> LostPair:
        if found is None:
            return LostPair(self.names, None, None, False, "they have no file of WAL in common any more")
        if found.fork is not None:
            why = "by their WAL; it may be a little earlier" if found.earlier else "by their WAL"
            return await self._parted(found.fork, found.agree, why)
        both = all(not each.in_recovery for each in self._readings)
        if not both:
            return LostPair(self.names, None, found.agree, True, "")
        return await self._parted(ends, found.agree, "their WAL is equal as far as both have it")

    async def _parted(self, fork: int, agree: int | None, why: str) -> LostPair:
        past = {each.node: None if each.held is None else max(0, each.held - fork) for each in self._readings}
        sides = [await side_of(node, fork, size, partial(self._opened, node)) for node, size in past.items()]
        return LostPair(self.names, fork, agree, True, why, tuple(sides))
