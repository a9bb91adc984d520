"""Whether a plan has the approvals that its rule demands: for its card, and again when it is submitted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from state.api.caller import Caller
from state.api.card import Rule
from state.api.views.approvals import ACTIVE, ApprovalState
from state.approvals.events import ApprovalUsed
from state.approvals.fold import Approvals, Request
from state.approvals.judging import PolicyNow, may_approve, state_of
from state.clock import Clock
from state.errors import Refusal, Refused
from state.estate.model import Estate, Policies
from state.journal.events import Event
from state.policy.authority import ROLES_BY_RISK, require_role
from state.policy.deciding import DEFAULT, Grade, Ruling
from state.policy.people import same_human, who_may_approve
from state.policy.rules import judged, with_names
from state.units import clock, counted, megabytes

NONE_CAN = (
    "Give somebody else one of these roles and a key (people.NAME.keys) in the estate, then recovery engine reload"
)


def starters(policies: Policies) -> tuple[str, ...]:
    """The roles that may plan at all: those that some class needs, and whoever a rule lets start something."""
    classes = (role for roles in ROLES_BY_RISK.values() for role in roles)
    named = (role for rule in policies.authority.values() for role in rule.roles)
    automation = ("pipeline",) if any(rule.automation for rule in policies.authority.values()) else ()
    return tuple(dict.fromkeys((*classes, *named, *automation)))


def barred(caller: Caller, policies: Policies) -> Refusal | None:
    """Why a caller can start nothing at all, as each request would be refused; None for who can."""
    try:
        require_role(caller, starters(policies), "acting")
    except Refused as error:
        return error.refusal
    return None


def require_starter(caller: Caller, ruling: Ruling, grade: Grade) -> None:
    """Refuse who may not start a plan by the rule that decides about it."""
    by = "" if ruling.rule == DEFAULT else f" (rule {ruling.rule}: {grade.words})"
    require_role(caller, ruling.starters, f"a {ruling.risk.value} change{by}")


def role_rule(caller: Caller, ruling: Ruling, grade: Grade, estate: Estate) -> Rule:
    """Whether the caller may start it, with the rule that says so."""
    held = next((role for role in ruling.starters if role in caller.roles), "")
    by = "" if ruling.rule == DEFAULT else f"; rule {ruling.rule}: {grade.words}"
    rule = judged("role", f"{caller.person} has the role {held}{by}", lambda: require_starter(caller, ruling, grade))
    return with_names(rule, ruling.roles, estate.people)


class ApprovalStanding:
    """Judges requests for approval by the policy in force. `present` are the people who are attached now."""

    def __init__(
        self, estate: Callable[[], Estate], approvals: Approvals, clock: Clock, present: Callable[[], Collection[str]]
    ) -> None:
        self._estate, self.approvals, self._clock, self._present = estate, approvals, clock, present
        self._policy = PolicyNow()

    def attached(self) -> Collection[str]:
        """The people who are attached now."""
        return self._present()

    def used(self, request: Request | None, run: str, person: str, session: str) -> Iterator[Event]:
        """The entry that uses a request up, for the same durable commit as the beginning of its run."""
        if request is not None:
            alone = len(request.consents) < request.asked.needed
            how = f"alone: {request.alone_reason}" if alone else f"approved by {', '.join(request.consents)}"
            taken = (
                "" if same_human(self._estate(), person, request.requester) else f" for {request.requester}, who left"
            )
            body = ApprovalUsed(request.name, run, alone, f"{request.name}: {person} began {run}{taken}, {how}")
            yield Event(body, person, session)

    def state(self, request: Request) -> ApprovalState:
        """Where a request stands now."""
        return state_of(request, self._clock.mono(), self._policy.digest(self._estate()))

    def outdated(self, request: Request) -> bool:
        """Whether it was asked for under another policy than the one in force."""
        return request.asked.policy != self._policy.digest(self._estate())

    def may_approve(self, request: Request) -> tuple[str, ...]:
        """Who can still approve it."""
        return may_approve(request, self._estate(), self._clock.wall())

    def found(self, person: str, fingerprint: str) -> Request | None:
        """The request for a plan of this fingerprint from which something may still become: the person's own, or one
        that the person has approved and whose requester has left."""
        mine = [
            each
            for each in reversed(self.approvals.requests.values())
            if each.asked.fingerprint == fingerprint
            and self.state(each) in ACTIVE
            and (same_human(self._estate(), each.requester, person) or self._takes_over(each, person))
        ]
        ready = (ApprovalState.APPROVED, ApprovalState.ALONE)
        return next((each for each in mine if self.state(each) in ready), next(iter(mine), None))

    def _takes_over(self, request: Request, person: str) -> bool:
        """Whether a person carries out what somebody else asked for: who has approved it with a signature, once all
        approvals are there and no console of the requester is attached."""
        estate, here = self._estate(), self._present()
        approved = any(same_human(estate, person, each) for each in request.consents)
        gone = not any(same_human(estate, request.requester, each) for each in here)
        return approved and gone and self.state(request) is ApprovalState.APPROVED

    def require(self, person: str, fingerprint: str, ruling: Ruling, grade: Grade) -> Request | None:
        """The request with which a plan may be carried out now, None where none is needed. Raises Refused."""
        for rule in self.rules(person, fingerprint, ruling, grade):
            if not rule.passed:
                raise Refused.because(rule.refusal)
        return self.found(person, fingerprint) if ruling.approvers else None

    def rules(self, person: str, fingerprint: str, ruling: Ruling, grade: Grade) -> Iterator[Rule]:
        """The verdicts for a card; none where no approval is needed."""
        if not ruling.approvers:
            return
        request = self.found(person, fingerprint)
        yield self._approval(person, request, ruling, grade)
        if ruling.present and request is not None and request.consents:
            yield self._presence(request)

    def watchers(self, person: str, fingerprint: str, ruling: Ruling) -> tuple[str, ...]:
        """Who has approved a plan and must be attached while it is confirmed, one of them; nobody by most rules."""
        request = self.found(person, fingerprint) if ruling.present else None
        return tuple(request.consents) if request is not None else ()

    def require_present(self, run: str) -> None:
        """Refuse to carry on a run whose approver must be there and is not."""
        request = self.approvals.of_run(run)
        if request is not None and request.asked.present and request.consents:
            rule = self._presence(request)
            if not rule.passed:
                raise Refused.because(rule.refusal)

    def _presence(self, request: Request) -> Rule:
        names = " or ".join(request.consents)
        here = any(same_human(self._estate(), person, each) for person in request.consents for each in self._present())
        if here:
            return Rule("present", True, f"{names}, who approved it, is attached")
        fact = f"{names}, who approved it, is not attached to this engine: input is frozen"
        return Rule("present", False, fact, f"{names} opens recovery console; stopping works meanwhile", names)

    def _approval(self, person: str, request: Request | None, ruling: Ruling, grade: Grade) -> Rule:
        asked = f"rule {ruling.rule} ({grade.words}) needs {counted(ruling.approvers, 'approval')}"
        if request is None:
            who = who_may_approve(self._estate(), ruling.approved_by, person, (), self._clock.wall())
            roles = " or ".join(ruling.approved_by)
            if len(who) < ruling.approvers:
                fact = f"{asked} by the role {roles}; {', '.join(who) or 'nobody'} has role and key besides {person}"
                return Rule("approvers", False, fact, NONE_CAN, "the maintainers of the estate file")
            way_out = "Ask for it: the key ctrl+a on this card, or --ask REASON with the verb"
            return Rule("approval", False, f"{asked}, and has none", way_out, ", ".join(who))
        name, state = request.name, self.state(request)
        left = clock((request.until(self._clock.mono()) or 0.0) - self._clock.mono())
        if state is ApprovalState.OPEN:
            missing = counted(ruling.approvers - len(request.consents), "more approval")
            way_out = f"They approve with the key A, or: recovery approve {name}"
            fact = f"{asked}: {name} waits for {missing}, {left} left"
            return Rule("approval-open", False, fact, way_out, ", ".join(self.may_approve(request)))
        if state is ApprovalState.COUNTING:
            fact = f"{asked}: {request.alone_by} goes on alone in {left} ({name})"
            return Rule("approval-open", False, fact, "Wait for the end of the countdown; A, then x, stops it")
        return self._granted(request, ruling, grade, left)

    def _granted(self, request: Request, ruling: Ruling, grade: Grade, left: str) -> Rule:
        name, accepted = request.name, request.asked.loss
        more = accepted is not None and (grade.loss is None or grade.loss > accepted)
        if more or request.asked.needed < ruling.approvers:
            now = "nobody knows how much" if grade.loss is None else megabytes(grade.loss)
            fact = f"{name} was approved for a loss of {megabytes(accepted or 0)}, now it may be {now}"
            if not more:
                fact = f"{name} has {counted(request.asked.needed, 'approval')}, now {ruling.approvers} are needed"
            return Rule("approval-open", False, fact, "Withdraw it (A, then w) and ask again for the plan as it is now")
        if self.state(request) is ApprovalState.ALONE:
            fact = f"{request.alone_by} goes on alone ({name}): {request.alone_reason}; {left} left"
            return Rule("approval", True, fact)
        return Rule("approval", True, f"{', '.join(request.consents)} approved {name}; {left} left to carry it out")
