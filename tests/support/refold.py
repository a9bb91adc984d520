"""What an engine knows now against what its journal says: the same, or a restart would change the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from state.capabilities import parts
from state.detection.detector import Detector
from state.engine.engine import Engine
from state.journal.format import unseal_any
from state.journal.projection import Folds, FoldSetting
from state.journal.store import JournalStore
from state.runs.fold import RunHistory
from state.verdicts.judge import Judge
from state.views.journal import JournalTail

NEAR = 1.0
"""Seconds by which instants of earlier engines may differ: they are told by the wall clock."""
UNRECORDED = frozenset({"stopping"})
"""A stop counts also when it cannot be recorded."""
PASSING = frozenset({"message", "evidence"})
"""Of an open run and its steps: what is read just now, and why nothing goes on."""


def refolded(engine: Engine, store: JournalStore) -> Folds:
    """The states that a fold of the stored bytes gives, as a restart would make them."""
    setting = FoldSetting(engine.estate, Judge(engine.estate, engine.world), engine.clock, engine.boot, "test")
    folds = Folds(tuple(parts("projections")), setting)
    for entry in store.rows():
        folds.fold(unseal_any(entry))
    return folds


def differences(engine: Engine, store: JournalStore) -> list[str]:
    """Everything in which the live states and those of the journal differ."""
    told = refolded(engine, store)
    live, fresh = engine.history, told.of(RunHistory)
    found = [*_differ("epoch", live.epoch, fresh.epoch), *_differ("leased", live._leased, fresh._leased)]
    found += _differ("next id", live.next_id(), fresh.next_id())
    found += _differ("runs", list(live.runs), list(fresh.runs))
    for name, run in live.runs.items():
        left_out = UNRECORDED if run.ended else UNRECORDED | PASSING
        found += _differ(name, run, fresh.runs.get(name), left_out)
    mine, theirs = engine.folds.of(Detector), told.of(Detector)
    for part in ("clocks", "_expected", "_under_way"):
        found += _differ(part, getattr(mine, part), getattr(theirs, part))
    return found + list(_differ("journal", engine.folds.of(JournalTail).rows(), told.of(JournalTail).rows()))


def _differ(where: str, live: Any, fresh: Any, left_out: frozenset[str] = frozenset()) -> Iterator[str]:
    mine, theirs = dict(_leaves(where, live, left_out)), dict(_leaves(where, fresh, left_out))
    for place in {**mine, **theirs}:
        one, other = mine.get(place, "nothing"), theirs.get(place, "nothing")
        near = isinstance(one, float) and isinstance(other, float) and abs(one - other) <= NEAR
        if one != other and not near:
            yield f"{place}: {one!r} is {other!r} in the journal"


def _leaves(where: str, value: Any, left_out: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Every plain value in it, by its place; a tuple is what a list is."""
    inner: dict[str, Any]
    if is_dataclass(value):
        inner = {f".{f.name}": getattr(value, f.name) for f in fields(value) if f.name not in left_out}
    elif isinstance(value, Mapping):
        inner = {f"[{key}]": each for key, each in value.items()}
    elif isinstance(value, list | tuple):
        inner = {f"[{index}]": each for index, each in enumerate(value)}
    else:
        yield where, value
        return
    yield f"{where}#", len(inner)
    for place, each in inner.items():
        yield from _leaves(where + place, each, left_out)
