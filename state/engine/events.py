"""What the engine records about itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from state.journal.events import WORDS, Body, Observation, Said, event


@event("engine.started")
class EngineStarted(Said, Observation):
    """An engine began to write this journal."""


@event("engine.stopped")
class EngineStopped(Said, Observation):
    """It was stopped in an orderly way."""


@event("engine.heartbeat")
class Heartbeat(Said, Observation):
    """The engine was running at this time."""

    fleeting = True


@event("engine.suspended")
@dataclass(frozen=True, slots=True)
class EngineSuspended(Observation):
    """This process did not run for so many seconds, `more` times before that were not recorded one by one."""

    seconds: float
    message: str = field(metadata=WORDS)
    more: int = 0


@event("clock.jumped")
@dataclass(frozen=True, slots=True)
class ClockJumped(Observation):
    """The wall clock moved by so many seconds against the monotonic one, forwards when positive."""

    seconds: float
    message: str = field(metadata=WORDS)
    more: int = 0


@event("estate.reloaded")
@dataclass(frozen=True, slots=True)
class EstateReloaded(Body):
    """Changed files are in force: their digests before and now, and what differs by `section/name`."""

    before: str
    after: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    message: str = field(metadata=WORDS)


@event("request.refused")
class RequestRefused(Said):
    """A request was refused by a rule."""
