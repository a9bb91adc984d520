"""The journal over a year: an engine starts from a checkpoint and knows what it knew, whatever the checkpoint says;
runs that ended long ago are not in memory and can be read."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from adapters.journals.memory import MemoryJournal
from state.api.requests import PlanUndo
from state.engine.restoring import Restoring
from state.errors import NotFound, Refused
from state.journal.checkpoint import read_checkpoint
from state.journal.format import GENESIS, Sealer, unseal_any
from state.journal.writer import Journal
from state.runs.fold import HELD, SLACK
from tests.attack.checkpoints import (
    FixedClock,
    Touched,
    balancer,
    checkpoint,
    differences,
    folded,
    folds,
    restored,
    until,
    whole,
)
from tests.support.small_estate import flip, small
from tests.support.year import BEGAN, Year


@pytest.mark.parametrize("seed", range(4))
async def test_an_engine_that_starts_from_a_checkpoint_knows_what_every_entry_told(seed: int) -> None:
    year = Year(seed)
    entries = [*year.entries(6000)]
    everything = whole(entries)
    for cut in (1, 37, 900, 2500, 4100, 5999, 6000):
        made, begun, journal = await restored(entries, await checkpoint(entries[:cut]))
        assert begun == (cut, entries[cut - 1].hash), cut
        assert journal.unread == ""
        assert differences(everything, made) == [], cut


async def test_every_entry_that_a_checkpoint_names_is_one_that_something_follows_from() -> None:
    """The comparison sees what is missing: without the newest entries of a projection it differs."""
    entries = [*Year(2).entries(3000)]
    everything, text = whole(entries), await checkpoint(entries)
    found = read_checkpoint(text)
    assert found is not None
    needs = {name: frozenset(seqs) for name, seqs in found.needs.items()}
    for name, seqs in needs.items():
        if not seqs or name == "recent":
            continue
        made = folds(entries)
        wanted = sorted(set().union(*needs.values()))
        for seq in wanted:
            made.restore(unseal_any(entries[seq - 1]), {**needs, name: frozenset(), "recent": frozenset()})
        assert differences(everything, made), name


async def test_a_checkpoint_of_a_checkpoint_is_as_good() -> None:
    entries = [*Year(11).entries(5000)]
    store = MemoryJournal()
    text = ""
    for cut in range(500, 5001, 500):
        store = MemoryJournal()
        store.append(entries[:cut])
        store.keep_checkpoint(text)
        made = folds(entries[:cut])
        journal = Journal(store, Sealer("h", "b"), FixedClock(BEGAN))
        keeper = Restoring(store, journal, made, lambda entry, made=made: folded(made, entry))  # type: ignore[misc]
        assert (await keeper.restore())[0] == max(0, cut - 500)
        await keeper.save()
        text = store.kept_checkpoint()
    made, _, _ = await restored(entries, text)
    assert differences(whole(entries), made) == []


def _edited(text: str, **fields_: Any) -> str:
    return json.dumps({**json.loads(text), **fields_})


def _needs(text: str, change: Callable[[dict[str, Any]], None]) -> str:
    told = json.loads(text)
    change(told["needs"])
    return json.dumps(told)


WRONG: dict[str, Callable[[str], str]] = {
    "empty": lambda text: "",
    "cut": lambda text: text[: len(text) // 2],
    "zeros": lambda text: "\0" * len(text),
    "deep": lambda text: "[" * 100_000,
    "other rules": lambda text: _edited(text, rules="0" * 16),
    "other hash": lambda text: _edited(text, hash="00" * 32),
    "other seq": lambda text: _edited(text, seq=json.loads(text)["seq"] - 1),
    "huge seq": lambda text: _edited(text, seq=10**40),
    "other digest": lambda text: _edited(text, digest="00" * 32),
    "endless needs": lambda text: _needs(text, lambda needs: needs.update(recent=[[1, 10**15]])),
    "one entry less": lambda text: _needs(text, lambda needs: needs["state.runs.fold.RunHistory"].pop()),
    "no runs": lambda text: _needs(text, lambda needs: needs.pop("state.runs.fold.RunHistory")),
    "a state too many": lambda text: _needs(text, lambda needs: needs.update(more=[])),
    "not numbers": lambda text: _needs(text, lambda needs: needs.update(recent=[["1", None]])),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_checkpoint_that_does_not_fit_is_not_used(kind: str) -> None:
    entries = [*Year(3).entries(3000)]
    made, begun, _ = await restored(entries, WRONG[kind](await checkpoint(entries[:2500])))
    assert begun == (0, GENESIS)
    assert differences(whole(entries), made) == []


async def test_a_checkpoint_of_another_journal_or_of_an_entry_that_was_changed_is_not_used() -> None:
    entries = [*Year(3).entries(3000)]
    text = await checkpoint(entries[:2500])
    assert (await restored([*Year(3).entries(3000)], text))[1] == (0, GENESIS)
    found = read_checkpoint(text)
    assert found is not None
    for change in ({"payload": b'{"words":"x"}'}, {"header": entries[0].header}, {"salt": b"x"}):
        touched = [replace(e, **change) if e.seq == found.seqs[len(found.seqs) // 2] else e for e in entries]
        store = MemoryJournal()
        store.append(touched)
        store.keep_checkpoint(text)
        assert not found.fits(store.some(found.seqs)), change
        journal = Journal(store, Sealer("h", "b"), FixedClock(BEGAN))
        restoring = Restoring(store, journal, folds(entries), lambda entry: None)
        assert await restoring.restore() == (0, GENESIS)


async def test_what_is_wrong_before_a_checkpoint_is_found_beside_everything_else_and_stops_effects() -> None:
    year, store, target = Year(5), Touched(), balancer()
    store.append([*year.entries(3000), *year.finish()])
    async with small(store=store, balancer=target) as lab:
        assert lab.engine.view("journal").verified.startswith("chain verified to entry")
    needed = read_checkpoint(store.kept_checkpoint())
    assert needed is not None
    idle = next(seq for seq in range(100, 3000) if seq not in set(needed.seqs))
    store.edit(idle, payload=b'{"words":"never happened"}')
    async with small(store=store, balancer=target) as lab:
        await until(lambda: f"the payload of entry {idle}" in lab.engine.view("header").effects)
        assert lab.engine.history.runs
        card = await lab.preview(flip("green"))
        assert any(f"entry {idle}" in each.fact for each in card.refusals)
        before = store.kept_checkpoint()
    assert store.kept_checkpoint() == before, "a checkpoint of a journal in doubt was written"


async def test_what_follows_a_checkpoint_is_verified_before_anything_starts() -> None:
    year, store = Year(5), Touched()
    store.append([*year.entries(3000), *year.finish()])
    async with small(store=store):
        pass
    kept = store.kept_checkpoint()
    async with small(store=store):
        pass
    last = store.head()[0]
    store.keep_checkpoint(kept)
    store.edit(last, payload=b'{"words":"never happened"}')
    async with small(store=store, balancer=balancer()) as lab:
        assert f"the payload of entry {last}" in lab.engine.view("header").effects


async def test_until_all_is_verified_the_screen_says_from_where_on_it_is() -> None:
    year, store = Year(6), MemoryJournal()
    store.append([*year.entries(40_000), *year.finish()])
    async with small(store=store):
        pass
    async with small(store=store, balancer=balancer()) as lab:
        view = lab.engine.view("journal")
        assert "those before it are being checked" in view.verified
        assert lab.engine.view("header").journal_verified_seq == 0
        assert lab.engine.view("header").effects == ""
        await until(lambda: lab.engine.view("header").journal_verified_seq)
        assert "being checked" not in lab.engine.view("journal").verified


async def test_runs_that_ended_long_ago_leave_memory_and_are_read_when_asked_for() -> None:
    year, store = Year(7), MemoryJournal()
    while year.runs < HELD + SLACK + 60:
        store.append([*year.entries(500)])
    store.append([*year.finish()])
    async with small(store=store, balancer=balancer()) as lab:
        history = lab.engine.history
        assert len(history.runs) <= HELD + SLACK + 20
        assert "R-1" not in history.runs
        old = (await lab.engine.run_view("R-1")).runs["R-1"]
        assert (old.state, old.done, old.title) == ("done", old.total, "weights")
        assert (await lab.engine.run_view("R-1")).steps
        assert "R-1" not in history.runs
        assert history.next_id() == f"R-{year.runs + 1}"
        with pytest.raises(NotFound, match="R-9999"):
            await lab.engine.run_view("R-9999")
        run = (await lab.submit(await lab.preview(flip("green")))).run
        assert run == f"R-{year.runs + 1}"
        assert await lab.ended(run) == "done"


async def test_a_run_of_long_ago_can_be_undone_once() -> None:
    store, target = MemoryJournal(), balancer()
    async with small(store=store, balancer=target) as lab:
        run = (await lab.submit(await lab.preview(flip("green")))).run
        assert await lab.ended(run) == "done"
        history = lab.engine.history
        history.runs.pop(run)  # as if hundreds had followed
        assert history.let_go(run)
        undo = (await lab.submit(await lab.preview(PlanUndo(run)))).run
        assert await lab.ended(undo) == "done"
        assert await lab.weights() == {"blue": 100, "green": 0}
        assert history.runs[run].undone
        history.runs.pop(run)
        with pytest.raises(Refused, match=f"{undo} has undone it"):
            await lab.preview(PlanUndo(run))
