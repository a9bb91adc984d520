"""Roles and risk classes: every refusal names the rule, the fact and the way out."""

from __future__ import annotations

from collections.abc import Collection

from state.api.caller import Caller
from state.api.card import Confirm
from state.changes.model import Risk
from state.errors import Refused
from state.estate.model import Policies

ROLES_BY_RISK: dict[Risk, tuple[str, ...]] = {
    Risk.B0: ("responder", "commander"),
    Risk.B1: ("responder", "commander"),
    Risk.B2: ("responder", "commander"),
    Risk.B3: ("commander",),
}
"""Which roles may start an effect of a class."""

CONFIRM_BY_RISK: dict[Risk, Confirm] = {
    Risk.B0: Confirm.YES,
    Risk.B1: Confirm.YES,
    Risk.B2: Confirm.NONCE,
    Risk.B3: Confirm.NONCE_AND_NAME,
}
"""How a plan of a class is confirmed."""


def require_acting(caller: Caller, doing: str) -> None:
    """Refuse observers: by socket, by role, or because the account is nobody here."""
    if caller.read_only:
        raise Refused("observer", f"this connection may only look, {doing} is an act", "Attach without --observe")
    if not caller.person:
        fact = f"the account {caller.account or caller.uid} is nobody in this estate"
        raise Refused("known-person", fact, "Add it to people: in the estate")


def require_role(caller: Caller, allowed: Collection[str], doing: str) -> None:
    """Refuse a caller without any of the roles."""
    require_acting(caller, doing)
    if not set(caller.roles) & set(allowed):
        fact = f"{caller.person} is {', '.join(caller.roles) or 'without a role'}; {doing} needs {' or '.join(allowed)}"
        raise Refused("role", fact, "Ask somebody who has the role")


def require_risk(caller: Caller, risk: Risk, policies: Policies) -> None:
    """Refuse a class the caller's roles do not reach, or that needs a second person this engine cannot ask."""
    require_role(caller, ROLES_BY_RISK[risk], f"a {risk.value} change")
    if risk.value in policies.second_person:
        fact = f"{risk.value} changes need a second person in this estate, and no approval is at hand"
        raise Refused("second-person", fact, "An approver must sign the plan")


def highest(risks: Collection[Risk]) -> Risk:
    """The gravest of some classes; B0 when there is none."""
    return max(risks, key=lambda r: r.value, default=Risk.B0)
