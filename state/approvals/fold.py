"""Requests for approval, as a fold over the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from state.api.views.approvals import ACTIVE, ApprovalState
from state.approvals.events import (
    ApprovalDenied,
    ApprovalGiven,
    ApprovalRequested,
    ApprovalUsed,
    ApprovalVoided,
    ApprovalWithdrawn,
    OverrideBegun,
    OverrideReviewed,
    OverrideStopped,
    PolicyEnforced,
)
from state.errors import NotFound
from state.journal.events import Recorded
from state.journal.projection import FoldSetting, Projection

KEPT = 100
"""So many requests are known, besides those of which a review is due; older ones are in the journal."""
REVIEW_WITHIN = 86_400.0
"""Seconds after which what was done alone must have been reviewed."""


@dataclass(frozen=True, slots=True)
class Consent:
    """One approval: by whom, with which key, the statement that was signed, and when."""

    person: str
    key: str
    fingerprint: str
    statement: str
    signature: str
    at: float
    mono: float


@dataclass(slots=True)
class Request:
    """One request with what became of it. Instants are of this engine's monotonic clock, `at` of the wall clock."""

    asked: ApprovalRequested
    requester: str
    at: float
    mono: float
    seqs: list[int]
    consents: dict[str, Consent] = field(default_factory=dict)
    over: ApprovalState | None = None
    said: str = ""
    run: str = ""
    alone_by: str = ""
    alone_reason: str = ""
    counting_until: float | None = None
    used_alone: bool = False
    used_at: float = 0.0
    review: str = ""

    @property
    def name(self) -> str:
        """Its id."""
        return self.asked.name

    def until(self, now_mono: float) -> float | None:
        """When its present state ends by itself; None where it has none."""
        use = self.asked.limits[1]
        if self.over is not None:
            return None
        if self.counting_until is not None:
            return self.counting_until if now_mono < self.counting_until else self.counting_until + use
        if len(self.consents) >= self.asked.needed:
            return max(consent.mono for consent in self.consents.values()) + use
        return self.mono + self.asked.limits[0]

    def state(self, now_mono: float) -> ApprovalState:
        """Where it stands."""
        until = self.until(now_mono)
        if self.over is not None or until is None:
            return self.over or ApprovalState.VOID
        if now_mono >= until:
            return ApprovalState.LAPSED
        if self.counting_until is not None:
            return ApprovalState.COUNTING if now_mono < self.counting_until else ApprovalState.ALONE
        return ApprovalState.APPROVED if len(self.consents) >= self.asked.needed else ApprovalState.OPEN

    def review_due(self) -> float | None:
        """By when (epoch seconds) what was done alone must be reviewed; None where nothing is due."""
        return self.used_at + REVIEW_WITHIN if self.used_alone and not self.review else None


class Approvals:
    """The requests by id, the oldest first, and the policy that was last recorded."""

    def __init__(self, setting: FoldSetting) -> None:
        self._setting = setting
        self.requests: dict[str, Request] = {}
        self.policy = ""
        self._policy_seq = self._count = 0

    def next_id(self) -> str:
        """The name of the next request."""
        return f"A-{self._count + 1}"

    def get(self, name: str) -> Request:
        """A request by its id. Raises NotFound."""
        found = self.requests.get(name)
        if found is None:
            raise NotFound(f"no request for approval {name[:40]!r}; recovery approvals list has them")
        return found

    def of_run(self, run: str) -> Request | None:
        """The request with which a run was begun."""
        return next((each for each in self.requests.values() if each.run == run), None)

    def overdue(self, wall: float) -> dict[str, str]:
        """Who has not been reviewed in time for having gone on alone, with the request."""
        late = [each for each in self.requests.values() if (due := each.review_due()) is not None and wall >= due]
        return {each.alone_by: each.name for each in late}

    def needs(self) -> Iterable[int]:
        """The entries that it follows from."""
        found = {seq for each in self.requests.values() for seq in each.seqs}
        return found | ({self._policy_seq} if self._policy_seq else set())

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry."""
        body = recorded.body
        if isinstance(body, PolicyEnforced):
            self.policy, self._policy_seq = body.policy, recorded.seq
            return
        if isinstance(body, ApprovalRequested):
            self._count = max(self._count, int(body.name.removeprefix("A-")))
            mono = self._setting.mono(recorded)
            self.requests[body.name] = Request(body, recorded.event.actor, recorded.at, mono, [recorded.seq])
            self._forget(mono)
            return
        request = self.requests.get(getattr(body, "name", ""))
        if request is not None:
            request.seqs.append(recorded.seq)
            _APPLY[type(body)](self, request, recorded, body)

    def _given(self, request: Request, recorded: Recorded, body: ApprovalGiven) -> None:
        words = body.person, body.key, body.fingerprint, body.statement, body.signature
        request.consents[body.person] = Consent(*words, recorded.at, self._setting.mono(recorded))

    def _ended(self, request: Request, recorded: Recorded, body: Any) -> None:
        request.over = request.over or _ENDS[type(body)]
        request.said = body.message

    def _used(self, request: Request, recorded: Recorded, body: ApprovalUsed) -> None:
        request.over, request.run, request.said = ApprovalState.USED, body.started, body.message
        request.used_alone, request.used_at = body.alone, recorded.at

    def _begun(self, request: Request, recorded: Recorded, body: OverrideBegun) -> None:
        request.alone_by, request.alone_reason = recorded.event.actor, body.reason
        here = recorded.boot == self._setting.boot  # else nobody could see or stop it meanwhile: it begins anew
        request.counting_until = (recorded.mono if here else self._setting.clock.mono()) + body.seconds
        request.said = body.message

    def _halted(self, request: Request, recorded: Recorded, body: OverrideStopped) -> None:
        request.counting_until, request.said = None, body.message

    def _reviewed(self, request: Request, recorded: Recorded, body: OverrideReviewed) -> None:
        request.review = body.message

    def _forget(self, now_mono: float) -> None:
        """The oldest of which nothing is due: of those that were carried out and of those that were not, so that no
        number of requests makes one forgotten that waits, or whose run goes on."""
        done = [each for each in self.requests.values() if each.run]
        over = [each for each in self.requests.values() if not each.run and each.state(now_mono) not in ACTIVE]
        for request in (*done[:-KEPT], *over[:-KEPT]):
            if request.review_due() is None:
                del self.requests[request.name]


_ENDS: Mapping[type[Any], ApprovalState] = {
    ApprovalDenied: ApprovalState.DENIED,
    ApprovalWithdrawn: ApprovalState.WITHDRAWN,
    ApprovalVoided: ApprovalState.VOID,
}
_APPLY: Mapping[type[Any], Callable[[Approvals, Request, Recorded, Any], None]] = {
    ApprovalGiven: Approvals._given,
    ApprovalDenied: Approvals._ended,
    ApprovalWithdrawn: Approvals._ended,
    ApprovalVoided: Approvals._ended,
    ApprovalUsed: Approvals._used,
    OverrideBegun: Approvals._begun,
    OverrideStopped: Approvals._halted,
    OverrideReviewed: Approvals._reviewed,
}
APPROVALS = Projection(
    Approvals, Approvals, (ApprovalRequested, PolicyEnforced, *_APPLY), Approvals.fold, needs=Approvals.needs
)
