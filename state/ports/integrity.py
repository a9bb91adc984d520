"""Looking whether a database cluster is sound, on demand: it is too much to be polled."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from state.world.integrity_parts import IntegrityReading


class CanLookWhole(Protocol):
    """The integrity suite of one database. It only reads."""

    async def look(self, *, skip: Collection[str], within: float) -> IntegrityReading:
        """All questions but those in `skip`; each about rows may take `within` seconds."""

    async def keep(self, effect: str, *, deadline: float) -> None:
        """Remember how the cluster is before an effect, as far as that can be read by then. Never raises."""

    async def since(self, effect: str, *, within: float) -> IntegrityReading:
        """The suite without what reads whole indexes, and what is different from what was kept. That nothing was kept
        is a finding too."""

    def forget(self, effect: str) -> None:
        """Let go what was kept."""
