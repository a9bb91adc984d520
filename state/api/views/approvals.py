"""Approvals: what waits for whom, until when, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ApprovalState(StrEnum):
    """Where a request stands."""

    OPEN = "open"
    """It waits for approvals."""
    APPROVED = "approved"
    """It has all it needs, and can be carried out once."""
    COUNTING = "counting"
    """Somebody goes on alone: a countdown runs that everybody can stop."""
    ALONE = "alone"
    """The countdown has passed: it can be carried out once without approval."""
    USED = "used"
    """It was carried out."""
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    VOID = "void"
    """Something that it was about has changed."""
    LAPSED = "lapsed"
    """Its time is over."""


ACTIVE = (ApprovalState.OPEN, ApprovalState.APPROVED, ApprovalState.COUNTING, ApprovalState.ALONE)
"""States in which something may still become of it."""


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One request. `given` are those who approved, `may` those who still can, `told` those of them at a console now.

    `until_mono` is the end of its present state on the engine's clock, None when that has none. `plan` is the hash of
    the plan, `request` what is planned again from it. `alone_by` went on alone; `review` says who reviewed that and
    what was said, `review_due_at` by when it must be (epoch seconds), None where none is due.
    """

    id: str
    state: ApprovalState
    title: str
    risk: str
    rule: str
    requester: str
    reason: str
    change: str
    needed: int
    given: tuple[str, ...]
    may: tuple[str, ...]
    told: tuple[str, ...]
    present: bool
    asked_at: float
    until_mono: float | None
    message: str
    run: str
    plan: str
    request: Mapping[str, Any] = field(default_factory=dict)
    alone: tuple[str, ...] = ()
    alone_by: str = ""
    review: str = ""
    review_due_at: float | None = None
    flagged: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalsView:
    """The requests, the newest last. `overdue` are persons who may not go on alone before their review."""

    requests: Mapping[str, ApprovalRow]
    overdue: tuple[str, ...] = ()
