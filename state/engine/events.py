"""What the engine records about itself."""

from __future__ import annotations

from state.journal.events import Said, event


@event("engine.started")
class EngineStarted(Said):
    """An engine began to write this journal."""


@event("engine.stopped")
class EngineStopped(Said):
    """It was stopped in an orderly way."""


@event("engine.heartbeat")
class Heartbeat(Said):
    """The engine was running at this time."""


@event("request.refused")
class RequestRefused(Said):
    """A request was refused by a rule."""
