"""Retention: what is old and not needed is erased, and each payload that is gone is accounted for."""

import time
from pathlib import Path

import pytest

from adapters.journals.memory import MemoryJournal
from adapters.journals.sqlite import SqliteJournal
from state.errors import Refused
from state.estate.model import Estate
from state.journal.events import origin_of
from state.journal.format import unseal_any
from tests.attack.checkpoints import Touched, balancer, differences, until, whole
from tests.support.small_estate import COMMANDER, ESTATE, RESPONDER, small
from tests.support.year import Year

DAYS = {"observed": 90, "decided": 300}
AGES = {"heartbeats": "30d", "observed": "90d", "decided": "300d"}
YEARS = {**ESTATE, "policies": {**ESTATE["policies"], "retain": AGES}}


async def test_retention_erases_what_is_old_and_not_needed_and_says_so_before(tmp_path: Path) -> None:
    """What counts is kept: an engine then knows the same, and each payload that is gone is accounted for."""
    year = Year(8, every=4200.0, began=time.time() - 400 * 86_400.0)
    store = SqliteJournal(tmp_path / "journal.db")
    store.append([*year.entries(8000), *year.finish()])
    last = year.seq
    said = {e.seq: e.payload for e in store.rows() if len(e.payload) > 120}
    async with small(store=store, balancer=balancer(), estate=YEARS) as lab:
        told = await lab.engine.journal_retain(COMMANDER, dry_run=True)
        assert told.dry_run
        assert told.erased > 4000
        assert told.kept["still count for what is in force"] > 0
        assert not any(entry.payload == b"" for entry in store.rows())
        before = whole([*store.rows()][:last])
        with pytest.raises(Refused, match="commander"):
            await lab.engine.journal_retain(RESPONDER, dry_run=False)
        done = await lab.engine.journal_retain(COMMANDER, dry_run=False)
        assert done.erased >= told.erased  # what was recorded meanwhile may have taken another one's place
        proof = await lab.engine.journal_verify()
        assert (proof.problem, proof.erased) == ("", done.erased)
        assert f", {done.erased} of them without payload" in lab.engine.view("journal").verified
        assert lab.engine.view("header").journal_erased == done.erased
        row = next(row for row in lab.engine.journal_rows(last, 1000) if row.kind == "journal.retained")
        assert f"{done.erased} payloads erased by policy" in row.message
        assert "still count" in row.message
        now = time.time()
        for entry in store.rows():
            recorded = unseal_any(entry)
            if not recorded.erased:
                continue
            age = now - recorded.at
            days = 30 if recorded.kind == "engine.heartbeat" else DAYS[origin_of(recorded.kind)]
            assert age >= days * 86_400, recorded
        gone = {said[e.seq] for e in store.rows() if e.seq in said and not e.payload} - {
            e.payload for e in store.rows()
        }
        assert gone
        after = whole([*store.rows()][:last])
        assert [d for d in differences(before, after) if not d.startswith("JournalTail")] == []
        assert (again := await lab.engine.journal_retain(COMMANDER, dry_run=False)).erased < 5, again
    disk = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.name != "journal.checkpoint")
    assert not any(payload in disk for payload in gone), "the bytes of an erased payload are still in the files"
    async with small(store=SqliteJournal(tmp_path / "journal.db"), balancer=balancer(), estate=YEARS) as lab:
        assert lab.engine.view("header").effects == ""
        await until(lambda: lab.engine.view("header").journal_verified_seq)
        assert lab.engine.view("header").effects == ""
        assert (await lab.engine.journal_verify()).erased == done.erased + again.erased


async def test_an_entry_that_was_kept_and_is_erased_behind_retentions_back_is_named(tmp_path: Path) -> None:
    year = Year(8, every=10_800.0, began=time.time() - 400 * 86_400.0)
    store = Touched()
    store.append([*year.entries(3000), *year.finish()])
    async with small(store=store, balancer=balancer(), estate=YEARS) as lab:
        await lab.engine.journal_retain(COMMANDER, dry_run=False)
        kept = next(e.seq for e in store.rows() if e.payload and unseal_any(e).kind == "effect.ended")
        store.edit(kept, payload=b"", salt=b"")
        assert f"the payload of entry {kept} was erased" in (await lab.engine.journal_verify()).problem


async def test_without_a_policy_nothing_is_erased() -> None:
    async with small(store=MemoryJournal()) as lab:
        with pytest.raises(Refused, match="no policy"):
            await lab.engine.journal_retain(COMMANDER, dry_run=False)


def test_an_age_below_a_day_is_no_policy() -> None:
    for wrong in ("1m", "23h", "0d"):
        with pytest.raises(ValueError, match="retain"):
            Estate.model_validate({**ESTATE, "policies": {"retain": {"decided": wrong}}})
