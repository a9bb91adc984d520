"""Projections: durable state as a fold over the journal.

A capability registers its projections; the engine creates each once, folds every entry in, live and after a restart,
and hands the state to views, checks and policies by its type.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

from state.clock import Clock
from state.estate.model import Estate
from state.journal.checkpoint import RECENT, RULES
from state.journal.events import Body, Event, Foreign, Instant, Recorded, TooLarge, Unreadable
from state.journal.needed import About, Needed, Recently
from state.verdicts.judge import Judge
from state.world.observed import Observed
from state.world.readings import Reading

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class FoldSetting:
    """What a projection starts from; `boot` identifies this engine process, `actor` is the actor of its entries.

    `estate` is that of the start; `judge.estate` is the one in force, also after a reload.
    """

    estate: Estate
    judge: Judge
    clock: Clock
    boot: str
    actor: str

    def mono(self, recorded: Recorded | Instant) -> float:
        """The monotonic instant of an entry; of an earlier engine by the wall clock, and not in the future."""
        if recorded.boot == self.boot:
            return recorded.mono
        now = self.clock.mono()
        return min(now, recorded.at - (self.clock.wall() - now))


@dataclass(frozen=True, slots=True)
class Projection:
    """One fold: the state it makes, the bodies it reads (none = every entry), and how an entry changes the state.

    `fold` may raise LookupError, TypeError, ValueError or AttributeError for an entry that does not fit the earlier
    ones; then the journal counts as unread from there. `on_reading` is called with each good reading, `notice` at every
    tick with the engine's monotonic clock; what `notice` returns is recorded, as soon as that is possible.

    After a restart a state is made from the entries that it still follows from, and those of the last hour: `subjects`
    says what an entry tells about, of which the newest ones count; or `needs` names the entries. With neither, all
    entries of its kinds are read.
    """

    state: type[Any]
    create: Callable[[FoldSetting], Any]
    kinds: tuple[type[Body], ...]
    fold: Callable[[Any, Recorded], None]
    on_reading: Callable[[Any, Observed[Reading]], None] | None = None
    notice: Callable[[Any, float], Sequence[Event]] | None = None
    subjects: Callable[[Recorded], Iterable[About]] | None = None
    needs: Callable[[Any], Iterable[int]] | None = None

    @property
    def name(self) -> str:
        """The name of its state."""
        return f"{self.state.__module__}.{self.state.__qualname__}"


def about_nothing(recorded: Recorded) -> Iterable[About]:
    """The subjects of a projection that follows from the last hour only."""
    return ()


class Folds:
    """The states of all projections, by type."""

    def __init__(self, projections: tuple[Projection, ...], setting: FoldSetting) -> None:
        if len({p.state for p in projections}) < len(projections):
            names = ", ".join(sorted(p.state.__name__ for p in projections))
            raise ValueError(f"two projections make one state: {names}")
        self.states: dict[type[Any], Any] = {p.state: p.create(setting) for p in projections}
        self._projections = projections
        self._folded: dict[type[Any], int] = dict.fromkeys(self.states, 0)
        self._unasked = {p.state for p in projections if p.on_reading is not None or p.notice is not None}
        self._all = tuple(p for p in projections if not p.kinds)
        self._by_kind: dict[str, tuple[Projection, ...]] = {}
        self._recently = Recently()
        self._needed: dict[str, Needed] = {p.name: Needed() for p in projections if p.subjects is not None}
        self._whole: dict[str, array[int]] = {
            p.name: array("Q") for p in projections if p.subjects is None and p.needs is None
        }
        for projection in projections:
            for body in projection.kinds:
                self._by_kind[body.kind] = (*self._by_kind.get(body.kind, ()), projection)

    def of(self, state: type[S]) -> S:
        """The state of one projection. Raises KeyError when no capability registered it."""
        found: S = self.states[state]
        return found

    def fold(self, recorded: Recorded, only: Container[str] | None = None) -> str:
        """Apply one entry to every projection that reads its kind, of those named in `only` if given; empty, or why it
        cannot be read."""
        problem = ""
        if isinstance(recorded.body, Foreign):
            problem = f"entry {recorded.seq} has a kind that this version does not know: {recorded.kind}"
        elif isinstance(recorded.body, Unreadable):
            problem = f"entry {recorded.seq} cannot be read as {recorded.kind}"
        self._recently.take(recorded.seq, recorded.at)
        silent = isinstance(recorded.body, TooLarge)
        for projection in self._all if silent else (*self._all, *self._by_kind.get(recorded.kind, ())):
            if only is not None and projection.name not in only:
                continue
            self._folded[projection.state] += 1  # also where it breaks half way
            try:
                projection.fold(self.states[projection.state], recorded)
            except (LookupError, TypeError, ValueError, AttributeError):
                problem = problem or f"entry {recorded.seq} cannot be read as {recorded.kind}"
            if projection.subjects is not None:
                self._needed[projection.name].take(recorded.seq, projection.subjects(recorded))
            elif projection.needs is None:
                self._whole[projection.name].append(recorded.seq)
        return problem

    def needed(self) -> dict[str, Sequence[int]]:
        """The entries that each state follows from, by the name of its projection, and those of the last hour."""
        named = {p.name: sorted(set(p.needs(self.states[p.state]))) for p in self._projections if p.needs is not None}
        told = {name: needed.seqs() for name, needed in self._needed.items()}
        return {RECENT: self._recently.seqs(), **named, **told, **self._whole}

    def knows(self, needs: Mapping[str, Sequence[int]]) -> bool:
        """Whether it is told what each of its projections needs, and nothing else."""
        return set(needs) == {RECENT, *(p.name for p in self._projections)}

    def restore(self, entry: Recorded, needs: Mapping[str, Container[int]]) -> str:
        """Apply one entry to the projections that need it; empty, or why it cannot be read."""
        recent = entry.seq in needs[RECENT]
        only = {p.name for p in self._projections if entry.seq in needs[p.name] or (recent and p.subjects is not None)}
        return self.fold(entry, only)

    @property
    def rules(self) -> str:
        """By what entries are selected: the projections and what they read."""
        told = sorted(f"{p.name}:{','.join(sorted(k.kind for k in p.kinds))}" for p in self._projections)
        return sha256(f"{RULES} {' '.join(told)}".encode()).hexdigest()[:16]

    def version(self, state: type[Any]) -> int | None:
        """How often the state of a projection has changed; None while it may change at any time.

        `moving` of a state means that it may change now; `unrecorded` counts its changes without an entry.
        """
        held = self.states[state]
        if state in self._unasked or getattr(held, "moving", False):
            return None
        return self._folded[state] + int(getattr(held, "unrecorded", 0))

    @property
    def urgent(self) -> bool:
        """Whether a state asks to be shown at once."""
        return any(getattr(state, "urgent", False) for state in self.states.values())

    def on_reading(self, now: Observed[Reading]) -> None:
        """Give a good reading to every projection that wants readings."""
        for projection in self._projections:
            if projection.on_reading is not None:
                projection.on_reading(self.states[projection.state], now)

    def notice(self, now_mono: float) -> list[Event]:
        """The events that the projections detect now, to be recorded."""
        return [
            event
            for projection in self._projections
            if projection.notice is not None
            for event in projection.notice(self.states[projection.state], now_mono)
        ]
