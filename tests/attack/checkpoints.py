"""Engines that start from a checkpoint, compared with those that read all; journals that somebody reaches into."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.capabilities import load_events, parts
from state.detection.alerts import Alerts
from state.detection.follow import NORMAL, Follower
from state.engine.restoring import Restoring
from state.estate.model import Estate
from state.journal.checkpoint import digest_of, read_checkpoint
from state.journal.format import Sealed, Sealer, unseal_any
from state.journal.projection import Folds, FoldSetting
from state.journal.writer import Journal
from state.runs.fold import RUNS
from state.verdicts.judge import Judge
from state.world.world import World
from tests.support.small_estate import ESTATE
from tests.support.year import BEGAN

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
    elif isinstance(value, deque | tuple) and all(isinstance(each, float) for each in value):
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
    begun = await Restoring(store, journal, made, lambda entry: folded(made, entry)).restore()
    return made, begun, journal


def folded(made: Folds, entry: Any) -> None:
    assert made.fold(entry) == ""


async def checkpoint(entries: list[Sealed]) -> str:
    store = MemoryJournal()
    store.append(entries)
    journal = Journal(store, Sealer("h", "b"), FixedClock(BEGAN))
    made = whole(entries)
    await Restoring(store, journal, made, lambda entry: None).save()
    return store.kept_checkpoint()


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


def leaving(text: str, entries: list[Sealed], leaves: Callable[[int], bool]) -> str:
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
