"""The consequence card as data: everything a person must see before an effect. Standard library only.

It has numbers and names only. Text, order and grouping are made where a card is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from state.api.requests import Typed
from state.errors import Refusal
from state.health import Health


class Confirm(StrEnum):
    """How a plan is confirmed, by risk class: B1 a `y`; B2 the nonce; B3 nonce and the target's name."""

    YES = "y"
    NONCE = "nonce"
    NONCE_AND_NAME = "nonce+name"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a person types to confirm, and from when to when it is accepted.

    `name` is the target's name and `loss` the size of the data loss to accept; empty when it need not be typed.
    Keys before `arm` seconds and after `expires` seconds are ignored.
    """

    how: Confirm
    nonce: str
    name: str
    loss: str
    arm: float
    expires: float

    @property
    def typed(self) -> Typed:
        """The input that confirms everything."""
        return Typed(self.nonce, self.name, self.loss)


@dataclass(frozen=True, slots=True)
class Diff:
    """One named object before and after; `unit` belongs to both values. The text is what the journal records."""

    subject: str
    before: str
    after: str
    unit: str = ""

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.subject}: {self.before} → {self.after}{unit}"


class FactKind(StrEnum):
    """What a fact is about. For each kind: the meaning of subject, name, value and figures."""

    DOES = "does"
    """Subject: a target. Value: what is done to it."""
    ALREADY = "already"
    """Subject: a target. Value: what is already done."""
    CONDITION = "condition"
    """Subject: the title of a condition. Name: an answer, pass, fail or unknown. Value: what it means: continue, stop,
    pause, or the title of the step it leads to, empty for the end."""
    IDENTITY = "identity"
    """Subject: a target. Name and value: one part of its verified identity."""
    SERVICE = "service"
    """Subject: a service or database that is acted on. Value: `other` when the run is for another service."""
    DEPENDENT = "dependent"
    """Subject: a service. Value: what it depends on. Health: its own now, None where it is not known. Figures: tier."""
    BLOCKER = "blocker"
    """Subject: a service or database that is not well. Value: what needs it. Health: its own now."""
    FORGOTTEN = "forgotten"
    """Subject: a target. Value: when it loses by itself what is set."""
    SAVED = "saved"
    """Subject: a target. Value: the file in which what is set is saved afterwards, for the target's next process.
    Health: passes when that process reads it, fails when nothing does. Source: why that is not known."""
    HISTORY = "history"
    """Subject: a kind of change, of the estate's own ones with its name. Figures: count; median and worst in seconds,
    read-back included, when count > 0."""
    CANDIDATE = "candidate"
    """Subject: a node that could lead, the best one first. Name: its place, `1`. Value: why it stands there."""
    RUNBOOK = "runbook"
    """Subject: a runbook. Value: its hash. Age: since this very hash ran to its end; None when it never did."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing known about the plan: its source, and how old it was when the card was made, in seconds."""

    kind: FactKind
    subject: str
    value: str = ""
    source: str = ""
    age: float | None = None
    health: Health | None = None
    name: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """The verdict of one rule about one subject (empty: about the whole plan); `source` was read for this plan.

    `own` names a safety rule of the estate: it may be overridden, by this name and with a reason.
    """

    rule: str
    passed: bool
    fact: str
    way_out: str = ""
    who: str = ""
    subject: str = ""
    source: str = ""
    own: str = ""

    @property
    def refusal(self) -> Refusal:
        """The verdict as a refusal; for rules that did not pass."""
        fact = f"{self.subject}: {self.fact}" if self.subject else self.fact
        read = f" (read from {self.source} for this plan)" if self.source else ""
        return Refusal(self.rule, fact + read, self.way_out, self.who)


class WarningKind(StrEnum):
    """The reason for a warning."""

    EFFECT = "effect"
    """A side effect."""
    UNKNOWN = "unknown"
    """It is not known beforehand."""
    UNVERIFIED = "unverified"
    """Nothing can be read that would prove it."""
    LATER = "later"
    """A rule would refuse a later step; what happens before it may change that."""
    WAIVED = "waived"
    """Subject: what the plan uses. Rule: what that goes without. Message: the estate's reason."""
    OVERRIDDEN = "overridden"
    """Subject: what a safety rule of the estate is about. Rule: its name. Message: what is so, and the reason given."""


@dataclass(frozen=True, slots=True)
class CardWarning:
    """A warning that does not forbid the plan; `rule` for LATER, WAIVED and OVERRIDDEN only."""

    kind: WarningKind
    subject: str
    message: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class DataLoss:
    """Bytes that may be lost, None when unknown; the RPO in bytes, None when there is none."""

    size: int | None
    limit: int | None
    note: str = ""
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Downtime:
    """What does not work meanwhile; `change` is the kind of change whose history gives the duration. `agreed` are the
    seconds that the strictest of the services concerned allows, None where nothing was agreed."""

    subject: str
    note: str
    change: str
    agreed: float | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """The change that undoes an effect on a subject, and what it does; `change` None: there is none."""

    subject: str
    change: str | None
    args: Mapping[str, Any] = field(default_factory=dict)
    verb: str = ""


class ScoreKind(StrEnum):
    """What points are for. The subject is a step, a note on the loss, people, services, a kind of change, a runbook."""

    IRREVERSIBLE = "irreversible"
    LOSS_UNKNOWN = "loss-unknown"
    LOSS_ABOVE = "loss-above-rpo"
    LOSS_WITHIN = "loss-within-rpo"
    TEAMS = "teams"
    TIER = "tier-1"
    UNDRILLED = "never-done-here"
    NEW_RUNBOOK = "runbook-never-proven"


@dataclass(frozen=True, slots=True)
class ScorePoint:
    """So many points of a plan, and what they are for."""

    points: int
    kind: ScoreKind
    subject: str


@dataclass(frozen=True, slots=True)
class Card:
    """The consequence card of one plan. `refusals` not empty: it cannot be confirmed. `present`: one of these must be
    attached while it is; nobody by most rules. `score` is what makes the plan risky; above `score_limit` points it
    needs a change id and an approval, None where the estate sets no limit.

    `sessions_cut` is None when unknown; `verified_by` are the titles of the checks that follow.
    """

    plan: str
    title: str
    risk: str
    fingerprint: str
    confirmation: Confirmation
    loss: DataLoss
    downtime: tuple[Downtime, ...]
    sessions_cut: int | None
    undo: tuple[Undo, ...]
    diffs: tuple[Diff, ...]
    facts: tuple[Fact, ...]
    rules: tuple[Rule, ...]
    refusals: tuple[Refusal, ...]
    warnings: tuple[CardWarning, ...]
    verified_by: tuple[str, ...]
    present: tuple[str, ...] = ()
    score: tuple[ScorePoint, ...] = ()
    score_limit: int | None = None

    def of(self, kind: FactKind) -> list[Fact]:
        """The facts of one kind, in order."""
        return [fact for fact in self.facts if fact.kind is kind]
