"""Seals and anchors of one engine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from state.audit.anchoring import Anchoring
from state.audit.sealing import Sealing
from state.audit.seals import AnchorOutages, Seals
from state.clock import Clock
from state.estate.model import Estate
from state.journal.projection import Folds
from state.journal.store import JournalStore
from state.journal.writer import Journal
from state.ports.keys import SealKeys
from state.ports.outside import Outside


class Auditing:
    """Makes the journal provable outside of this host. Without `keys` nothing is sealed and no anchor is signed."""

    def __init__(
        self,
        setup: Callable[[], tuple[Estate, Outside]],
        keys: SealKeys | None,
        journal: Journal,
        store: JournalStore,
        folds: Folds,
        clock: Clock,
        node: str,
    ) -> None:
        actor = f"engine@{node}"
        self._sealing = None if keys is None else Sealing(keys, journal, folds.of(Seals), actor, clock.mono)
        self.anchoring = Anchoring(
            setup, journal, store, self._sealing, folds.of(AnchorOutages), clock, node=node, actor=actor
        )

    def watches(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What lasts as long as the engine."""
        sealing = () if self._sealing is None else (self._sealing.watch(),)
        return (*sealing, self.anchoring.watch())

    async def close(self) -> None:
        """The last entry was written: seal it, and have it anchored where that takes no time."""
        if self._sealing is not None:
            await self._sealing.seal()
        await self.anchoring.close()
