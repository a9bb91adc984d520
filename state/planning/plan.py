"""Plans: what would be done, from fresh readings, pinned by a fingerprint, valid for a short time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from state.api.card import Card, Confirm, Diff, Rule
from state.api.requests import PlanRequest, Typed
from state.changes.model import Change, Preview, RestsOnChecks, Risk, Unsettles
from state.errors import Refused
from state.journal.codec import encode
from state.journal.events import Body
from state.journal.format import MAX_PAYLOAD, canonical
from state.policy import nonce
from state.policy.authority import highest
from state.policy.deciding import Grade, Ruling
from state.ports.target import Identity
from state.runs.looking import fact_difference
from state.runs.steps import PlannedStep


@dataclass(frozen=True, slots=True)
class Seen:
    """One change of a plan as it was previewed."""

    step: PlannedStep
    change: Change
    identity: Identity
    preview: Preview


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be planned, before anything was read. `retry_of` is (run, step instance key) for a retry.
    `rules` are verdicts on the plan as a whole, `diffs` what it changes beside what its changes say themselves. `noted`
    is recorded with the request and was read for the card: nothing that is carried out follows from it."""

    title: str
    steps: tuple[PlannedStep, ...]
    runbook: str = ""
    hash: str = ""
    service: str = ""
    budget: float | None = None
    retry_of: tuple[str, str] | None = None
    request: PlanRequest | None = None
    rules: tuple[Rule, ...] = ()
    diffs: tuple[Diff, ...] = ()
    noted: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """A draft with fresh readings of every target. One nonce, one attempt, for one person. `request` is what was asked
    for, `ruling` the rule of the estate that decides about it, by its `grade`."""

    draft: Draft
    person: str
    steps: tuple[PlannedStep, ...]
    risk: Risk
    targets: tuple[str, ...]
    made_mono: float
    card: Card
    request: PlanRequest
    grade: Grade
    ruling: Ruling


def pin(draft: Draft, seen: Sequence[Seen]) -> tuple[PlannedStep, ...]:
    """Fix identity, facts and deadline of each change into its step: the author's deadline, else that of its kind.

    Where an earlier step of the same plan changes the same target, facts stay open, and of its identity what that step
    makes anew; the rest of the identity is always fixed. Where one shows in the health checks of the target, what they
    say stays open.
    """
    pinned: dict[str, PlannedStep] = {}
    renewed: dict[str, frozenset[str]] = {}
    unsettled = loose(seen)
    for one, earlier in in_order(seen):
        facts = None if earlier else dict(one.preview.facts)
        if one.step.id in unsettled and isinstance(one.change, RestsOnChecks):
            facts = dict(one.change.loosened(one.preview.facts))
        risk = one.change.risk.value
        anew = frozenset[str]().union(*(renewed.get(target, ()) for target in one.change.targets))
        renewed |= {target: renewed.get(target, frozenset()) | one.preview.renews for target in one.change.targets}
        pinned[one.step.id] = replace(
            one.step,
            identity={name: value for name, value in one.identity.facts.items() if name not in anew},
            facts=facts,
            loose=one.step.id in unsettled,
            risk=risk,
            timeout=one.step.timeout or one.change.timeout,
        )
    return tuple(pinned.get(s.id, s) for s in draft.steps)


def follows(changes: Sequence[Change]) -> list[bool]:
    """Of each change whether an earlier one of the plan changes a target of it."""
    touched: set[str] = set()
    told: list[bool] = []
    for change in changes:
        told.append(bool(touched & set(change.targets)))
        touched |= set(change.targets)
    return told


def in_order(seen: Sequence[Seen]) -> list[tuple[Seen, bool]]:
    """Each change, and whether an earlier one of the plan changes a target of it."""
    return list(zip(seen, follows([one.change for one in seen]), strict=True))


def loose(seen: Sequence[Seen]) -> frozenset[str]:
    """The steps whose target another one of the plan does not change itself, but in its health checks."""
    unsettled: set[str] = set()
    found: set[str] = set()
    for one, earlier in in_order(seen):
        if not earlier and isinstance(one.change, RestsOnChecks) and unsettled & set(one.change.targets):
            found.add(one.step.id)
        if isinstance(one.change, Unsettles) and (earlier or not one.preview.already):
            unsettled |= one.change.unsettles
    return frozenset(found)


def may_act(seen: Sequence[Seen]) -> list[Seen]:
    """The changes that may send something: not already done, or open because an earlier step changes their target."""
    touched: set[str] = set()
    acting: list[Seen] = []
    for one in seen:
        if not one.preview.already or touched & set(one.change.targets):
            acting.append(one)
            touched |= set(one.change.targets)
    return acting


def risk_of(seen: Sequence[Seen]) -> Risk:
    """The highest risk class of the changes that may act."""
    return highest([one.change.risk for one in may_act(seen)])


def targets_of(seen: Sequence[Seen]) -> tuple[str, ...]:
    """The lease keys of all changes."""
    return tuple(dict.fromkeys(t for one in seen for t in one.change.targets))


def fingerprint(draft: Draft, steps: Sequence[PlannedStep]) -> str:
    """Hash of everything the plan relies on: the steps, the identity of the targets, and the facts read from them."""
    body = {"title": draft.title, "runbook": draft.hash, "steps": [encode(s) for s in steps]}
    return sha256(canonical(body)).hexdigest()


def check_confirmation(plan: Plan, typed: Typed, *, now_mono: float) -> None:
    """Refuse a confirmation that is too early, too late, or not what the card asked for."""
    asked, age = plan.card.confirmation, now_mono - plan.made_mono
    if age < asked.arm:
        raise Refused("arming", f"confirmed {age * 1000:.0f} ms after the card was made", "Read the card first")
    if age > asked.expires:
        fact = f"the plan is {age:.0f} s old, it was valid for {asked.expires:.0f} s"
        raise Refused("plan-expired", fact, "Preview again")
    if not nonce.matches(asked.nonce, typed.nonce):
        raise Refused("nonce", "the typed code is not the card's", "The plan is void; preview again")
    if asked.how is Confirm.NONCE_AND_NAME and typed.name.strip() != asked.name:
        raise Refused("name", f"the target's name {asked.name} was not typed", "The plan is void; preview again")
    if asked.loss and typed.loss.strip() != asked.loss:
        raise Refused("loss", f"the loss {asked.loss} was not typed", "The plan is void; preview again")


def what_moved(planned: Sequence[PlannedStep], now: Sequence[PlannedStep]) -> str:
    """The first difference between a plan and now, as text."""
    for was, is_now in zip(planned, now, strict=False):
        moved = fact_difference(was.identity or {}, is_now.identity or {}) or fact_difference(
            was.facts or {}, is_now.facts or {}
        )
        if moved:
            return f"{was.title}: {moved}"
    return "the steps of the plan have changed"


def require_size(body: Body) -> None:
    """Refuse a plan that does not fit into one entry of the journal."""
    if (size := len(canonical(body.as_json()))) > MAX_PAYLOAD:
        fact = f"the plan has {size // 1024} KiB, one journal entry has at most {MAX_PAYLOAD // 1024}"
        raise Refused("plan-size", fact, "Split the runbook into smaller ones")
