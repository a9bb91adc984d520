"""Where a request stands under the policy in force, and who can still approve it: for decisions and for views alike."""

from __future__ import annotations

from state.api.views.approvals import ACTIVE, ApprovalState
from state.approvals.fold import Request
from state.estate.model import Estate
from state.policy.people import owner_of, policy_digest, who_may_approve
from state.policy.sshsig import NoSignature, parse_signature


class PolicyNow:
    """The policy in force, hashed once for each estate."""

    def __init__(self) -> None:
        self._estate: Estate | None = None
        self._digest = ""

    def digest(self, estate: Estate) -> str:
        """The digest of an estate's policy."""
        if self._estate is not estate:
            self._estate, self._digest = estate, policy_digest(estate)
        return self._digest


def state_of(request: Request, now_mono: float, digest: str) -> ApprovalState:
    """Where it stands; what was asked for under another policy is void."""
    now = request.state(now_mono)
    return ApprovalState.VOID if now in ACTIVE and request.asked.policy != digest else now


def may_approve(request: Request, estate: Estate, wall: float) -> tuple[str, ...]:
    """Who can still approve it."""
    return who_may_approve(estate, request.asked.approved_by, request.requester, tuple(request.consents), wall)


def flags(request: Request, estate: Estate) -> str:
    """Keys of its approvals that are revoked since: what they have approved stays proven, and is looked at again."""
    found = []
    for consent in request.consents.values():
        try:
            owner = owner_of(estate, parse_signature(consent.signature).blob)
        except NoSignature:
            owner = None
        if owner is None:
            found.append(f"the key {consent.key} of {consent.person} is no longer in the estate")
        elif owner.key.revoked:
            found.append(f"the key {consent.key} of {consent.person} was revoked: {owner.key.revoked}")
    return "; ".join(found)
