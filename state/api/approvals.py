"""Requests about approvals, and what the engine shows to who is asked. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from state.api.card import Card
from state.api.requests import read_fields
from state.errors import NotFound

ASKABLE = "approval"
"""The rule of a plan that needs approvals which nobody was asked for yet."""
APPROVAL_RULES = (ASKABLE, "approval-open", "approvers", "present")
"""The rules about approvals: they refuse a plan that is right otherwise."""
NAMESPACE = "approval@recovery"
CONFIRMING = "confirm@recovery"
"""What signatures of approvals are for (`ssh-keygen -Y sign -n`): one made for anything else does not count."""


@dataclass(frozen=True, slots=True)
class AskApproval:
    """Ask for the approval of an open plan, with a reason, and the id of its change where one is needed."""

    plan: str
    fingerprint: str
    reason: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalCard:
    """What an approver sees: a card made now from the targets, and the lines of the text to be signed. `keys` are the
    public keys of the approver that count now."""

    request: str
    card: Card
    approver: str
    lines: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def statement(self) -> str:
        """The text, byte for byte: each line with its end."""
        return "".join(f"{line}\n" for line in self.lines)


@dataclass(frozen=True, slots=True)
class Approve:
    """Approve a request: the signature over its statement. `approver` is who signed, where somebody else hands it
    in."""

    do: ClassVar[str] = "approve"
    signature: str
    approver: str = ""


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuse a request, with a reason: it is over."""

    do: ClassVar[str] = "deny"
    reason: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take one's own request back."""

    do: ClassVar[str] = "withdraw"


@dataclass(frozen=True, slots=True)
class GoAlone:
    """Go on without the missing approvals, for a reason, after a countdown that everybody sees."""

    do: ClassVar[str] = "alone"
    reason: str


@dataclass(frozen=True, slots=True)
class HaltAlone:
    """Stop somebody's countdown."""

    do: ClassVar[str] = "halt"


@dataclass(frozen=True, slots=True)
class ReviewAlone:
    """Another person's review of what was done alone."""

    do: ClassVar[str] = "review"
    note: str


ApprovalVerb = Approve | Deny | Withdraw | GoAlone | HaltAlone | ReviewAlone
APPROVAL_VERBS: Mapping[str, type[ApprovalVerb]] = {
    kind.do: kind for kind in (Approve, Deny, Withdraw, GoAlone, HaltAlone, ReviewAlone)
}


def read_ask(body: Mapping[str, Any]) -> AskApproval:
    """A request for approval from JSON. Raises NotFound naming what is missing or of another shape."""
    return read_fields(AskApproval, body)


def read_approval(body: Mapping[str, Any]) -> ApprovalVerb:
    """What is done about a request, from JSON. Raises NotFound naming what is missing or unknown."""
    named = body.get("do")
    kind = APPROVAL_VERBS.get(named) if isinstance(named, str) else None
    if kind is None:
        raise NotFound(f"no such verb of approvals (do); there are {', '.join(APPROVAL_VERBS)}")
    return read_fields(kind, body)
