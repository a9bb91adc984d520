"""When a restore of a database was last proven: by the command of the estate whose reading said that it is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from state.changes.model import Finding
from state.journal.events import WORDS, Body, Event, Recorded, event
from state.journal.needed import About
from state.journal.projection import FoldSetting, Projection
from state.runs.events import EffectAnswered, EffectEnded, EffectIntended

COMMAND = "command.run"
LONGEST = 500
MOST_OPEN = 1000
"""Commands under way that are followed at once; older ones are forgotten, which proves nothing."""


@event("database.restore-proven")
@dataclass(frozen=True, slots=True)
class RestoreProven(Body):
    """A restore of a database was proven. `effect` is the command that did it, by its name `command`; `said` is the
    last line of its reading or output: which backup, to what, with what result."""

    tells: ClassVar[tuple[str, ...]] = ("words", "said")

    database: str
    command: str
    effect: str
    message: str = field(metadata=WORDS)
    said: str = ""


class RestoreProofs:
    """Follows the commands that prove restores, and hands what is proven to the judge."""

    def __init__(self, setting: FoldSetting) -> None:
        self._setting = setting
        self._open: dict[str, str] = {}
        self._output: dict[str, str] = {}
        self._done: dict[str, tuple[str, str]] = {}
        self._recorded: set[str] = set()

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry; of an erased one nothing is known."""
        body = recorded.body
        if recorded.erased:
            return
        if isinstance(body, EffectIntended) and body.change.kind == COMMAND:
            self._open[body.effect] = str(body.change.args.get("command", ""))
            while len(self._open) > MOST_OPEN:
                self._open.pop(next(iter(self._open)))
        elif isinstance(body, EffectEnded):
            command = self._open.pop(body.effect, "")
            output = self._output.pop(body.effect, "")
            if command and body.finding is Finding.DONE and body.effect not in self._recorded:
                self._done[body.effect] = command, output or (body.evidence[-1] if body.evidence else "")
        elif isinstance(body, EffectAnswered):
            effect = f"{recorded.event.run}/{recorded.event.step}"
            if effect in self._open and body.output:
                self._output[effect] = body.output[-1][:LONGEST]
        elif isinstance(body, RestoreProven):
            self._recorded.add(body.effect)
            self._done.pop(body.effect, None)
            self._setting.judge.proven(body.database, recorded.at, self._setting.mono(recorded), body.said)

    def notice(self, now_mono: float) -> list[Event]:
        """Each proof once, of every database that names the command."""
        found = []
        for effect, (command, told) in self._done.items():
            for name, entry in self._setting.judge.estate.databases.items():
                if entry.backups is not None and entry.backups.proven_by == command:
                    said = f"a restore of {name} was proven by {command}"
                    found.append(Event(RestoreProven(name, command, effect, said, told), self._setting.actor))
        self._done.clear()
        return found


def _subjects(recorded: Recorded) -> Iterator[About]:
    """The newest proof of each database."""
    if isinstance(recorded.body, RestoreProven):
        yield About(("restore-proven", recorded.body.database))


PROOFS = Projection(
    RestoreProofs,
    RestoreProofs,
    (EffectIntended, EffectAnswered, EffectEnded, RestoreProven),
    RestoreProofs.fold,
    notice=RestoreProofs.notice,
    subjects=_subjects,
)
