"""One table: sums of both servers, ranges that differ, and their rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import asyncpg

from adapters.databases.comparing.catalog import FOREIGN
from adapters.databases.comparing.settle import BATCH, Settler
from adapters.databases.comparing.side import CONFLICT_PAUSE, ComparedSide, RecoveryConflict, said
from state.comparing.narrowing import Digests, Key, Placed, Where, differing, rows_in, runs, unequal
from state.comparing.request import Burden
from state.comparing.results import RowApart
from state.comparing.shapes import Common, TableShape
from state.comparing.statements import KeyGrid, KeySpan, TableSql

FINE = 65_536
"""A run of buckets with more rows is summed again in smaller ones before its rows are fetched."""
CHEAP = 2000
"""So many equal rows between two ranges that differ are fetched with them: that is cheaper than to ask twice."""
RETRIES = 8
MOST_GUESSED = 64
"""Parts of a table of which nothing is known but the ends of its key."""
WIDEST = 1 << 62
"""Keys further apart cannot be told by a difference in 64 bits."""
Found = Callable[[Sequence[RowApart]], Awaitable[None]]
OnShare = Callable[[float], None]


@dataclass
class TablePass:
    """The comparison of one pair of tables. `found` is given each batch of differences, `on_share` how much is done,
    `on_part` is called when a part is complete."""

    sql: TableSql
    settler: Settler
    pace: Burden
    listed: int
    found: Found
    on_share: OnShare
    on_part: Callable[[], None]
    _pending: list[Key] = field(default_factory=list)

    async def run(self) -> None:
        """Compare; what prevents it is in the result."""
        result, began = self.settler.result, time.monotonic()
        reason = _unreadable(self.sql.common, self.settler.changes.a, self.settler.changes.b)
        if reason:
            result.uncompared, result.way_out = reason
            return
        try:
            if self.sql.common.number_key:
                await self._by_ranges()
            else:
                await self._by_hash()
        except RecoveryConflict:
            result.uncompared = "replay on the standby cancelled it again and again"
            result.way_out = "raise max_standby_streaming_delay there meanwhile, or compare in a calm hour"
        except asyncpg.PostgresError as error:
            result.uncompared, result.way_out = _told(error)
        finally:
            result.took += time.monotonic() - began

    async def _by_ranges(self) -> None:
        """The key is a whole number: parts of it one after another, the last one without an end."""
        result = self.settler.result
        ends = await self._both(self.sql.ends)
        lows = [rows[0]["low"] for rows in ends if rows[0]["low"] is not None]
        highs = [rows[0]["high"] for rows in ends if rows[0]["high"] is not None]
        if not lows:
            return
        low, high = min(lows), max(highs)
        if high - low >= WIDEST:
            await self._by_hash()
            return
        width = -(-(high - low + 1) // self._parts(high - low + 1))
        at = low if result.done_to is None else result.done_to + 1
        first, conflicts = result.done_to is None, 0
        while first or at <= high:
            last = at + width > high
            span = KeySpan(None if first else at, None if last else at + width - 1)
            top = max(at, high if last else at + width - 1)
            grid = KeyGrid.over(at, top)
            try:
                a, b = await self._digests(grid, None if first and last else span)
            except RecoveryConflict:
                conflicts += 1
                if conflicts > RETRIES:
                    raise
                width = max(1, width // 4)
                continue
            self._count(a, b)
            await self._narrow(a, b, grid, span)
            await self._settle()
            result.done_to, first, at = top, False, top + 1
            self.on_share(min(1.0, (top - low + 1) / (high - low + 1)))
            self.on_part()
        result.done_to = None

    def _parts(self, keys: int) -> int:
        """Into how many parts a table is cut, by its statistics. One that has none can have as many rows as there are
        keys between the ends; that is believed where servers are to be spared, up to a bound, as keys have gaps."""
        rows = max(self.sql.common.a.rows, self.sql.common.b.rows)
        if rows == 0 and self.pace.share < 1:
            return max(1, min(MOST_GUESSED, -(-keys // self.pace.rows_at_once)))
        return max(1, -(-rows // self.pace.rows_at_once))

    async def _narrow(self, a: Digests, b: Digests, grid: KeyGrid, span: KeySpan) -> None:
        """The rows of the ranges that differ; a range with many is summed again in smaller ones."""
        gap = CHEAP * len(a) // max(1, sum(n for n, _ in a.values()))
        for first, last in runs(differing(a, b), gap):
            inner = _within(grid.span(first, last), span)
            many = max(rows_in(a, first, last), rows_in(b, first, last)) > FINE
            if many and grid.width > 1 and inner.low is not None and inner.high is not None:
                finer = KeyGrid.over(inner.low, inner.high)
                await self._narrow(*await self._digests(finer, inner), finer, inner)
            else:
                await self._rows(span=inner)

    async def _by_hash(self) -> None:
        """Any other key, or none: the whole table at once."""
        a, b = await self._digests(None, None)
        self._count(a, b)
        if buckets := differing(a, b):
            await self._rows(buckets=buckets)
            await self._settle()
        self.on_share(1.0)

    async def _rows(self, *, buckets: Sequence[int] = (), span: KeySpan | None = None) -> None:
        """The rows of what differs, in order; after a conflict with replay from where it was."""
        after: Where | None = None
        attempt = 0
        while True:
            a, b = (self._stream(side, table, buckets, span, after) for side, table in self._sides())
            try:
                async for place, keys in unequal(a, b):
                    self._pending += keys
                    after, attempt = place, 0
                    if len(self._pending) >= self._batch:
                        await self._settle()
                return
            except RecoveryConflict:
                attempt += 1
                if attempt == RETRIES:
                    raise
                await asyncio.sleep(CONFLICT_PAUSE * attempt)
            finally:
                await a.aclose()
                await b.aclose()

    async def _stream(
        self, side: ComparedSide, table: TableShape, buckets: Sequence[int], span: KeySpan | None, after: Where | None
    ) -> AsyncGenerator[Placed, None]:
        async for row in side.stream(self.sql.ordered(table, buckets, span, after)):
            yield Placed(row["lead"], row["tie"], tuple(row["k"]), row["h"])

    async def _settle(self) -> None:
        """Look again at the rows that were seen different."""
        result, most = self.settler.result, self._batch
        keys, self._pending = self._pending, []
        for start in range(0, len(keys), most):
            rows = await self.settler.settle(keys[start : start + most])
            result.listed += rows[: max(0, self.listed - len(result.listed))]
            if rows:
                await self.found(rows)

    async def _digests(self, grid: KeyGrid | None, span: KeySpan | None) -> tuple[Digests, Digests]:
        began = time.monotonic()
        answers = await self._both(lambda table: self.sql.digest(table, grid, span))
        if self.pace.share < 1:
            await asyncio.sleep((time.monotonic() - began) * (1 - self.pace.share) / self.pace.share)
        a, b = ({row["bucket"]: (row["n"], row["s"]) for row in rows} for rows in answers)
        return a, b

    async def _both(self, statement: Callable[[TableShape], str]) -> list[Sequence[asyncpg.Record]]:
        """The same question to both servers at once; when one fails the other one's query is cancelled too."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(side.fetch(statement(table))) for side, table in self._sides()]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [task.result() for task in tasks]

    @property
    def _batch(self) -> int:
        """Without a key each look at some rows is a scan."""
        return BATCH if self.sql.keyed else BATCH * 10

    def _sides(self) -> list[tuple[ComparedSide, TableShape]]:
        changes, common = self.settler.changes, self.sql.common
        return [(changes.a, common.a), (changes.b, common.b)]

    def _count(self, a: Digests, b: Digests) -> None:
        self.settler.result.rows_a += sum(n for n, _ in a.values())
        self.settler.result.rows_b += sum(n for n, _ in b.values())


def _within(span: KeySpan, outer: KeySpan) -> KeySpan:
    """The part of a span that is in another one; buckets at the ends reach beyond it."""
    low = span.low if outer.low is None or span.low is None else max(span.low, outer.low)
    high = span.high if outer.high is None or span.high is None else min(span.high, outer.high)
    return KeySpan(low, high)


def _unreadable(common: Common, a: ComparedSide, b: ComparedSide) -> tuple[str, str] | None:
    """Why a table cannot be read at all, and what to do."""
    for side, table in ((a, common.a), (b, common.b)):
        assert side.facts is not None
        if table.kind == FOREIGN:
            return "it is a foreign table: its rows are elsewhere", "compare the servers that have its rows"
        if not table.readable:
            return f"{side.name}: {side.role} may not read it", f"GRANT pg_read_all_data TO {side.role};"
        if table.unlogged and side.facts.in_recovery:
            return f"it is unlogged: the standby {side.name} has no rows of it", "leave it out with --except"
    if not common.columns:
        return "the two tables have no column in common", "look at their definitions"
    return None


def _told(error: asyncpg.PostgresError) -> tuple[str, str]:
    """Why the servers refused, and what to do."""
    message = said(error)
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        if "row-level security" in message or "row security" in message:
            return message, "compare with a role that has BYPASSRLS: rows that a policy hides would be left out"
        return message, "GRANT pg_read_all_data to the role"
    if isinstance(error, asyncpg.LockNotAvailableError):
        return f"another session holds a lock on it: {message}", "try again when that session has ended"
    if isinstance(error, asyncpg.ProgramLimitExceededError | asyncpg.OutOfMemoryError) or "invalid memory" in message:
        return f"a value is too large for the server to print: {message}", "compare this column by hand"
    return message, ""
