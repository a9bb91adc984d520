"""Names that were changed: how far the change has come, and whether somebody sets them back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from state.changes.model import Finding
from state.detection.follow import WINDOW
from state.journal.events import WORDS, Event, Observation, Recorded, event
from state.journal.needed import About
from state.journal.projection import FoldSetting, Projection
from state.ports.target import Setting
from state.runs.events import EffectAmended, EffectEnded, EffectIntended, StepEnded
from state.verdicts.dns import answer
from state.verdicts.drift import key_of
from state.verdicts.record_moves import PLACE, Move, Name, Spread, answers_it, moved_names
from state.world.dns_parts import DnsReading
from state.world.observed import Observed
from state.world.readings import Reading
from state.world.world import TREND

FIGHT = 2
"""So often within an hour a name must be set back to be a fight with whatever sets it."""


@event("dns.reverted")
@dataclass(frozen=True, slots=True)
class NameReverted(Observation):
    """A name no longer answers what the last effect set: somebody else changed it. `times`: how often within the last
    hour."""

    zone: str
    record: str
    message: str = field(metadata=WORDS)
    times: int = 1


class NameWatch:
    """Folds what effects left at names and its own entries; compares each reading with them.

    `reverted` holds what is otherwise now, by zone and record, with how often that was so within the last hour.
    """

    def __init__(self, setting: FoldSetting) -> None:
        self._setting = setting
        self._moves: dict[Name, Move] = {}
        self._under_way: dict[str, tuple[str, ...]] = {}
        self._shown: dict[Name, dict[str, bool]] = {}
        self._curves: dict[Name, deque[float]] = {}
        self._turns: dict[Name, deque[float]] = {}
        self._known: set[Name] = set()
        self._pending: list[NameReverted] = []
        self.reverted: dict[Name, NameReverted] = {}

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry."""
        match recorded.body:
            case EffectIntended() as intent:
                self._under_way[intent.effect] = intent.targets
            case EffectEnded() as ended:
                self._under_way.pop(ended.effect, None)
                if ended.finding is not Finding.NOT_DONE:
                    wait = ended.figures.get("wait")
                    seconds = float(wait) if isinstance(wait, int | float) else 0.0
                    self._left(ended.leaves, recorded, seconds, whole=ended.finding is Finding.DONE)
            case EffectAmended() as amended:
                self._left(amended.leaves, recorded, 0.0, whole=False)
            case StepEnded() as step:
                self._left(step.found, recorded, 0.0, whole=True)
            case NameReverted() as told:
                name = (told.zone, told.record)
                if recorded.boot != self._setting.boot:  # what this engine noticed was counted then
                    self._turns.setdefault(name, deque(maxlen=FIGHT * 8)).append(self._setting.mono(recorded))
                self._known.add(name)
            case _ if recorded.erased:
                self._under_way.pop(f"{recorded.event.run}/{recorded.event.step}", None)

    def _left(self, settings: tuple[Setting, ...], recorded: Recorded, wait: float, *, whole: bool) -> None:
        for name, wanted in moved_names(settings).items():
            self._moves[name] = Move(wanted, wait, recorded.at, self._setting.mono(recorded), whole)
            self._shown.pop(name, None)
            self._curves.pop(name, None)
            self.reverted.pop(name, None)
            self._known.discard(name)

    def spread(self, zone: str, record: str) -> Spread | None:
        """How far the last change of a name has come; None where none is known."""
        name = (zone, record)
        move = self._moves.get(name)
        if move is None:
            return None
        shown = frozenset(source for source, shows in self._shown.get(name, {}).items() if shows)
        return Spread(move, shown, self._places(zone) or shown, tuple(self._curves.get(name, ())))

    def _places(self, zone: str) -> frozenset[str]:
        """The sources of a zone, as the estate lists them; one that is silent does not answer the change."""
        entry = self._setting.judge.estate.zones.get(zone)
        if entry is None or not entry.asked:
            return frozenset()
        resolvers = (f"resolver:{zone}@{each}" for each in entry.resolvers)
        return frozenset((*(f"{PLACE}{zone}@{each}" for each in entry.asked), *resolvers))

    def on_reading(self, now: Observed[Reading]) -> None:
        """Compare one server's or resolver's answers with what effects left."""
        reading = now.value
        if not isinstance(reading, DnsReading) or now.error is not None or now.mono is None:
            return
        busy = {target for targets in self._under_way.values() for target in targets}
        for name, move in self._moves.items():
            zone, record = name
            if zone != reading.zone or f"{zone}/{record}" in busy or now.mono <= move.mono:
                continue
            shows = answers_it(reading, record, move.wanted)
            if shows is None:
                continue
            seen = self._shown.setdefault(name, {})
            before, seen[now.source] = seen.get(now.source), shows
            if now.source.startswith(PLACE):
                self._judge(name, reading, now, before, shows=shows)
            self._draw(name, seen)

    def _judge(
        self, name: Name, reading: DnsReading, now: Observed[Reading], before: bool | None, *, shows: bool
    ) -> None:
        """A server that answered it and does no more: that was somebody else."""
        move = self._moves[name]
        if shows:
            if name in self.reverted and all(v for s, v in self._shown[name].items() if s.startswith(PLACE)):
                del self.reverted[name]
            return
        if before is False or (before is None and not move.whole) or now.mono is None:
            return
        told, turns = self._told(name, reading), self._turns.setdefault(name, deque(maxlen=FIGHT * 8))
        known = before is None and name in self._known  # an earlier engine told it
        if name not in self.reverted and not known:
            turns.append(now.mono)
            times = sum(now.mono - at <= WINDOW for at in turns)
            body = NameReverted(*name, _words(told, times), times)
            if times <= FIGHT:
                self._pending.append(body)
        else:
            times = max(1, sum(now.mono - at <= WINDOW for at in turns))
        self.reverted[name] = NameReverted(*name, _words(told, times), times)

    def _told(self, name: Name, reading: DnsReading) -> str:
        zone, record = name
        entry = self._setting.judge.estate.zones.get(zone)
        mine = [each for each in entry.records if each.name == record] if entry is not None else []
        answers = ", ".join(value for each in mine for value in answer(reading, each)) or "nothing"
        wanted = ", ".join(sorted(v for values in self._moves[name].wanted.values() for v in values)) or "nothing"
        return f"{record} of {zone}: {reading.server} answers {answers} again, not {wanted}"

    def _draw(self, name: Name, seen: Mapping[str, bool]) -> None:
        """The share of all that are asked which answer it: points as long as it moves, the last one once."""
        curve = self._curves.setdefault(name, deque(maxlen=TREND))
        share = sum(seen.values()) / len(self._places(name[0]) or seen)
        if share < 1.0 or not curve or curve[-1] < 1.0:
            curve.append(round(share, 3))

    def notice(self, now_mono: float) -> list[Event]:
        """What is to be recorded since the last tick: the first times, then only that it is a fight."""
        found = [Event(body, self._setting.actor) for body in self._pending]
        self._pending.clear()
        return found


def _words(told: str, times: int) -> str:
    if times < FIGHT:
        return f"{told}: changed from outside"
    return f"{told}: set back {times} times within an hour, another program writes it; stop that one first"


def _subjects(recorded: Recorded) -> Iterator[About]:
    """Of each setting of a name the newest entry, of an effect its intent until it has ended."""
    match recorded.body:
        case EffectIntended() as intent:
            yield About(("effect", intent.effect))
        case EffectEnded() as ended:
            yield About(("effect", ended.effect), closes=True)
            if ended.finding is not Finding.NOT_DONE:
                yield from _settings(ended.leaves)
        case EffectAmended() as amended:
            yield from _settings(amended.leaves)
        case StepEnded() as step:
            yield from _settings(step.found)
        case NameReverted() as told:
            yield About(("reverted", told.zone, told.record))
        case _:
            return


def _settings(settings: tuple[Setting, ...]) -> Iterator[About]:
    yield from (About(("setting", key_of(each))) for each in settings if each.place and each.place[0].startswith(PLACE))


NAMES = Projection(
    NameWatch,
    NameWatch,
    (EffectIntended, EffectEnded, EffectAmended, StepEnded, NameReverted),
    NameWatch.fold,
    NameWatch.on_reading,
    NameWatch.notice,
    _subjects,
)
