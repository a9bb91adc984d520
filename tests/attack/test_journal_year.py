"""The journal over a year: an engine starts from a checkpoint and knows what it knew, whatever the checkpoint says;
runs that ended long ago are not in memory and can be read."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from adapters.journals.sqlite import SqliteJournal
from state.api.requests import PlanUndo
from state.capabilities import load_events, parts
from state.detection.alerts import Alerts
from state.detection.follow import NORMAL, Follower
from state.engine.restoring import Restoring
from state.errors import NotFound, Refused
from state.estate.model import Estate
from state.journal.checkpoint import digest_of, read_checkpoint
from state.journal.events import origin_of
from state.journal.format import GENESIS, Sealed, Sealer, unseal_any
from state.journal.projection import Folds, FoldSetting
from state.journal.writer import Journal
from state.runs.fold import HELD, RUNS, SLACK, RunHistory
from state.verdicts.judge import Judge
from state.world.world import World
from tests.support.small_estate import COMMANDER, ESTATE, RESPONDER, flip, small
from tests.support.year import BEGAN, Year

HOUR = 3600.0


class FixedClock:
    """Stands still, after the last entry."""

    def __init__(self, wall: float) -> None:
        self._wall = wall

    def mono(self) -> float:
        return 1e6

    def wall(self) -> float:
        return self._wall


def folds(entries: list[Sealed]) -> Folds:
    load_events()
    clock = FixedClock(unseal_any(entries[-1]).at)
    estate = Estate.model_validate(ESTATE)
    return Folds(
        tuple(parts("projections")), FoldSetting(estate, Judge(estate, World()), clock, "this boot", "engine@test")
    )


def known(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value in a state, by its place, without what no longer counts: what came and went an hour before."""
    if isinstance(value, Follower):
        value._forget(1e6)
    inside = dict(_parts(value))
    if isinstance(value, Alerts):
        open_ = set(value.follower.open)
        inside["._facts"] = {key: fact for key, fact in value._facts.items() if key in open_}
    if inside:
        yield f"{where}#", len(inside)
    for place, each in inside.items():
        yield from known(each, where + place)
    if not (inside or callable(value) or type(value).__name__ in SETTING):
        empty = isinstance(value, Mapping | deque | list | tuple | set)
        yield where, () if empty else round(value, 3) if isinstance(value, float) else value


SETTING = ("Judge", "FixedClock", "FoldSetting", "Estate", "World")


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"[{key}]", each) for key, each in value.items())
    elif isinstance(value, deque) and all(isinstance(each, float) for each in value):
        yield from ((f"[{n}]", each) for n, each in enumerate(x for x in value if x >= 1e6 - HOUR))
    elif isinstance(value, list | tuple | deque):
        yield from ((f"[{number}]", each) for number, each in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from ((f"[{each}]", True) for each in value)
    elif is_dataclass(value) and not callable(value) and type(value).__name__ not in SETTING:
        yield from ((f".{each.name}", getattr(value, each.name)) for each in fields(value))
    elif hasattr(value, "__dict__") and not callable(value) and type(value).__name__ not in SETTING:
        yield from ((f".{name}", each) for name, each in vars(value).items())


def differences(one: Folds, other: Folds) -> list[str]:
    """What two engines know differently; what neither has anything of is no difference."""
    nothing = (None, 0, "", [], NORMAL, ())
    found: list[str] = []
    for state in one.states:
        mine, theirs = dict(known(one.states[state])), dict(known(other.states[state]))
        for place in {**mine, **theirs}:
            a, b = mine.get(place), theirs.get(place)
            if a != b and not (a in nothing and b in nothing) and not place.endswith("#"):
                found.append(f"{state.__name__}{place}: {a!r}, {b!r}")
    return found


def whole(entries: list[Sealed]) -> Folds:
    made = folds(entries)
    for entry in entries:
        assert made.fold(unseal_any(entry)) == ""
    return made


async def restored(entries: list[Sealed], text: str) -> tuple[Folds, tuple[int, bytes], Journal]:
    store = MemoryJournal()
    store.append(entries)
    store.keep_checkpoint(text)
    made = folds(entries)
    journal = Journal(store, Sealer("h", "b"), FixedClock(BEGAN))
    begun = await Restoring(store, journal, made, lambda entry: _fold(made, entry)).restore()
    return made, begun, journal


def _fold(made: Folds, entry: Any) -> None:
    assert made.fold(entry) == ""


async def checkpoint(entries: list[Sealed]) -> str:
    store = MemoryJournal()
    store.append(entries)
    journal = Journal(store, Sealer("h", "b"), FixedClock(BEGAN))
    made = whole(entries)
    await Restoring(store, journal, made, lambda entry: None).save()
    return store.kept_checkpoint()


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
        keeper = Restoring(store, journal, made, lambda entry, made=made: _fold(made, entry))  # type: ignore[misc]
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


def balancer() -> MemoryBalancer:
    return MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


class Touched(MemoryJournal):
    """A journal somebody may reach into."""

    def edit(self, seq: int, **changed: bytes) -> None:
        self._entries[seq - 1] = replace(self._entries[seq - 1], **changed)


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


def _leaving(text: str, entries: list[Sealed], leaves: Callable[[int], bool]) -> str:
    """A checkpoint that fits and names no entry of a run that `leaves` is true for."""
    found = read_checkpoint(text)
    assert found is not None
    needs = {
        name: [seq for seq in seqs if not (name == RUNS.name and leaves(seq))] for name, seqs in found.needs.items()
    }
    named = replace(found, needs=needs)
    forged = replace(named, digest=digest_of(needs, [entries[seq - 1] for seq in named.seqs]))
    assert forged.fits([entries[seq - 1] for seq in forged.seqs])
    return forged.text()


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
    text = _leaving(await checkpoint(entries), entries, hides[what])
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
    store.keep_checkpoint(_leaving(store.kept_checkpoint(), entries, lambda seq: seq == wanted))
    async with small(store=store, balancer=target) as lab:
        await until(lambda: f"leaves out entry {wanted}, of {first}" in lab.engine.view("header").effects)
        card = await lab.preview(flip("green"))
        assert any("remove that file and start the engine again" in each.fact for each in card.refusals)


async def test_no_name_of_a_run_is_given_twice_after_a_forged_checkpoint() -> None:
    store, target = MemoryJournal(), balancer()
    async with small(store=store, balancer=target) as lab:
        assert await lab.ended((await lab.submit(await lab.preview(flip("green")))).run) == "done"
    store.keep_checkpoint(_leaving(store.kept_checkpoint(), [*store.rows()], lambda seq: True))
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
