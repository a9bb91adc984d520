"""What the journal records: past participles, each with a reducer (see `state.runs.fold`) or a note why it has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """Every kind of journal entry."""

    ENGINE_STARTED = "engine.started"
    ENGINE_STOPPED = "engine.stopped"
    HEARTBEAT = "engine.heartbeat"
    REQUEST_REFUSED = "request.refused"
    RUN_STARTED = "run.started"
    RUN_PAUSED = "run.paused"
    RUN_RESUMED = "run.resumed"
    RUN_STOP_REQUESTED = "run.stop-requested"
    RUN_ENDED = "run.ended"
    STEP_STARTED = "step.started"
    STEP_ENDED = "step.ended"
    STEP_SKIPPED = "step.skipped"
    STEP_RETRIED = "step.retried"
    LEASE_TAKEN = "lease.taken"
    INTENT_RECORDED = "effect.intended"
    RECEIPT_RECORDED = "effect.answered"
    OUTCOME_RECORDED = "effect.ended"
    DECISION_ASKED = "decision.asked"
    DECISION_MADE = "decision.made"
    SERVICE_IMPAIRED = "service.impaired"
    SERVICE_RECOVERED = "service.recovered"
    DRIFT_DETECTED = "drift.detected"
    SPLIT_BRAIN_DETECTED = "split-brain.detected"
    SPLIT_BRAIN_CLEARED = "split-brain.cleared"
    FOREIGN = "foreign"

    @classmethod
    def _missing_(cls, value: object) -> EventKind:
        """A kind that another version recorded: it can be shown, what it means is not known here."""
        return cls.FOREIGN


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, before it is sealed. `body` holds JSON values; `message` is part of it."""

    kind: EventKind
    actor: str
    session: str = ""
    incident: str = ""
    run: str = ""
    step: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the journal holds it: sequence, wall time, monotonic time of its boot, chain hash."""

    seq: int
    at: float
    mono: float
    boot: str
    node: str
    hash: str
    event: Event
    erased: bool = False
