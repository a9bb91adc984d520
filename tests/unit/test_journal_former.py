"""A journal that the former version wrote is verified, read and gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.journals.memory import MemoryJournal
from state.capabilities import load_events
from state.journal.events import Foreign, Unreadable
from state.journal.format import Sealed, canonical, unseal
from state.proof.lines import verify_export
from tests.support.small_estate import flip, small

NEWER = {
    *("leaves", "differences", "undo", "class", "more", "nodes", "passes", "found", "output", "figures"),
    *("sent", "until", "unsaved"),
}
"""Fields that an entry of the former version did not have."""
FORMER = Path(__file__).parents[1] / "fixtures/journals/version-0.1.ndjson"


def sealed(line: bytes) -> Sealed:
    raw = json.loads(line)
    return Sealed(
        raw["seq"],
        raw["header"].encode(),
        bytes.fromhex(raw["hash"]),
        bytes.fromhex(raw["salt"]),
        raw["payload"].encode(),
    )


@pytest.fixture(scope="module")
def entries() -> list[Sealed]:
    load_events()
    return [sealed(line) for line in FORMER.read_bytes().splitlines()]


def as_told(now: Any, then: Any) -> Any:
    """What is said now, as far as it could be said then: without the fields that are new, at any depth."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {key: as_told(value, then[key]) for key, value in now.items() if key in then}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [as_told(a, b) for a, b in zip(now, then, strict=True)]
    return now


def test_its_chain_verifies() -> None:
    lines = FORMER.read_bytes().splitlines()
    assert verify_export(lines).ok
    assert verify_export(lines).entries == len(lines)


def test_every_entry_reads_as_its_kind_and_writes_back_what_it_said(entries: list[Sealed]) -> None:
    for entry in entries:
        body = unseal(entry).body
        assert not isinstance(body, Foreign | Unreadable)
        now, then = json.loads(canonical(body.as_json())), json.loads(entry.payload)
        assert as_told(now, then) == then
        assert not set(now) - set(then) - NEWER


async def test_an_engine_goes_on_with_it(entries: list[Sealed]) -> None:
    store = MemoryJournal()
    store.append(entries)
    async with small(store=store) as lab:
        assert lab.engine.view("header").effects == ""
        runs = lab.engine.view("runbooks").runs
        assert [runs[f"R-{n}"].state for n in (1, 2, 3)] == ["done", "done", "done"]
        run = (await lab.submit(await lab.preview(flip("green")))).run
        assert (run, await lab.ended(run)) == ("R-5", "done")
        assert (await lab.engine.journal_verify()).problem == ""
