"""Whatever happens to the journal's files, or to the places of its anchors: no effect without a durable record of its
intent, and stopping still works."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.journals.sqlite import SqliteJournal
from state.errors import JournalUnavailable, RecoveryError
from state.journal.format import Sealed, unseal
from state.runs.events import EffectIntended
from tests.support.small_estate import COMMANDER, Small, flip, small

Fault = Callable[[Path], None]


def renamed(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def replaced(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def unwritable(path: Path) -> None:
    path.chmod(0o400)


def log_gone(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


FAULTS: dict[str, Fault] = {
    "unlinked": Path.unlink,
    "renamed": renamed,
    "replaced": replaced,
    "read-only": unwritable,
    "cut short": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "its log removed": log_gone,
    "its folder moved": lambda path: path.parent.rename(path.parent.with_name("moved")),
}


class Broken(SqliteJournal):
    """A disk that gives errors from some moment on: nothing more is stored, and it says so."""

    broken = False

    def append(self, entries: Sequence[Sealed]) -> None:
        if self.broken:
            raise JournalUnavailable(f"{self.path}: disk I/O error")
        super().append(entries)


async def tried(site: Small, card: Any) -> None:
    with suppress(RecoveryError):
        accepted = await site.submit(card)
        await site.ended(accepted.run, 3)
    await asyncio.sleep(0.3)


def intents(folder: Path) -> int:
    """Durable ones: in any file of the folder that is a journal, read by another connection."""
    found = 0
    for path in folder.rglob("*.db"):
        with suppress(sqlite3.Error):
            db = sqlite3.connect(path)
            try:
                rows = db.execute("SELECT seq, header, hash, salt, payload FROM entries").fetchall()
            finally:
                db.close()
            found += sum(isinstance(unseal(Sealed(*row)).body, EffectIntended) for row in rows)
    return found


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("when", ["before the card", "behind the card"])
async def test_no_effect_without_a_durable_intent_and_stopping_works(tmp_path: Path, kind: str, when: str) -> None:
    path = tmp_path / "state" / "journal.db"
    async with small(store=SqliteJournal(path)) as site:
        before = await site.weights()
        card = await site.preview(flip("green")) if when == "behind the card" else None
        FAULTS[kind](path)
        if card is None:
            with suppress(RecoveryError):
                card = await site.preview(flip("green"))
        if card is not None:
            await tried(site, card)
        assert await site.weights() == before, "nothing was sent"
        assert site.engine.journal.unavailable, "and everybody is told"
        assert (await site.engine.stop_all(COMMANDER)).message
    assert intents(tmp_path) == 0


async def test_a_disk_with_errors_stops_effects_and_lets_them_go_on_when_it_is_well(tmp_path: Path) -> None:
    store = Broken(tmp_path / "state" / "journal.db")
    async with small(store=store) as site:
        before = await site.weights()
        card = await site.preview(flip("green"))
        store.broken = True
        await tried(site, card)
        assert await site.weights() == before
        assert (await site.engine.stop_all(COMMANDER)).message
        store.broken = False
        async with asyncio.timeout(30):
            while site.engine.journal.unavailable:
                await asyncio.sleep(0.05)
        accepted = await site.submit(await site.preview(flip("green")))
        assert await site.ended(accepted.run) == "done"
        assert await site.weights() != before
    assert intents(tmp_path) >= 1
