"""How changes come from one side to the other, and waiting until they have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg

from adapters.databases.comparing.side import SHORT, ComparedSide
from state.comparing.results import Linked

LOOK_EVERY = 0.005
IMPATIENT = 0.5
"""Seconds that are waited after one wait was in vain: what stands still is not waited for again and again."""
SUBSCRIPTIONS = """
select s.subslotname::text as slot from pg_subscription as s join pg_database as d on d.oid = s.subdbid
where d.datname = current_database() and s.subenabled and s.subslotname is not null
"""
SLOTS = """
select slot_name::text as slot from pg_replication_slots
where slot_type = 'logical' and database = current_database() and slot_name = any($1::text[])
"""
FLUSHED = """
select min(pg_wal_lsn_diff(confirmed_flush_lsn, '0/0'))::int8 from pg_replication_slots
where slot_name = any($1::text[])
"""


@dataclass
class ChangesBetween:
    """The way of changes between two sides. `patience` is how many seconds the other side may need."""

    a: ComparedSide
    b: ComparedSide
    kind: Linked
    patience: float
    slots: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By the name of the publishing side: the slots of the other one's subscriptions."""
    behind: str = ""
    """The last reason why a wait was in vain."""

    async def arrived(
        self,
        source: ComparedSide,
        target: ComparedSide,
        position: int | None,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> bool:
        """Whether `target` has all that `source` had at a position, waited for, with a look `meanwhile` again and
        again. True where nothing comes that way."""
        if self.kind is Linked.NONE:
            return True
        assert target.facts is not None
        if self.kind is Linked.PHYSICAL and not target.facts.in_recovery:
            return True
        if self.kind is Linked.LOGICAL and source.name not in self.slots:
            return True
        if position is None:
            self.behind = f"the WAL position of {source.name} is not known"
            return False
        end = time.monotonic() + (IMPATIENT if self.behind else self.patience)
        while True:
            reached = await self._reached(source, target)
            if reached is not None and reached >= position:
                self.behind = ""
                return True
            if time.monotonic() > end:
                lacks = "an unknown amount" if reached is None else f"{position - reached} bytes"
                self.behind = f"{target.name} lacked {lacks} of the WAL of {source.name}"
                return False
            if meanwhile is not None:
                await meanwhile()
            await asyncio.sleep(LOOK_EVERY)

    async def _reached(self, source: ComparedSide, target: ComparedSide) -> int | None:
        if self.kind is Linked.PHYSICAL:
            return await target.position()
        rows = await source.fetch(FLUSHED, list(self.slots[source.name]), timeout=SHORT)
        return None if rows[0][0] is None else int(rows[0][0])


async def changes_between(a: ComparedSide, b: ComparedSide, patience: float) -> ChangesBetween:
    """Which way changes come. Raises ReadFailure."""
    assert a.facts is not None
    assert b.facts is not None
    same_rows = a.facts.system_id == b.facts.system_id and a.facts.database == b.facts.database
    if same_rows and (a.facts.in_recovery or b.facts.in_recovery):
        return ChangesBetween(a, b, Linked.PHYSICAL, patience)
    slots: dict[str, tuple[str, ...]] = {}
    for publisher, subscriber in ((a, b), (b, a)):
        try:
            named = [row["slot"] for row in await subscriber.fetch(SUBSCRIPTIONS, timeout=SHORT)]
            known = [row["slot"] for row in await publisher.fetch(SLOTS, named, timeout=SHORT)] if named else []
        except asyncpg.InsufficientPrivilegeError:
            continue
        if known:
            slots[publisher.name] = tuple(known)
    return ChangesBetween(a, b, Linked.LOGICAL if slots else Linked.NONE, patience, slots)
