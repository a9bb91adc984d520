"""A cluster in memory where access is given, with manners."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from state.granting.model import Armed
from tests.unit.test_grants import MemoryAccess


class MannersAccess(MemoryAccess):
    """Fulfils CanGrant. Waiting for an end and keeping a login open are no effects of a person: they are not noted."""

    def __init__(self, effect: Callable[[], Awaitable[bool]]) -> None:
        super().__init__()
        self._effect = effect

    async def arm(self, grant: str, role: str, *args: Any, effect: str, seconds: int, deadline: float) -> Armed:
        ends = self.clock + seconds
        if await self._effect():
            made = self.made(grant, 16_600 + len(self.roles), ends, str(args[1]))
            self.roles[made.oid] = replace(made, effect=effect)
            return Armed(made.oid, ends)
        return Armed(0, ends)

    async def open_login(self, oid: int, verifier: str, *, window: float, deadline: float) -> float:
        if await self._effect():
            return await super().open_login(oid, verifier, window=window, deadline=deadline)
        return self.clock

    async def extend(self, oid: int, seconds: int, *, effect: str, deadline: float) -> float:
        role = self.roles[oid]
        ends = (role.ends or self.clock) + seconds
        if await self._effect():
            self.roles[oid] = replace(role, ends=ends, extended_by=effect)
        return ends

    async def block(self, oid: int, *, deadline: float) -> None:
        if await self._effect():
            await super().block(oid, deadline=deadline)
