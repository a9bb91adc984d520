"""Approvals as people ask for them and give them: each is decided once, under the lock of submissions."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import NamedTuple, Protocol

from state.api.approvals import (
    APPROVAL_RULES,
    ApprovalCard,
    ApprovalVerb,
    Approve,
    AskApproval,
    Deny,
    GoAlone,
    HaltAlone,
    ReviewAlone,
    Withdraw,
)
from state.api.caller import Caller
from state.api.card import Card
from state.api.messages import Accepted
from state.api.requests import PlanChange, PlanRequest, read_plan, write
from state.api.views.approvals import ACTIVE, ApprovalState
from state.approvals.events import (
    ApprovalDenied,
    ApprovalGiven,
    ApprovalRequested,
    ApprovalVoided,
    ApprovalWithdrawn,
    OverrideBegun,
    OverrideReviewed,
    OverrideStopped,
    PolicyEnforced,
)
from state.approvals.fold import Request
from state.clock import Clock
from state.errors import JournalUnavailable, NotFound, Refused
from state.estate.model import Estate
from state.journal.codec import encode
from state.journal.events import Body, Event
from state.journal.writer import Journal
from state.planning.plan import Plan, require_size, what_moved
from state.planning.signing import Signing, statement_for
from state.planning.standing import NONE_CAN, ApprovalStanding
from state.policy.authority import require_known, require_role
from state.policy.deciding import Grade, Ruling
from state.policy.people import keys_of, people_rules, policy_digest, same_human, table, who_may_approve
from state.policy.statement import plan_hash
from state.runs.steps import PlannedStep
from state.text import reason_in
from state.units import counted, megabytes, time_limit

SHORTEST, SHORTEST_ALONE = 10, 20
"""Characters of a reason for a request, and for going on alone."""
LONGEST = 300
MOST_OPEN = 16
"""Requests of one human being that wait at a time: more would hide those of others."""
COUNTDOWN = 60.0
"""Seconds in which everybody can stop somebody who goes on alone."""


class Looked(NamedTuple):
    """A plan made now: its steps as pinned, its card, and the rule that decides about it."""

    steps: tuple[PlannedStep, ...]
    card: Card
    grade: Grade
    ruling: Ruling


class Plans(Protocol):
    """What is needed of submissions."""

    def opened(self, caller: Caller, plan: str) -> Plan: ...
    async def looked(self, caller: Caller, request: PlanRequest) -> Looked: ...
    def alone(self) -> AbstractAsyncContextManager[None]: ...


class Approving:
    """Requests for approval and what becomes of them. Every verb raises Refused, NotFound or JournalUnavailable."""

    def __init__(
        self,
        estate: Callable[[], Estate],
        plans: Plans,
        standing: ApprovalStanding,
        signing: Signing,
        journal: Journal,
        clock: Clock,
        actor: str,
    ) -> None:
        """`actor` records what no person does."""
        self._actor = actor
        self._estate, self._plans, self._standing, self._signing = estate, plans, standing, signing
        self._journal, self._clock, self._approvals = journal, clock, standing.approvals
        self._one_at_a_time: dict[int, asyncio.Lock] = {}
        self.ends_access: Callable[[Caller, str], Awaitable[Accepted]] | None = None
        """Ends a grant: what a request gave ends with it."""

    def after_suspension(self) -> None:
        """This process stood still: nobody could see a countdown or stop it, so each begins anew."""
        for request in self._approvals.requests.values():
            if request.counting_until is not None and request.over is None:
                request.counting_until = self._clock.mono() + COUNTDOWN

    def require_present(self, run: str) -> None:
        """Refuse to carry on a run whose approver must be there and is not."""
        self._standing.require_present(run)

    async def enforce(self) -> None:
        """Record the policy in force where it is another one than the last that was recorded."""
        estate = self._estate()
        digest, before = policy_digest(estate), self._approvals.policy
        if digest == before or not (before or table(estate)):
            return
        message = (
            f"policy {before[:16] or 'none'} → {digest[:16]}: {', '.join(table(estate)) or 'classes alone decide'}"
        )
        body = PolicyEnforced(digest, before, table(estate), people_rules(estate), message)
        with contextlib.suppress(JournalUnavailable):  # recorded at the next start: nothing starts without a journal
            await self._journal.append(Event(body, self._actor))

    async def ask(self, caller: Caller, asked: AskApproval) -> Accepted:
        """Ask for the approvals of an open plan. What nobody can approve is refused at once."""
        require_known(caller, "asking for an approval")
        plan = self._plans.opened(caller, asked.plan)
        if plan.card.fingerprint != asked.fingerprint:
            raise Refused("fingerprint", "the request is for another plan", "Preview again")
        other = [refusal for refusal in plan.card.refusals if refusal.rule not in APPROVAL_RULES]
        if other:
            raise Refused.because(other[0])
        ruling, grade, estate = plan.ruling, plan.grade, self._estate()
        if not ruling.approvers:
            raise Refused("approval", f"rule {ruling.rule} needs no approval", "Confirm the card")
        reason, change = _reason(asked.reason, SHORTEST), _line(asked.change)
        if ruling.needs_change and not change:
            raise Refused("change-id", "its score is above policies.score.above", "Give the id of its change: --change")
        who = who_may_approve(estate, ruling.approved_by, caller.person, (), self._clock.wall())
        if len(who) < ruling.approvers:
            fact = f"{ruling.approvers} of {', '.join(ruling.approved_by)} must approve; besides {caller.person} "
            raise Refused("approvers", f"{fact}only {', '.join(who) or 'nobody'} can", NONE_CAN)
        async with self._plans.alone():
            known = self._standing.found(caller.person, asked.fingerprint)
            if known is not None:
                raise Refused("approval", f"{known.name} is about this plan already", f"A shows {known.name}")
            self._require_room(caller.person)
            body = self._body(caller, plan, reason, change, ruling, grade)
            require_size(body)
            await self._journal.append(self._event(caller, body))
        here = [each for each in who if any(same_human(estate, each, one) for one in self._standing.attached())]
        away = [each for each in who if each not in here]
        told = [f"{', '.join(here)} {'is' if len(here) == 1 else 'are'} told" if here else "",
                f"not at a console, tell them yourself: {', '.join(away)}" if away else ""]  # fmt: skip
        return Accepted(body.name, f"{body.name} asks for {counted(ruling.approvers, 'approval')}; "
                                   f"{'; '.join(filter(None, told))}")  # fmt: skip

    def _require_room(self, person: str) -> None:
        """Refuse one more where so many of the same human being wait."""
        open_ = [
            each
            for each in self._approvals.requests.values()
            if self._standing.state(each) in ACTIVE and same_human(self._estate(), each.requester, person)
        ]
        if len(open_) >= MOST_OPEN:
            fact = f"{len(open_)} requests of {person} wait already"
            raise Refused("approval", fact, f"Withdraw one: A, then w, or recovery approvals withdraw {open_[0].name}")

    def _body(
        self, caller: Caller, plan: Plan, reason: str, change: str, ruling: Ruling, grade: Grade
    ) -> ApprovalRequested:
        name, digest, nonce = self._approvals.next_id(), policy_digest(self._estate()), secrets.token_hex(8)
        request, loss = write(plan.request), grade.loss
        uids = tuple(dict.fromkeys(uid for uid in (caller.uid, caller.login_uid) if uid is not None))
        hashed = plan_hash(
            {"request": request, "fingerprint": plan.card.fingerprint, "nonce": nonce, "risk": ruling.risk.value,
             "title": plan.card.title, "loss": loss, "reason": reason, "change": change, "by": caller.person,
             "rule": ruling.rule, "policy": digest, "steps": [encode(step) for step in plan.steps]}
        )  # fmt: skip
        said = f"{name}: {caller.person} asks for {counted(ruling.approvers, 'approval')} of {plan.card.title}"
        return ApprovalRequested(
            name, hashed, nonce, plan.card.fingerprint, request, plan.steps, plan.card.title, ruling.risk.value,
            ruling.rule, digest, loss, reason, change, uids, ruling.approvers, ruling.approved_by,
            ruling.present, ruling.alone, (ruling.decide_within, ruling.use_within),
            f"{said} (rule {ruling.rule}): {reason}",
        )  # fmt: skip

    async def card(self, caller: Caller, name: str, approver: str = "") -> ApprovalCard:
        """What an approver sees: the plan as it is now. One that is another now is void. `approver` signs it elsewhere
        and need not be the caller."""
        request, estate = self._approvals.get(name), self._estate()
        who = approver or caller.person
        if who not in estate.people:
            require_known(caller, f"approving {name}")
            raise NotFound(f"no person {who[:40]!r} in this estate")
        self._require_state(request, ApprovalState.OPEN)
        self._require_other(request, who)
        looked = await self._same(request)
        keys = keys_of(estate, who, self._clock.wall())
        lines = tuple(statement_for(request, estate, who).splitlines())
        return ApprovalCard(name, _for_approver(looked.card), who, lines, keys)

    async def act(self, caller: Caller, name: str, verb: ApprovalVerb) -> Accepted:
        """Do something about a request."""
        require_known(caller, f"{verb.do} of {name}")
        request = self._approvals.get(name)
        match verb:
            case Approve():
                return await self._approve(caller, request, verb)
            case Deny():
                return await self._deny(caller, request, verb)
            case Withdraw():
                return await self._withdraw(caller, request)
            case GoAlone():
                return await self._go_alone(caller, request, verb)
            case HaltAlone():
                return await self._halt(caller, request)
            case ReviewAlone():
                return await self._review(caller, request, verb)

    async def _approve(self, caller: Caller, request: Request, verb: Approve) -> Accepted:
        self._require_state(request, ApprovalState.OPEN)
        signed = self._signing.owner(verb.signature)
        if not same_human(self._estate(), caller.person, signed.person) and verb.approver != signed.person:
            fact = f"the signature is by a key of {signed.person}, and {caller.person} hands it in"
            raise Refused("signature", fact, f"Say who signed it: --by {signed.person}")
        self._require_other(request, signed.person, caller)
        # to say what is wrong with one takes many programs: an account has one at a time looked at
        async with self._one_at_a_time.setdefault(caller.uid, asyncio.Lock()):
            await self._signing.require(request, signed, self._approvals.requests.values())
        await self._same(request)
        async with self._plans.alone():
            self._require_state(request, ApprovalState.OPEN)
            self._require_other(request, signed.person, caller)
            said = f"{request.name}: {signed.person} approved {request.asked.title} (key {signed.name}"
            by = "" if same_human(self._estate(), caller.person, signed.person) else f", handed in by {caller.person}"
            text = statement_for(request, self._estate(), signed.person)
            made = signed.parts.armored
            body = ApprovalGiven(
                request.name, signed.person, signed.name, signed.fingerprint, text, made, f"{said}{by})"
            )
            await self._journal.append(self._event(caller, body))
        return Accepted(request.name, body.message)

    async def _same(self, request: Request) -> Looked:
        """The plan made anew from the targets: it must be the one that was asked for. Void when it is not."""
        if self._standing.outdated(request):
            await self._void(request, "the policy of the estate is another one now")
        estate, asked = self._estate(), request.asked
        entry = estate.people.get(request.requester)
        roles = tuple(entry.roles) if entry is not None else ()
        requester = Caller(asked.uids[0], "", request.requester, roles, "", read_only=False)
        looked = await self._plans.looked(requester, read_plan(asked.request))
        grade = looked.grade
        if looked.card.fingerprint != asked.fingerprint:
            await self._void(request, what_moved(asked.steps, looked.steps))
        if asked.loss is not None and (grade.loss is None or grade.loss > asked.loss):
            now = "an unknown amount" if grade.loss is None else megabytes(grade.loss)
            await self._void(request, f"it may lose {now} now, {megabytes(asked.loss)} were asked for")
        if (looked.ruling.rule, looked.ruling.approvers) != (asked.rule, asked.needed):
            await self._void(request, f"rule {looked.ruling.rule} decides now, not {asked.rule}: {grade.words}")
        return looked

    async def _void(self, request: Request, why: str) -> None:
        async with self._plans.alone():
            if request.over is None:
                body = ApprovalVoided(request.name, f"{request.name} is void: {why}")
                await self._journal.append(Event(body, self._actor))
        raise Refused("facts-changed", f"{request.name} is void: {why}", "The requester previews and asks again")

    async def _deny(self, caller: Caller, request: Request, verb: Deny) -> Accepted:
        self._require_other(request, caller.person, caller)
        reason = _reason(verb.reason, 3)
        states = (ApprovalState.OPEN, ApprovalState.APPROVED, ApprovalState.COUNTING)
        return await self._once(
            caller,
            request,
            states,
            ApprovalDenied(request.name, f"{request.name}: {caller.person} denied it: {reason}"),
        )

    async def _withdraw(self, caller: Caller, request: Request) -> Accepted:
        self._require_own(caller, request, "withdraw")
        grant = _access_of(request)
        if grant and self.ends_access is not None and self._standing.state(request) is ApprovalState.USED:
            return await self.ends_access(caller, grant)
        states = (ApprovalState.OPEN, ApprovalState.APPROVED, ApprovalState.COUNTING, ApprovalState.ALONE)
        said = f"{request.name}: {caller.person} withdrew it"
        return await self._once(caller, request, states, ApprovalWithdrawn(request.name, said))

    async def _go_alone(self, caller: Caller, request: Request, verb: GoAlone) -> Accepted:
        self._require_own(caller, request, "go on alone with")
        require_role(caller, request.asked.alone, f"going on alone with {request.name}")
        late = self._approvals.overdue(self._clock.wall())
        mine = next((name for who, name in late.items() if same_human(self._estate(), who, caller.person)), "")
        if mine:
            fact = f"{mine} was carried out alone by {caller.person} more than 24 h ago and is not reviewed"
            raise Refused("override-review", fact, f"Another person reviews it: A, or recovery approvals review {mine}")
        reason = _reason(verb.reason, SHORTEST_ALONE)
        said = f"{request.name}: {caller.person} goes on alone in {time_limit(COUNTDOWN)}: {reason}"
        body = OverrideBegun(request.name, reason, COUNTDOWN, said)
        return await self._once(caller, request, (ApprovalState.OPEN,), body)

    async def _halt(self, caller: Caller, request: Request) -> Accepted:
        said = f"{request.name}: {caller.person} stopped {request.alone_by}, who would have gone on alone"
        states = (ApprovalState.COUNTING, ApprovalState.ALONE)
        return await self._once(caller, request, states, OverrideStopped(request.name, said))

    async def _review(self, caller: Caller, request: Request, verb: ReviewAlone) -> Accepted:
        if request.review_due() is None:
            raise Refused("override-review", f"no review of {request.name} is due", "A lists those that are")
        self._require_other(request, caller.person, caller)
        note = _reason(verb.note, SHORTEST)
        said = f"{request.name}: {caller.person} reviewed what {request.alone_by} did alone: {note}"
        async with self._plans.alone():
            await self._journal.append(self._event(caller, OverrideReviewed(request.name, note, said)))
        return Accepted(request.name, said)

    async def _once(self, caller: Caller, request: Request, states: tuple[ApprovalState, ...], body: Body) -> Accepted:
        """Record what ends or changes a request, if it still stands where that is possible."""
        async with self._plans.alone():
            self._require_state(request, *states)
            await self._journal.append(self._event(caller, body))
        return Accepted(request.name, body.line)

    def _require_state(self, request: Request, *wanted: ApprovalState) -> None:
        """The deadline counts at the instant of the ruling."""
        state = self._standing.state(request)
        if state not in wanted:
            said = f" ({request.said})" if request.said else ""
            outdated = state is ApprovalState.VOID and request.over is None
            fact = f"{request.name} is {state.value}{': the policy was changed' if outdated else said}"
            raise Refused("approval-open", fact, "The requester asks again; A lists what is open")

    def _require_other(self, request: Request, approver: str, caller: Caller | None = None) -> None:
        """Refuse the requester under any name, who has approved already, and who has not the role."""
        estate = self._estate()
        if same_human(estate, approver, request.requester):
            fact = f"{approver} and {request.requester}, who asked for {request.name}, are the same person"
            raise Refused("second-person", fact, "Another person decides", self._others(request))
        mine = caller is not None and same_human(estate, caller.person, approver)
        if mine and caller is not None and not {caller.uid, caller.login_uid}.isdisjoint(request.asked.uids):
            fact = f"{request.name} was asked for by the account with which {approver} calls now"
            raise Refused("second-person", fact, "Decide from an account of your own", self._others(request))
        if any(same_human(estate, approver, each) for each in request.consents):
            raise Refused("second-person", f"{approver} has approved {request.name} already", "Somebody else decides",
                          self._others(request))  # fmt: skip
        entry = estate.people.get(approver)
        if entry is None or not set(entry.roles) & set(request.asked.approved_by):
            roles = " or ".join(request.asked.approved_by)
            fact = f"{approver or 'this account'} has none of the roles {roles}, one of which must decide"
            raise Refused("role", fact, "Ask a person who has the role", self._others(request))

    def _require_own(self, caller: Caller, request: Request, doing: str) -> None:
        if not same_human(self._estate(), caller.person, request.requester):
            fact = f"{request.name} is of {request.requester}"
            raise Refused("approval-owner", fact, f"Only who asked for it can {doing} it", request.requester)

    def _others(self, request: Request) -> str:
        return ", ".join(self._standing.may_approve(request))

    def _event(self, caller: Caller, body: Body) -> Event:
        return Event(body, caller.person or caller.account, caller.session)


def _for_approver(card: Card) -> Card:
    """The card without what the approval itself is to bring."""
    rules = tuple(rule for rule in card.rules if rule.rule not in APPROVAL_RULES)
    return replace(card, rules=rules, refusals=tuple(r for r in card.refusals if r.rule not in APPROVAL_RULES))


def _reason(text: str, shortest: int) -> str:
    said = reason_in(text, shortest)
    if not said:
        fact = f"a reason of {shortest} characters or more is needed"
        raise Refused("reason", fact, "Say why; the journal records it")
    return said[:LONGEST]


def _access_of(request: Request) -> str:
    """The grant that its plan gives; empty when it gives none."""
    asked = read_plan(request.asked.request)
    if not isinstance(asked, PlanChange) or asked.kind != "access.grant":
        return ""
    return str(asked.args.get("grant", ""))


def _line(text: str) -> str:
    return reason_in(text, 1)[:LONGEST]
