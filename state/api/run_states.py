"""The states of runs and of their steps."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """The state of a run. `unknown` = the outcome of a step is being read from its target."""

    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    UNKNOWN = "unknown"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class StepState(StrEnum):
    """The state of a step instance. Unknown ends only with a reading as evidence; not verified was sent and answered,
    and nothing can be read that would prove it."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    NOT_DONE = "not-done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_VERIFIED = "not-verified"
    SKIPPED = "skipped"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"


class UndoState(StrEnum):
    """What is known about the undo of an ended run. `refused` = it was announced and could not start."""

    NONE = "none"
    POSSIBLE = "possible"
    ANNOUNCED = "announced"
    REFUSED = "refused"
    RUNNING = "running"
    DONE = "done"
