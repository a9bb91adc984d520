"""What the journal records of approvals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from state.journal.events import WORDS, Body, event
from state.runs.steps import PlannedStep


@event("approval.requested", starts=True)
@dataclass(frozen=True, slots=True)
class ApprovalRequested(Body):
    """Somebody asks for approvals of a plan: all that it is about, and what the rule demands.

    `plan` is the hash of everything here that is signed; `nonce` makes it another one in every journal. `uids` are the
    accounts of the requester: the one that asked, and the one that logged in where that is known. `limits` are the
    seconds within which it is to be decided, and used.
    """

    name: str
    plan: str
    nonce: str
    fingerprint: str
    request: Mapping[str, Any]
    steps: tuple[PlannedStep, ...]
    title: str
    risk: str
    rule: str
    policy: str
    loss: int | None
    reason: str
    change: str
    uids: tuple[int, ...]
    needed: int
    approved_by: tuple[str, ...]
    present: bool
    alone: tuple[str, ...]
    limits: tuple[float, float]
    message: str = field(metadata=WORDS)


@event("approval.given", starts=True)
@dataclass(frozen=True, slots=True)
class ApprovalGiven(Body):
    """Somebody has approved a request: the key, and the signature over the statement, to be verified at any time."""

    name: str
    person: str
    key: str
    fingerprint: str
    statement: str
    signature: str
    message: str = field(metadata=WORDS)


@event("plan.signed")
@dataclass(frozen=True, slots=True)
class PlanSigned(Body):
    """A person at a shared account has confirmed a plan: the key, and the signature over the statement, to be verified
    at any time."""

    plan: str
    person: str
    key: str
    fingerprint: str
    statement: str
    signature: str
    message: str = field(metadata=WORDS)


@event("approval.denied")
@dataclass(frozen=True, slots=True)
class ApprovalDenied(Body):
    """An approver has refused it."""

    name: str
    message: str = field(metadata=WORDS)


@event("approval.withdrawn")
@dataclass(frozen=True, slots=True)
class ApprovalWithdrawn(Body):
    """The requester has taken it back."""

    name: str
    message: str = field(metadata=WORDS)


@event("approval.voided")
@dataclass(frozen=True, slots=True)
class ApprovalVoided(Body):
    """Something has changed that it was about: it counts no more."""

    name: str
    message: str = field(metadata=WORDS)


@event("approval.used", starts=True)
@dataclass(frozen=True, slots=True)
class ApprovalUsed(Body):
    """A run was begun with it: it counts no more. `alone`: without the approvals that the rule demands."""

    name: str
    started: str
    alone: bool
    message: str = field(metadata=WORDS)


@event("override.begun", starts=True)
@dataclass(frozen=True, slots=True)
class OverrideBegun(Body):
    """Somebody goes on alone, for a reason, after so many seconds in which everybody can stop it."""

    name: str
    reason: str
    seconds: float
    message: str = field(metadata=WORDS)


@event("override.stopped")
@dataclass(frozen=True, slots=True)
class OverrideStopped(Body):
    """Somebody has stopped the countdown."""

    name: str
    message: str = field(metadata=WORDS)


@event("override.reviewed")
@dataclass(frozen=True, slots=True)
class OverrideReviewed(Body):
    """Another person has looked at what was done alone."""

    name: str
    note: str
    message: str = field(metadata=WORDS)


@event("policy.enforced")
@dataclass(frozen=True, slots=True)
class PolicyEnforced(Body):
    """Another policy is in force: who may do what, by which rules. `policy` is its digest, `rules` its table."""

    policy: str
    before: str
    rules: Mapping[str, Any]
    people: Mapping[str, Any]
    message: str = field(metadata=WORDS)
