"""Roles and risk classes: every refusal names the rule, the fact, what to do and who may."""

from __future__ import annotations

from collections.abc import Collection

from state.api.caller import Caller
from state.api.card import Confirm
from state.changes.model import Risk
from state.errors import Refused

ACTING = ("responder", "commander")
"""The roles that may act at all."""

RECORDING = (*ACTING, "pipeline")
"""The roles that may record releases; a pipeline may do nothing else."""

ROLES_BY_RISK: dict[Risk, tuple[str, ...]] = {
    Risk.B0: ACTING,
    Risk.B1: ACTING,
    Risk.B2: ACTING,
    Risk.B3: ("commander",),
    Risk.B4: ("commander", "access-admin"),
}
"""Which roles may start an effect of a class."""

CONFIRM_BY_RISK: dict[Risk, Confirm] = {
    Risk.B0: Confirm.YES,
    Risk.B1: Confirm.YES,
    Risk.B2: Confirm.NONCE,
    Risk.B3: Confirm.NONCE_AND_NAME,
    Risk.B4: Confirm.NONCE_AND_NAME,
}
"""How a plan of a class is confirmed."""

ASK = "Ask a person who has the role; the key W shows who is here"


def require_known(caller: Caller, doing: str) -> None:
    """Refuse observers by socket, and accounts of which it is not clear who acts."""
    if caller.read_only:
        fact = f"this connection is read-only (observe.sock); {doing} needs engine.sock"
        raise Refused("observer", fact, "Connect again without --observe")
    if caller.doubt:
        signs = "; or use a verb with --as PERSON, which signs with your SSH key" if caller.shared else ""
        way_out = f"Log in as yourself, without sudo or su{signs}"
        raise Refused("identity", f"{caller.doubt}; {doing} needs one person", way_out)
    if not caller.person:
        fact = f"the account {caller.account or caller.uid} belongs to no person of this estate"
        raise Refused("known-person", fact, "Add it under people.NAME.accounts", "the maintainers of the estate file")


def require_role(caller: Caller, allowed: Collection[str], doing: str) -> None:
    """Refuse a caller without any of the roles."""
    require_known(caller, doing)
    if not set(caller.roles) & set(allowed):
        who = " or ".join(dict.fromkeys(allowed))
        fact = f"{caller.person} has the role {', '.join(caller.roles) or 'none'}; {doing} needs {who}"
        raise Refused("role", fact, ASK, who)


def require_override(caller: Caller, rules: tuple[str, ...]) -> None:
    """Refuse unless the person may override safety rules: it gives away what others rely on."""
    require_role(caller, ("commander",), f"overriding {', '.join(rules)}")


def highest(risks: Collection[Risk]) -> Risk:
    """The highest of some classes; B0 when there is none."""
    return max(risks, key=lambda r: r.value, default=Risk.B0)
