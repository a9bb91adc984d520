"""Rows that were seen different, looked at again until it is certain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from adapters.databases.comparing.links import ChangesBetween
from adapters.databases.comparing.side import ComparedSide
from state.comparing.narrowing import Key
from state.comparing.results import Apart, Linked, RowApart, TableResult
from state.comparing.settling import RowVerdict, SettlingRound, Sighting, settle
from state.comparing.shapes import TableShape
from state.comparing.statements import TableSql

BATCH = 500
"""Rows that are looked at together."""
FEW = 50
"""So few rows are looked at again while the other side is waited for."""
MEANWHILE = 500
OPEN_LISTED = 20
PAUSES = (0.0, 0.02, 0.1, 0.3, 1.0)
STILL = 0.1
"""Seconds between two looks where nothing tells that changes have arrived."""


class Settler:
    """Settles the rows of one table."""

    def __init__(self, sql: TableSql, changes: ChangesBetween, result: TableResult) -> None:
        self.sql, self.changes, self.result = sql, changes, result

    async def settle(self, keys: Sequence[Key]) -> list[RowApart]:
        """Which of some rows differ for certain; the result counts these, and those of which nothing can be said."""
        found: list[RowApart] = []
        open_keys, before = list(keys), None
        end = time.monotonic() + self.changes.patience
        turn = 0
        while open_keys:
            rounds = [before] if before is not None else []
            rounds.append(await self._look(open_keys))
            still: list[Key] = []
            for key in open_keys:
                verdict = settle(key, rounds, self.changes.kind)
                if verdict is RowVerdict.DIFFERENT:
                    found.append(self._apart(key, *rounds[-1].of(key)))
                elif verdict is RowVerdict.EQUAL:
                    self.result.in_flight += 1
                else:
                    still.append(key)
            open_keys, before = still, rounds[-1]
            if open_keys and (time.monotonic() > end or (turn and self.changes.behind)):
                self._leave(open_keys)
                break
            pause = PAUSES[min(turn, len(PAUSES) - 1)]
            turn += 1
            if open_keys:
                await asyncio.sleep(STILL if self.changes.kind is Linked.NONE else pause)
        for row in found:
            self._count(row)
        return found

    async def _look(self, keys: Sequence[Key]) -> SettlingRound:
        """Both sides, B after it has what A had, A later only after it has what B had."""
        common, changes = self.sql.common, self.changes
        more_a: list[dict[Key, Sighting]] = []
        more_b: list[dict[Key, Sighting]] = []

        async def look_at_a() -> None:
            more_a.append(await self._read(changes.a, common.a, keys))

        async def look_at_b() -> None:
            more_b.append(await self._read(changes.b, common.b, keys))

        few = self.sql.keyed and len(keys) <= FEW
        seen_a = await self._read(changes.a, common.a, keys)
        position = await changes.a.position()
        forth = await changes.arrived(changes.a, changes.b, position, look_at_a if few else None)
        seen_b = await self._read(changes.b, common.b, keys)
        position = await changes.b.position()
        back = await changes.arrived(changes.b, changes.a, position, look_at_b if few else None)
        return SettlingRound(seen_a, seen_b, forth and back, more_a[-MEANWHILE:], more_b[-MEANWHILE:])

    async def _read(self, side: ComparedSide, table: TableShape, keys: Sequence[Key]) -> dict[Key, Sighting]:
        wanted = set(keys)
        rows: dict[Key, list[tuple[int, str, tuple[int, ...]]]] = {}
        shown: dict[Key, str] = {}
        for row in await side.fetch(self.sql.rows(table), *arguments_of(keys)):
            texts = tuple(row["k"])
            key = texts if self.sql.keyed else texts[:1]
            if key in wanted:  # `=` may find a key that prints differently: it is another one
                rows.setdefault(key, []).append((row["h"], row["v"], tuple(row["c"])))
                shown[key] = "" if self.sql.keyed else texts[1] or ""
        return {
            key: Sighting(
                tuple(each[0] for each in sorted(found)),
                tuple(each[1] for each in sorted(found)),
                tuple(each[2] for each in sorted(found)),
                shown[key],
            )
            for key, found in rows.items()
        }

    def _apart(self, key: Key, a: Sighting, b: Sighting) -> RowApart:
        if not self.sql.keyed:
            count_a, count_b = sum(a.hashes), sum(b.hashes)
            how = Apart.ONLY_A if count_a > count_b else Apart.ONLY_B
            return RowApart((*key, a.shown or b.shown), how, (), count_a, count_b)
        if not (a.there and b.there):
            return RowApart(key, Apart.ONLY_A if a.there else Apart.ONLY_B, (), len(a.hashes), len(b.hashes))
        names = [column.name for column in self.sql.common.other_columns]
        differing = {
            name
            for mine, other in zip(a.columns, b.columns, strict=False)
            for name, one, two in zip(names, mine, other, strict=True)
            if one != two
        }
        columns = tuple(name for name in names if name in differing)
        return RowApart(key, Apart.CHANGED, columns, len(a.hashes), len(b.hashes))

    def _count(self, row: RowApart) -> None:
        number = 1 if self.sql.keyed else abs(row.count_a - row.count_b)
        self.result.apart[row.how] = self.result.apart.get(row.how, 0) + number

    def _leave(self, keys: Sequence[Key]) -> None:
        self.result.open_rows += len(keys)
        room = OPEN_LISTED - len(self.result.open_keys)
        self.result.open_keys += list(keys[: max(0, room)])
        why = self.changes.behind or f"these rows changed all the time, {self.changes.patience:g} s long"
        self.result.why_open = self.result.why_open or why


def arguments_of(keys: Sequence[Key]) -> list[list[str]]:
    """The arguments of a statement about some rows: one list for each column of the key."""
    return [list(column) for column in zip(*keys, strict=True)]
