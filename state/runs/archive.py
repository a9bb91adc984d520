"""Runs that are not held in memory, read from the journal when somebody asks for one."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from state.api.requests import PlanUndo
from state.journal.format import Sealed, canonical, unseal_any
from state.journal.projection import FoldSetting
from state.journal.store import JournalStore
from state.runs.events import RunStarted
from state.runs.fold import RunHistory
from state.runs.model import Run

STARTED = canonical(RunStarted.kind)


class Archive:
    """Reads one run at a time, in a thread of its own: every entry is looked at."""

    def __init__(self, store: JournalStore, setting: FoldSetting) -> None:
        self._store, self._setting = store, setting
        self._thread = ThreadPoolExecutor(1, "archive")

    async def find(self, name: str) -> list[Run]:
        """A run and those that undo it; empty when there is none of this name. Raises JournalUnavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._find, name)

    def close(self) -> None:
        """End the thread once it has read what was asked for."""
        self._thread.shutdown(wait=True)

    def _find(self, name: str) -> list[Run]:
        found = self._about(name)
        undo = {"do": PlanUndo.do, "run": name}
        for entry in self._store.having(STARTED, b'"run":' + canonical(name)):
            recorded = unseal_any(entry)
            if isinstance(recorded.body, RunStarted) and undo.items() <= dict(recorded.body.request).items():
                found |= self._about(recorded.event.run)
        history = RunHistory(self._setting)
        for seq in sorted(found):
            history.fold(unseal_any(found[seq]))
        return list(history.runs.values())

    def _about(self, run: str) -> dict[int, Sealed]:
        told = self._store.having(canonical(run))
        return {entry.seq: entry for entry in told if unseal_any(entry).event.run == run}
