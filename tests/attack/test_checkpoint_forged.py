"""A checkpoint that fits the journal and leaves out what counts is not believed, or what it leaves out is named."""

import time
from collections.abc import Callable

import pytest

from adapters.journals.memory import MemoryJournal
from state.journal.format import GENESIS, Sealer, unseal_any
from state.runs.fold import RunHistory
from tests.attack.checkpoints import balancer, checkpoint, differences, leaving, restored, until, whole
from tests.support.small_estate import flip, small
from tests.support.year import Year


@pytest.mark.parametrize("what", ["every run", "the newest", "the intents of what is open", "older ones"])
async def test_a_forged_checkpoint_that_fits_and_hides_runs_is_not_believed(what: str) -> None:
    entries = [*Year(3).entries(3000)]
    read = [unseal_any(each) for each in entries]
    cut = max(each.seq for each in read if each.kind == "effect.intended")
    entries, read = entries[:cut], read[:cut]
    everything = whole(entries)
    history = everything.of(RunHistory)
    open_, newest = {run.id for run in history.open()}, [*history.runs][-1]
    assert open_
    hides: dict[str, Callable[[int], bool]] = {
        "every run": lambda seq: True,
        "the newest": lambda seq: read[seq - 1].event.run == newest,
        "the intents of what is open": lambda seq: (
            read[seq - 1].event.run in open_ and read[seq - 1].kind != "run.started"
        ),
        "older ones": lambda seq: read[seq - 1].event.run == "R-1",
    }
    text = leaving(await checkpoint(entries), entries, hides[what])
    made, begun, _ = await restored(entries, text)
    assert begun == (0, GENESIS)
    assert differences(everything, made) == []


@pytest.mark.parametrize("kind", ["effect.ended", "lease.taken"])
async def test_what_a_believed_checkpoint_leaves_out_of_an_ended_run_stops_effects_and_is_named(kind: str) -> None:
    store, target = MemoryJournal(), balancer()
    async with small(store=store, balancer=target) as lab:
        first = (await lab.submit(await lab.preview(flip("green")))).run
        assert await lab.ended(first) == "done"
        assert await lab.ended((await lab.submit(await lab.preview(flip("blue")))).run) == "done"
    entries = [*store.rows()]
    read = [unseal_any(each) for each in entries]
    wanted = next(each.seq for each in read if each.kind == kind and each.event.run == first)
    store.keep_checkpoint(leaving(store.kept_checkpoint(), entries, lambda seq: seq == wanted))
    async with small(store=store, balancer=target) as lab:
        await until(lambda: f"leaves out entry {wanted}, of {first}" in lab.engine.view("header").effects)
        card = await lab.preview(flip("green"))
        assert any("remove that file and start the engine again" in each.fact for each in card.refusals)


async def test_no_name_of_a_run_is_given_twice_after_a_forged_checkpoint() -> None:
    store, target = MemoryJournal(), balancer()
    async with small(store=store, balancer=target) as lab:
        assert await lab.ended((await lab.submit(await lab.preview(flip("green")))).run) == "done"
    store.keep_checkpoint(leaving(store.kept_checkpoint(), [*store.rows()], lambda seq: True))
    async with small(store=store, balancer=target) as lab:
        assert [*lab.engine.history.runs] == ["R-1"]
        assert "journal.checkpoint left out R-1" in lab.engine.journal_rows(0, 10_000)[-1].message
        assert lab.engine.view("header").effects == ""
        assert (await lab.submit(await lab.preview(flip("blue")))).run == "R-2"


async def test_a_journal_in_which_two_runs_have_one_name_is_in_doubt() -> None:
    store, target = MemoryJournal(), balancer()
    async with small(store=store, balancer=target) as lab:
        assert await lab.ended((await lab.submit(await lab.preview(flip("green")))).run) == "done"
    begun = next(each for each in map(unseal_any, store.rows()) if each.kind == "run.started")
    seq, head = store.head()
    store.append([Sealer("h", "b").seal(begun.event, seq=seq + 1, previous=head, at=time.time(), mono=1.0)])
    async with small(store=store, balancer=target) as lab:
        assert f"entry {seq + 1} begins a second R-1" in lab.engine.view("header").effects
