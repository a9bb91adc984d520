"""Keeps plans until they are confirmed, and starts a run from a confirmed plan."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from state.api.caller import Caller
from state.api.card import Card, Rule
from state.api.messages import Accepted
from state.api.requests import PlanRequest, PlanRollback, PlanRunbook, PlanUndo, Submission, write
from state.approvals.fold import Request
from state.clock import Clock
from state.errors import JournalUnavailable, NotFound, Refused
from state.estate.model import Estate
from state.journal.events import Event
from state.journal.writer import Journal
from state.planning.approving import Looked
from state.planning.card import CardContext, make_card
from state.planning.grading import Grading
from state.planning.plan import (
    Draft,
    Plan,
    Seen,
    check_confirmation,
    fingerprint,
    pin,
    require_size,
    risk_of,
    targets_of,
    what_moved,
)
from state.planning.planner import Planner
from state.planning.sets import reasons_of
from state.planning.standing import ApprovalStanding, require_starter, role_rule, starters
from state.planning.undoing import RULE as NEWER
from state.planning.undoing import left_behind
from state.planning.waiting import waiting_rules
from state.planning.windows import window_reasons, window_rules, window_warnings
from state.policy.authority import require_override, require_role
from state.policy.deciding import Grade, Ruling
from state.policy.rules import judged
from state.runs.events import RunResumed, RunStarted, RunStopRequested, RunUndoRefused, StepRetried
from state.runs.executor import Executor
from state.runs.fold import RunHistory
from state.runs.leases import Leases
from state.runs.model import Run
from state.runs.steps import PlannedStep

MOST_OPEN = 16
"""The most plans kept of one person; the oldest one of that person is dropped for a new one."""


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
        grading: Grading,
        standing: ApprovalStanding,
    ) -> None:
        self._estate, self._planner, self._history = estate, planner, history
        self._grading, self._standing = grading, standing
        self._leases, self._journal, self._executor, self._clock = leases, journal, executor, clock
        self._open: dict[str, Plan] = {}
        self._submitting = asyncio.Lock()
        self._halts = self._renewals = 0
        self._halted_by = ""

    def void(self) -> None:
        """Forget every open plan."""
        self._open.clear()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """While it lasts no run begins."""
        async with self._submitting:
            yield

    def renew(self, estate: Estate, planner: Planner) -> None:
        """Plan by another estate from now on; what was shown before is void."""
        self._estate, self._planner = estate, planner
        self._renewals += 1
        self.void()

    def halt(self, by: str) -> None:
        """After a stop of everything: no plan becomes a run any more, open plans are void."""
        self._halts += 1
        self._halted_by = by
        self.void()

    async def preview(self, caller: Caller, request: PlanRequest) -> Card:
        """A plan and its card, from readings made now."""
        require_role(caller, starters(self._estate.policies), "planning")
        renewals = self._renewals
        found = await self._look(caller, request)
        self._require_current(renewals)
        mine = [name for name, plan in self._open.items() if plan.person == caller.person]
        for oldest in mine[: max(0, len(mine) - MOST_OPEN + 1)]:
            del self._open[oldest]
        self._open[found.card.plan] = found
        return found.card

    async def looked(self, caller: Caller, request: PlanRequest) -> Looked:
        """The same plan as somebody else sees it: nothing of it is kept."""
        found = await self._look(caller, request)
        return Looked(found.steps, found.card, found.grade, found.ruling)

    def opened(self, caller: Caller, name: str) -> Plan:
        """A plan that waits for a confirmation of this person. Raises Refused."""
        plan = self._open.get(name)
        if plan is None:
            raise Refused(
                "plan-open", "no such plan waits for a confirmation", "Preview again; a plan can be confirmed once"
            )
        if plan.person != caller.person:
            raise Refused("plan-owner", f"the plan was made for {plan.person}", "Preview it yourself", plan.person)
        return plan

    async def _look(self, caller: Caller, request: PlanRequest) -> Plan:
        draft = await self._planner.draft(request)
        began = self._clock.mono()
        seen = await self._planner.see(draft)
        left = await self._left(draft, seen)
        grade = self._grading.grade(draft, seen)
        ruling = self._grading.ruling(grade)
        now = self._clock.mono()
        context = CardContext(
            estate=self._estate,
            history=self._history,
            build=self._planner.build,
            rules=(
                *left,
                *draft.rules,
                *self._planner.release_rules(seen),
                *self._timed(draft, seen),
                *self._rules(caller, draft, seen, ruling, grade),
            ),
            age=now - began,
            now_wall=self._clock.wall(),
            healths=self._planner.healths(),
            warnings=(
                *self._planner.release_warnings(seen),
                *window_warnings(draft, seen, self._estate, self._clock.wall()),
                *(left_behind(self._history.run(request.run)) if isinstance(request, PlanUndo) else ()),
            ),
        )
        card = make_card(secrets.token_hex(6), draft, seen, context)
        card = replace(
            card,
            present=self._standing.watchers(caller.person, card.fingerprint, ruling),
            score=self._grading.points(draft, seen),
            score_limit=self._estate.policies.score.above if self._estate.policies.score else None,
        )
        steps, risk = pin(draft, seen), risk_of(seen)
        return Plan(draft, caller.person, steps, risk, targets_of(seen), now, card, request, grade, ruling)

    async def _left(self, draft: Draft, seen: Sequence[Seen]) -> tuple[Rule, ...]:
        """For an undo: whether its targets are as the run left them."""
        if not isinstance(draft.request, PlanUndo):
            return ()
        return (await self._planner.still_as_left(self._history.run(draft.request.run), seen),)

    async def _require_left(self, draft: Draft, seen: Sequence[Seen]) -> None:
        for rule in await self._left(draft, seen):
            if not rule.passed:
                raise Refused.because(rule.refusal)

    def _rules(
        self, caller: Caller, draft: Draft, seen: Sequence[Seen], ruling: Ruling, grade: Grade
    ) -> tuple[Rule, ...]:
        """Every rule of policy with its verdict: role, lease, journal, approvals."""
        targets = targets_of(seen)
        lease = partial(self._require_free, draft, targets)
        return (
            role_rule(caller, ruling, grade, self._estate),
            judged("lease", f"no open run holds {' or '.join(targets) or 'a target'}", lease),
            judged("journal", "the journal takes entries", self._require_journal),
            *self._overriding(caller, draft),
            *self._standing.rules(caller.person, fingerprint(draft, pin(draft, seen)), ruling, grade),
        )

    def _overriding(self, caller: Caller, draft: Draft) -> tuple[Rule, ...]:
        """Whether the caller may override the safety rules and protected windows that the draft overrides."""
        names = (*reasons_of(draft), *window_reasons(draft, self._estate))
        override = judged("override", f"{caller.person} may override", partial(require_override, caller, names))
        return (override,) if names else ()

    def _timed(self, draft: Draft, seen: Sequence[Seen]) -> tuple[Rule, ...]:
        """The rules about time: protected windows, how long servers are left alone, how long nothing is anchored."""
        wall = self._clock.wall()
        windows = window_rules(draft, seen, self._estate, wall)
        waiting = waiting_rules(draft, self._estate, self._history, self._clock.mono())
        return (*windows, *waiting, *self._grading.anchored(seen))

    async def submit(self, caller: Caller, request: Submission) -> Accepted:
        """Start a confirmed plan. It is then used up, whatever the outcome, unless the confirmation was too early."""
        require_role(caller, starters(self._estate.policies), "submitting")
        plan = self.opened(caller, request.plan)
        try:
            check_confirmation(plan, request.typed, now_mono=self._clock.mono())
        except Refused as error:
            if error.rule != "arming":
                del self._open[plan.card.plan]
            raise
        del self._open[plan.card.plan]
        if request.fingerprint != plan.card.fingerprint:
            raise Refused("fingerprint", "the confirmation is for another plan", "Preview again")
        if plan.card.refusals:
            raise Refused.because(plan.card.refusals[0])
        halts, renewals = self._halts, self._renewals
        async with self._submitting:
            self._require_current(renewals)
            return await self._begin(caller, plan, halts)

    async def _begin(self, caller: Caller, plan: Plan, halts: int) -> Accepted:
        require_starter(caller, plan.ruling, plan.grade)
        self._require_free(plan.draft, plan.targets)
        self._require_journal()
        if isinstance(plan.draft.request, PlanUndo):  # somebody else may have undone it since the card was made
            self._planner.undo(self._history.run(plan.draft.request.run))
        if isinstance(plan.draft.request, PlanRunbook | PlanRollback):
            await self._require_order(plan.draft, plan.draft.request)
        seen = await self._planner.see(plan.draft)
        await self._require_left(plan.draft, seen)
        policy = (*self._overriding(caller, plan.draft), *self._timed(plan.draft, seen))
        for rule in (*self._planner.release_rules(seen), *policy):
            if not rule.passed:
                raise Refused.because(rule.refusal)
        steps = pin(plan.draft, seen)
        if fingerprint(plan.draft, steps) != plan.card.fingerprint:
            raise Refused("facts-changed", what_moved(plan.steps, steps), "Preview again to see the new facts")
        grade = self._grading.grade(plan.draft, seen)  # a loss may have grown, a clock may run since
        ruling = self._grading.ruling(grade)
        require_starter(caller, ruling, grade)
        approval = self._standing.require(caller.person, plan.card.fingerprint, ruling, grade)
        self._require_going(halts)
        if plan.draft.retry_of is not None:
            return await self._retry(caller, plan.draft, steps[0], plan.targets, approval)
        return await self._start(caller.person, caller.session, plan.draft, steps, plan.targets, halts, approval)

    async def _require_order(self, draft: Draft, request: PlanRunbook | PlanRollback) -> None:
        """The steps are still those that were confirmed: they may follow roles and verdicts, which move."""
        now = await self._planner.draft(request)
        if now.steps != draft.steps:
            steps = zip(draft.steps, now.steps, strict=False)
            moved = next((f": {was.title} is now {new.title}" for was, new in steps if was != new), "")
            raise Refused("facts-changed", f"the order of the steps has changed{moved}", "Preview again")

    def _require_current(self, renewals: int) -> None:
        if renewals != self._renewals:
            raise Refused("estate-loaded", "the estate was reloaded meanwhile", "Preview again")

    def _require_going(self, halts: int) -> None:
        if halts != self._halts:
            raise Refused(
                "stopped",
                "every run was stopped meanwhile",
                "Read the states of the runs, then preview again",
            )

    async def _start(
        self,
        person: str,
        session: str,
        draft: Draft,
        steps: Sequence[PlannedStep],
        targets: Sequence[str],
        halts: int,
        approval: Request | None = None,
    ) -> Accepted:
        run_id = self._history.next_id()
        body = RunStarted(
            title=draft.title,
            runbook=draft.runbook,
            hash=draft.hash,
            service=draft.service,
            budget=draft.budget,
            targets=tuple(targets),
            request={**({} if draft.request is None else write(draft.request)), **draft.noted},
            steps=tuple(steps),
            message=f"{draft.title}: {len(steps)} step{'s' if len(steps) != 1 else ''}{_overrides(draft)}",
        )
        require_size(body)
        started = Event(body, person, session, run=run_id)
        lease = self._leases.next_lease(run_id, person, targets)
        await self._journal.append_all([started, lease, *self._standing.used(approval, run_id, person, session)])
        run = self._history.runs[run_id]
        if halts != self._halts and not run.stopping:
            await self._stopped_meanwhile(run)
        self._executor.start(run)
        return Accepted(run_id, f"{run_id} started: {draft.title}")

    async def _stopped_meanwhile(self, run: Run) -> None:
        """Everything was stopped while its beginning was written: it is recorded, so that the next engine keeps to it
        as well."""
        run.stopping = True
        stopped = RunStopRequested(f"stopped by {self._halted_by} while it began: stop of everything")
        try:
            await self._journal.append(Event(stopped, self._halted_by, run=run.id))
        except JournalUnavailable as error:
            self._history.say(run, f"{stopped.message} (not recorded: {error})")

    async def _retry(
        self, caller: Caller, draft: Draft, step: PlannedStep, targets: Sequence[str], approval: Request | None
    ) -> Accepted:
        run_id, key = draft.retry_of or ("", "")
        run = self._history.runs[run_id]
        if self._planner.retry(run_id, key).retry_of != draft.retry_of:
            raise Refused("step-order", f"{key} of {run_id} was retried meanwhile", f"Look at {run_id}")
        reason = f"{caller.person} retries; before: {run.latest(step.id).message}"
        retried = StepRetried(step.identity, step.facts, reason, step.args)
        if step.risk in ("B3", "B4"):
            self._executor.confirmed(run_id)
        more = [target for target in targets if target not in run.targets]  # of a step whose target was not known
        await self._journal.append_all(
            [
                *([self._leases.next_lease(run_id, caller.person, (*run.targets, *more))] if more else []),
                Event(retried, caller.person, caller.session, run=run_id, step=key),
                Event(RunResumed(f"{caller.person} retries {step.id}"), caller.person, caller.session, run=run_id),
                *self._standing.used(approval, run_id, caller.person, caller.session),
            ]
        )
        return Accepted(run_id, f"{run_id}: retrying {step.title}")

    async def undo(self, run: Run) -> None:
        """Undo what a failed run did, as its runbook says; confirmed together with the run."""
        halts = self._halts
        try:
            async with self._submitting:
                draft = replace(self._planner.undo(run), request=PlanUndo(run.id))
                seen = await self._planner.see(draft)
                await self._require_left(draft, seen)
                targets = targets_of(seen)
                self._leases.require_free(targets)
                self._require_going(halts)
                await self._start(run.actor, "", draft, pin(draft, seen), targets, halts)
        except (Refused, NotFound, JournalUnavailable) as error:
            newer = isinstance(error, Refused) and error.rule == NEWER
            await self._not_undone(run, str(error), offered=not newer)

    async def tell_not_undone(self) -> None:
        """After a restart: runs that were to be undone when the engine ended; now only a person can undo them."""
        for run in self._history.undoing():
            await self._not_undone(run, "the engine ended before the undo")

    async def _not_undone(self, run: Run, why: str, *, offered: bool = True) -> None:
        message = f"nothing was undone: {why}"
        if offered and run.undos():
            message = f"{message}. The key z undoes it, or: recovery run undo {run.id}"
        try:
            await self._journal.append(Event(RunUndoRefused(message), run.actor, run=run.id))
        except JournalUnavailable:
            self._history.say(run, f"{run.message}; {message}")

    def _require_free(self, draft: Draft, targets: Sequence[str]) -> None:
        mine = draft.retry_of[0] if draft.retry_of else ""
        self._leases.require_free(targets, but=mine)

    def _require_journal(self) -> None:
        if self._journal.unavailable:
            raise JournalUnavailable(self._journal.unavailable)


def _overrides(draft: Draft) -> str:
    """Which safety rules it overrides, with the reasons."""
    return "".join(f"; overrides {name}: {reason}" for name, reason in reasons_of(draft).items())
