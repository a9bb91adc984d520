"""Where runs and their steps may stand."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands. `unknown` = a step's outcome is being reconciled by reading."""

    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    UNKNOWN = "unknown"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class StepState(StrEnum):
    """Where a step instance stands. Unknown leaves only with a reading as evidence."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    NOT_DONE = "not-done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"
