"""The queue of approvals, and what of it must be seen on every screen."""

from __future__ import annotations

from collections.abc import Collection

from state.api.views.approvals import ACTIVE, ApprovalRow, ApprovalState, ApprovalsView
from state.api.views.causes import NextStep
from state.approvals.fold import Approvals, Request
from state.approvals.judging import PolicyNow, flags, may_approve, state_of
from state.estate.model import Estate
from state.policy.people import same_human
from state.units import utc, utc_date
from state.verdicts.cause_parts import hand
from state.views.context import Alarm, Contribution, ViewContext

SHOWN = 50
"""The newest requests that consoles are sent, besides those that wait and those of which something is due."""
POLICY = PolicyNow()


def build(context: ViewContext) -> ApprovalsView:
    """The queue."""
    approvals, wall = context.of(Approvals), context.wall or 0.0
    newest = list(approvals.requests.values())
    shown = [
        each
        for place, each in enumerate(newest)
        if place >= len(newest) - SHOWN or each.state(context.now_mono) in ACTIVE or each.review_due()
    ]
    people = sorted({row.person for row in context.consoles.values()})
    rows = {each.name: _row(each, context, people) for each in shown}
    return context.memory.keep("approvals", ApprovalsView(rows, tuple(sorted(approvals.overdue(wall)))))


def _row(request: Request, context: ViewContext, people: Collection[str]) -> ApprovalRow:
    estate, now, asked = context.estate, context.now_mono, request.asked
    state = state_of(request, now, POLICY.digest(estate))
    may = may_approve(request, estate, context.wall or 0.0) if state is ApprovalState.OPEN else ()
    outdated = state is ApprovalState.VOID and request.over is None
    return ApprovalRow(
        id=request.name,
        state=state,
        title=asked.title,
        risk=asked.risk,
        rule=asked.rule,
        requester=request.requester,
        reason=asked.reason,
        change=asked.change,
        needed=asked.needed,
        given=tuple(request.consents),
        may=may,
        told=_told(may, people, estate),
        present=asked.present,
        asked_at=request.at,
        until_mono=_rounded(request.until(now)) if state in ACTIVE else None,
        message="the policy of the estate was changed since" if outdated else request.said,
        run=request.run,
        plan=asked.plan,
        request=dict(asked.request),
        alone=asked.alone,
        alone_by=request.alone_by,
        review=request.review,
        review_due_at=request.review_due(),
        flagged=flags(request, estate),
    )


def _told(may: Collection[str], people: Collection[str], estate: Estate) -> tuple[str, ...]:
    return tuple(name for name in may if any(same_human(estate, name, each) for each in people))


def _rounded(instant: float | None) -> float | None:
    return None if instant is None else round(instant, 3)


def contribute(context: ViewContext) -> Contribution:
    """Who goes on alone, and what was done alone and is not reviewed."""
    approvals = context.of(Approvals)
    alarms: list[Alarm] = []
    for request in approvals.requests.values():
        if request.counting_until is not None and request.over is None:
            state = state_of(request, context.now_mono, POLICY.digest(context.estate))
            if state in (ApprovalState.COUNTING, ApprovalState.ALONE):
                alarms.append(_alone(request, context))
        due = request.review_due()
        if due is not None:
            late = context.wall is not None and context.wall >= due
            when = f"was due {utc_date(due)}: {request.alone_by} may not go on alone before" if late else utc_date(due)
            said = f"{request.run} was done alone by {request.alone_by} ({request.name}), review due {when}"
            alarms.append(Alarm(said, _queue("review it", f"Another person reviews {request.name}: A, then v")))
    return Contribution(alarms=tuple(alarms))


def _alone(request: Request, context: ViewContext) -> Alarm:
    at = utc((context.wall or 0.0) + (request.counting_until or 0.0) - context.now_mono)
    said = f"{request.alone_by} goes on alone with {request.name} ({request.asked.title}) from {at} on: "
    return Alarm(said + request.alone_reason, _queue("stop it", f"A, then x, stops {request.name}"))


def _queue(title: str, message: str) -> NextStep:
    return hand(title, f"{message}. By verb: recovery approvals list", key="A")
