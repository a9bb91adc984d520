"""What the engine records of itself."""

from __future__ import annotations

from state.journal.events import Said, event


@event("engine.started")
class EngineStarted(Said):
    """An engine began to write this journal."""


@event("engine.stopped")
class EngineStopped(Said):
    """It ended in order."""


@event("engine.heartbeat")
class Heartbeat(Said):
    """It was alive, so that a silent hour is provable."""


@event("request.refused")
class RequestRefused(Said):
    """A request was refused by a rule."""
