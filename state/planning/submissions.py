"""Where plans wait to be confirmed, and where a confirmed plan becomes a run."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from state.api.caller import Caller
from state.api.card import Card, CardLine
from state.api.messages import Accepted
from state.api.requests import PlanRequest, Submission, write
from state.clock import Clock
from state.errors import JournalUnavailable, NotFound, Refused
from state.estate.model import Estate
from state.health import Health
from state.journal.events import Event
from state.journal.format import MAX_PAYLOAD, canonical
from state.journal.writer import Journal
from state.planning.plan import Draft, Plan, check_confirmation, fingerprint, make_plan, pin
from state.planning.planner import Planner
from state.policy.authority import require_risk, require_role
from state.runs.effects import fact_difference
from state.runs.events import RunResumed, RunStarted, StepRetried
from state.runs.executor import Executor
from state.runs.fold import RunHistory
from state.runs.leases import Leases
from state.runs.model import Run
from state.runs.steps import PlannedStep

MOST_OPEN = 64
"""Plans kept at once; the oldest gives way."""


class Submissions:
    """Previews and submissions. A plan is used once, by the person who asked for it."""

    def __init__(
        self,
        estate: Estate,
        planner: Planner,
        history: RunHistory,
        leases: Leases,
        journal: Journal,
        executor: Executor,
        clock: Clock,
    ) -> None:
        self._estate, self._planner, self._history = estate, planner, history
        self._leases, self._journal, self._executor, self._clock = leases, journal, executor, clock
        self._open: dict[str, Plan] = {}
        self._submitting = asyncio.Lock()
        self._halts = 0

    def void(self) -> None:
        """Forget every open plan."""
        self._open.clear()

    def halt(self) -> None:
        """Everything was stopped: what is on its way to becoming a run does not get there, open plans are void."""
        self._halts += 1
        self.void()

    async def preview(self, caller: Caller, request: PlanRequest) -> Card:
        """A plan and its card, from readings made now."""
        require_role(caller, ("responder", "commander"), "planning")
        draft = self._planner.draft(request)
        seen = await self._planner.see(draft)
        policy = self._estate.policies.confirm
        plan = make_plan(
            secrets.token_hex(6),
            draft,
            seen,
            person=caller.person,
            now_mono=self._clock.mono(),
            arm=policy.arm,
            expires=policy.plan_expires,
            rpo=self._rpo(draft),
            context=self._planner.context(draft, seen),
        )
        plan = replace(plan, card=self._with_policy(caller, plan))
        while len(self._open) >= MOST_OPEN:
            del self._open[next(iter(self._open))]
        self._open[plan.id] = plan
        return plan.card

    def _with_policy(self, caller: Caller, plan: Plan) -> Card:
        """The card with every rule's verdict: role, lease, journal."""
        refusals, lines = list(plan.card.refusals), list(plan.card.facts)
        rules: dict[str, Callable[[], None]] = {
            "role": partial(require_risk, caller, plan.risk, self._estate.policies),
            "lease": partial(self._require_free, plan),
            "journal": self._require_journal,
        }
        for rule, check in rules.items():
            try:
                check()
                lines.append(CardLine("rule", f"{rule} allows it", Health.PASS))
            except (Refused, JournalUnavailable) as error:
                refusals.append(str(error))
                lines.append(CardLine("rule", str(error), Health.FAIL))
        return replace(plan.card, facts=tuple(lines), refusals=tuple(refusals))

    async def submit(self, caller: Caller, request: Submission) -> Accepted:
        """Start a confirmed plan. Whatever the outcome, the plan is used up, save for a confirmation too early."""
        plan = self._open.get(request.plan)
        require_role(caller, ("responder", "commander"), "submitting")
        if plan is None:
            raise Refused("plan-open", "no such plan is waiting", "Preview again; plans are for one try")
        if plan.person != caller.person:
            raise Refused("plan-owner", f"the plan was made for {plan.person}", "Preview it yourself")
        try:
            check_confirmation(plan, request.typed, now_mono=self._clock.mono())
        except Refused as error:
            if error.rule != "arming":
                del self._open[plan.id]
            raise
        del self._open[plan.id]
        if request.fingerprint != plan.fingerprint:
            raise Refused("fingerprint", "the confirmation is for another plan", "Preview again")
        if plan.card.refusals:
            raise Refused("plan-refused", plan.card.refusals[0], "Clear the reason, then preview again")
        halts = self._halts
        async with self._submitting:
            return await self._begin(caller, plan, halts)

    async def _begin(self, caller: Caller, plan: Plan, halts: int) -> Accepted:
        require_risk(caller, plan.risk, self._estate.policies)
        self._require_free(plan)
        self._require_journal()
        seen = await self._planner.see(plan.draft)
        steps = pin(plan.draft, seen)
        if fingerprint(plan.draft, steps) != plan.fingerprint:
            raise Refused("facts-changed", _what_moved(plan.steps, steps), "Preview again to see the new facts")
        self._require_going(halts)
        if plan.draft.retry_of is not None:
            return await self._retry(caller, plan.draft, steps[0])
        return await self._start(caller.person, caller.session, plan.draft, steps, plan.targets, halts)

    def _require_going(self, halts: int) -> None:
        if halts != self._halts:
            raise Refused("stopped", "everything was stopped meanwhile", "Look at what stands, then preview again")

    async def _start(
        self,
        person: str,
        session: str,
        draft: Draft,
        steps: Sequence[PlannedStep],
        targets: Sequence[str],
        halts: int,
    ) -> Accepted:
        run_id = self._history.next_id()
        body = RunStarted(
            title=draft.title,
            runbook=draft.runbook,
            hash=draft.hash,
            service=draft.service,
            budget=draft.budget,
            targets=tuple(targets),
            request={} if draft.request is None else write(draft.request),
            steps=tuple(steps),
            message=f"{draft.title}: {len(steps)} steps",
        )
        if (size := len(canonical(body.as_json()))) > MAX_PAYLOAD:
            fact = f"the plan has {size // 1024} KiB, one journal entry holds {MAX_PAYLOAD // 1024}"
            raise Refused("plan-size", fact, "Split the runbook")
        started = Event(body, person, session, run=run_id)
        await self._journal.append_all([started, self._leases.next_lease(run_id, person, targets)])
        run = self._history.runs[run_id]
        run.stopping = run.stopping or halts != self._halts
        self._executor.start(run)
        return Accepted(run_id, f"{run_id} started: {draft.title}")

    async def _retry(self, caller: Caller, draft: Draft, step: PlannedStep) -> Accepted:
        run_id, key = draft.retry_of or ("", "")
        run = self._history.runs[run_id]
        if self._planner.retry(run_id, step.id).retry_of != draft.retry_of:
            raise Refused("step-order", f"{key} of {run_id} was retried meanwhile", "Look at the run")
        reason = f"{caller.person} retries; before: {run.latest(step.id).message}"
        retried = StepRetried(step.identity, step.facts, reason)
        if step.risk == "B3":
            self._executor.confirmed(run_id)
        await self._journal.append_all(
            [
                Event(retried, caller.person, caller.session, run=run_id, step=key),
                Event(RunResumed(f"{caller.person} retries {step.id}"), caller.person, caller.session, run=run_id),
            ]
        )
        return Accepted(run_id, f"{run_id}: retrying {step.title}")

    async def undo(self, run: Run) -> None:
        """Reverse what a failed run did, because its runbook says so; confirmed with the run itself."""
        halts = self._halts
        try:
            async with self._submitting:
                draft = self._planner.undo(run)
                seen = await self._planner.see(draft)
                targets = tuple(dict.fromkeys(t for one in seen for t in one.change.targets))
                self._leases.require_free(targets)
                self._require_going(halts)
                await self._start(run.actor, "", draft, pin(draft, seen), targets, halts)
        except (Refused, NotFound, JournalUnavailable) as error:
            run.message = f"{run.message}; nothing was undone: {error}"

    def _require_free(self, plan: Plan) -> None:
        mine = plan.draft.retry_of[0] if plan.draft.retry_of else ""
        self._leases.require_free(plan.targets, but=mine)

    def _require_journal(self) -> None:
        if self._journal.unavailable:
            raise JournalUnavailable(self._journal.unavailable)

    def _rpo(self, draft: Draft) -> int:
        service = self._estate.services.get(draft.service)
        databases = [
            self._estate.databases[str(s.args.get("database"))].rpo
            for s in draft.steps
            if s.args.get("database") in self._estate.databases
        ]
        return min([*databases, *([service.rpo] if service else [])], default=0)


def _what_moved(planned: Sequence[PlannedStep], now: Sequence[PlannedStep]) -> str:
    """Words for the first thing that differs between the plan and now."""
    for was, is_now in zip(planned, now, strict=True):
        moved = fact_difference(was.identity or {}, is_now.identity or {}) or fact_difference(
            was.facts or {}, is_now.facts or {}
        )
        if moved:
            return f"{was.title}: {moved}"
    return "the plan reads differently now"
