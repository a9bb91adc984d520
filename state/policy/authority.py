"""Roles and risk classes: every refusal names the rule, the fact, what to do and who may."""

from __future__ import annotations

from collections.abc import Collection

from state.api.caller import Caller
from state.api.card import Confirm
from state.changes.model import Risk
from state.errors import Refused
from state.estate.model import Policies

ACTING = ("responder", "commander")
"""The roles that may act at all."""

RECORDING = (*ACTING, "pipeline")
"""The roles that may record releases; a pipeline may do nothing else."""

ROLES_BY_RISK: dict[Risk, tuple[str, ...]] = {
    Risk.B0: ACTING,
    Risk.B1: ACTING,
    Risk.B2: ACTING,
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
    """Refuse observers: by socket, by role, or because the account belongs to no person."""
    if caller.read_only:
        fact = f"this connection is read-only (observe.sock); {doing} needs engine.sock"
        raise Refused("observer", fact, "Connect again without --observe")
    if not caller.person:
        fact = f"the account {caller.account or caller.uid} belongs to no person of this estate"
        raise Refused("known-person", fact, "Add it under people.NAME.accounts", "the maintainers of the estate file")


def require_role(caller: Caller, allowed: Collection[str], doing: str) -> None:
    """Refuse a caller without any of the roles."""
    require_acting(caller, doing)
    if not set(caller.roles) & set(allowed):
        who = " or ".join(dict.fromkeys(allowed))
        fact = f"{caller.person} has the role {', '.join(caller.roles) or 'none'}; {doing} needs {who}"
        raise Refused("role", fact, "Ask a person who has the role", who)


def require_override(caller: Caller, rules: tuple[str, ...]) -> None:
    """Refuse unless the person may override safety rules: it gives away what others rely on."""
    require_role(caller, ("commander",), f"overriding {', '.join(rules)}")


def require_risk(caller: Caller, risk: Risk, policies: Policies) -> None:
    """Refuse a class that the caller's roles do not allow, or that needs an approval this engine cannot collect."""
    require_role(caller, ROLES_BY_RISK[risk], f"a {risk.value} change")
    if risk.value in policies.second_person:
        fact = f"{risk.value} changes need an approval in this estate, and this engine cannot collect one"
        way_out = f"Remove {risk.value} from policies.second_person, then recovery engine reload"
        raise Refused("second-person", fact, way_out, "the maintainers of the estate file")


def highest(risks: Collection[Risk]) -> Risk:
    """The highest of some classes; B0 when there is none."""
    return max(risks, key=lambda r: r.value, default=Risk.B0)
