"""Plans: what would be done, seen fresh, pinned by a fingerprint, waiting a short while to be confirmed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from state.api.card import Card, CardLine, Confirm
from state.api.requests import PlanRequest, Typed
from state.changes.model import Change, Preview, Risk
from state.errors import Refused
from state.health import Health
from state.journal.codec import encode
from state.journal.format import canonical
from state.policy import nonce
from state.policy.authority import CONFIRM_BY_RISK, highest
from state.ports.target import Identity
from state.runs.steps import PlannedStep
from state.units import megabytes


@dataclass(frozen=True, slots=True)
class Seen:
    """One change of a plan as it was previewed."""

    step: PlannedStep
    change: Change
    identity: Identity
    preview: Preview


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be planned, before anything was read. `retry_of` is (run, step instance key) for a retry."""

    title: str
    steps: tuple[PlannedStep, ...]
    runbook: str = ""
    hash: str = ""
    service: str = ""
    budget: float | None = None
    retry_of: tuple[str, str] | None = None
    request: PlanRequest | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A draft with fresh eyes on every target. One nonce, one try, for one person."""

    id: str
    draft: Draft
    person: str
    steps: tuple[PlannedStep, ...]
    risk: Risk
    targets: tuple[str, ...]
    name: str
    fingerprint: str
    loss_to_type: str
    nonce: str
    made_mono: float
    card: Card


def pin(draft: Draft, seen: Sequence[Seen]) -> tuple[PlannedStep, ...]:
    """Fix identity and facts of each change into its step.

    Facts stay open where an earlier step of the same plan changes the same target; identity is always fixed.
    """
    touched: set[str] = set()
    pinned: dict[str, PlannedStep] = {}
    for one in seen:
        earlier = bool(touched & set(one.change.targets))
        facts = None if earlier else dict(one.preview.facts)
        risk = one.change.risk.value
        pinned[one.step.id] = replace(one.step, identity=dict(one.identity.facts), facts=facts, risk=risk)
        touched |= set(one.change.targets)
    return tuple(pinned.get(s.id, s) for s in draft.steps)


def fingerprint(draft: Draft, steps: Sequence[PlannedStep]) -> str:
    """Hash of everything the plan relies on: the steps, who the targets are, and the facts read from them."""
    body = {"title": draft.title, "runbook": draft.hash, "steps": [encode(s) for s in steps]}
    return sha256(canonical(body)).hexdigest()


def first_refusals(seen: Sequence[Seen]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Refusals that block the plan, and those of later steps that earlier ones may lift (shown as warnings)."""
    touched: set[str] = set()
    blocking: list[str] = []
    later: list[str] = []
    for one in seen:
        earlier = bool(touched & set(one.change.targets))
        if not one.preview.already:
            message = [str(r) for r in one.preview.refusals]
            (later if earlier else blocking).extend(f"as things are now: {w}" if earlier else w for w in message)
        touched |= set(one.change.targets)
    return tuple(blocking), tuple(later)


def may_act(seen: Sequence[Seen]) -> list[Seen]:
    """The changes that may send something: not yet so, or open because an earlier step changes their target."""
    touched: set[str] = set()
    acting: list[Seen] = []
    for one in seen:
        if not one.preview.already or touched & set(one.change.targets):
            acting.append(one)
            touched |= set(one.change.targets)
    return acting


def make_plan(  # one card is one list of facts
    plan_id: str,
    draft: Draft,
    seen: Sequence[Seen],
    *,
    person: str,
    now_mono: float,
    arm: float,
    expires: float,
    rpo: int,
    context: Sequence[CardLine],
) -> Plan:
    """Put a plan and its consequence card together. `rpo` in bytes: a larger known loss must be typed."""
    steps = pin(draft, seen)
    acting = may_act(seen)
    risk = highest([one.change.risk for one in acting])
    mark = fingerprint(draft, steps)
    losses = [one.preview.loss_bytes for one in acting]
    loss = None if None in losses else max((v for v in losses if v is not None), default=0)
    to_type = megabytes(loss) if loss is not None and loss > rpo else ""
    name = next((one.change.name for one in seen if one.change.risk is risk), draft.title)
    confirm = CONFIRM_BY_RISK[risk]
    drawn = "Y" if confirm is Confirm.YES else nonce.draw()
    blocking, later = first_refusals(seen)
    card = Card(
        plan=plan_id,
        title=draft.title,
        risk=risk.value,
        confirm=confirm,
        nonce=drawn,
        name=name,
        loss_to_type=to_type,
        fingerprint=mark,
        arm=arm,
        expires=expires,
        facts=(*_facts(seen), *context),
        changes=tuple(str(d) for one in seen for d in one.preview.diffs),
        refusals=blocking,
        warnings=(*later, *dict.fromkeys(w for one in seen for w in one.preview.warnings)),
    )
    targets = tuple(dict.fromkeys(t for one in seen for t in one.change.targets))
    return Plan(plan_id, draft, person, steps, risk, targets, name, mark, to_type, drawn, now_mono, card)


def _facts(seen: Sequence[Seen]) -> list[CardLine]:
    lines: list[CardLine] = []
    for one in seen:
        preview = one.preview
        doing = "already so, nothing will be sent" if preview.already else preview.verb
        lines.append(CardLine("do", f"{one.change.title}: {doing}"))
        who = ", ".join(f"{k} {v}" for k, v in one.identity.facts.items())
        lines.append(CardLine("target", f"{one.identity.target}: {who}", Health.PASS))
        if preview.already:
            continue
        known = preview.loss_bytes is not None
        lines.append(CardLine("data loss", preview.loss_message, None if known else Health.UNKNOWN))
        if preview.downtime:
            lines.append(CardLine("downtime", preview.downtime))
        if preview.sessions_cut is not None:
            lines.append(CardLine("sessions cut", str(preview.sessions_cut)))
        undo = (
            f"{preview.undo.kind} {_args(preview.undo.args)}"
            if preview.undo
            else "none; this cannot be undone by a key"
        )
        lines.append(CardLine("undo", undo, None if preview.undo else Health.WARN))
    return lines


def _args(args: Mapping[str, Any]) -> str:
    return " ".join(f"{k}={v}" for k, v in args.items())


def check_confirmation(plan: Plan, typed: Typed, *, now_mono: float) -> None:
    """Refuse a confirmation that is too early, too late, or not what the card asked for."""
    age = now_mono - plan.made_mono
    if age < plan.card.arm:
        raise Refused("arming", f"confirmed {age * 1000:.0f} ms after the card opened", "Read the card first")
    if age > plan.card.expires:
        raise Refused("plan-expired", f"the plan is {age:.0f} s old", "Preview again")
    if not nonce.matches(plan.nonce, typed.nonce):
        raise Refused("nonce", "what was typed is not what the card shows", "The plan is void; preview again")
    if plan.card.confirm is Confirm.NONCE_AND_NAME and typed.name.strip() != plan.name:
        raise Refused("name", f"the target's name {plan.name} was not typed", "The plan is void; preview again")
    if plan.loss_to_type and typed.loss.strip() != plan.loss_to_type:
        raise Refused("loss", f"the loss {plan.loss_to_type} was not typed", "The plan is void; preview again")
