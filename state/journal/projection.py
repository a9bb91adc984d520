"""Projections: durable state as a fold over the journal.

A capability registers its projections; the engine creates each once, folds every entry in, live and after a restart,
and hands the state to views, checks and policies by its type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from state.clock import Clock
from state.estate.model import Estate
from state.journal.events import Body, Foreign, Recorded, Unreadable
from state.world.world import World

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class FoldSetting:
    """What a projection may start from; `boot` names this engine's life, `actor` its entries."""

    estate: Estate
    world: World
    clock: Clock
    boot: str
    actor: str

    def mono(self, recorded: Recorded) -> float:
        """The monotonic instant of an entry; of an earlier engine's by the wall clock, the best there is."""
        if recorded.boot == self.boot:
            return recorded.mono
        return recorded.at - (self.clock.wall() - self.clock.mono())


@dataclass(frozen=True, slots=True)
class Projection:
    """One fold: the state it makes, the bodies it reads (none = every entry), and how an entry changes the state.

    `fold` may raise LookupError, TypeError, ValueError or AttributeError for an entry that does not fit what went
    before; then the journal counts as unread from there.
    """

    state: type[Any]
    create: Callable[[FoldSetting], Any]
    kinds: tuple[type[Body], ...]
    fold: Callable[[Any, Recorded], None]


class Folds:
    """The states of all projections, by type."""

    def __init__(self, projections: tuple[Projection, ...], setting: FoldSetting) -> None:
        self.states: dict[type[Any], Any] = {p.state: p.create(setting) for p in projections}
        self.versions: dict[type[Any], int] = dict.fromkeys(self.states, 0)
        self._all = tuple(p for p in projections if not p.kinds)
        self._by_kind: dict[str, tuple[Projection, ...]] = {}
        for projection in projections:
            for body in projection.kinds:
                self._by_kind[body.kind] = (*self._by_kind.get(body.kind, ()), projection)

    def of(self, state: type[S]) -> S:
        """The state of one projection. Raises KeyError when no capability registered it."""
        found: S = self.states[state]
        return found

    def fold(self, recorded: Recorded) -> str:
        """Apply one entry to every projection that reads its kind; empty, or why it cannot be read."""
        problem = ""
        if isinstance(recorded.body, Foreign):
            problem = f"entry {recorded.seq} has a kind that this version does not know: {recorded.kind}"
        elif isinstance(recorded.body, Unreadable):
            problem = f"entry {recorded.seq} does not read as {recorded.kind}"
        for projection in (*self._all, *self._by_kind.get(recorded.kind, ())):
            try:
                projection.fold(self.states[projection.state], recorded)
            except (LookupError, TypeError, ValueError, AttributeError):
                problem = problem or f"entry {recorded.seq} does not read as {recorded.kind}"
            self.versions[projection.state] += 1
        return problem

    def counts(self) -> Mapping[type[Any], int]:
        """How many entries each projection has folded: a version of its state."""
        return self.versions
