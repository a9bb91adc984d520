"""Who may decide what: rules of the estate over the risk class, the environment, what is lost, and what is going on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from state.estate.entry import Entry, Seconds

ActingRole = Literal["responder", "commander", "access-admin"]
ApprovingRole = Literal["responder", "commander", "approver", "access-admin"]
LossGrade = Literal["none", "within-rpo", "above-rpo", "unknown"]
Soon = Annotated[Seconds, Field(le=86_400.0)]
"""At most a day: what was agreed to yesterday is not known to be right today."""
MOST_APPROVERS = 5
MOST_AUTHORITY = 100
"""Rules of one estate."""


class AuthorityRule(Entry):
    """One rule of the table; the first one that fits a plan decides. Conditions that are left out fit everything.

    `risk` is the class as it is found from live facts: a plan that may lose more than the RPO, or of which nobody can
    say what it loses, counts as B3 or more. `incident`: while an RTO clock runs. `tier`: a service of this tier or more
    important is touched. `reversible`: every change of it has a way back. `rto_left`: less than this is left of an
    RTO clock. Then: `roles` may start it, with `approvers` other people, each with one of `approved_by`. `present`: one
    who approved must be attached to the engine while it is confirmed and carried on. `automation`: pipelines may start
    it too. An approval is to be given within `decide_within` and used within `use_within`; `alone` are the roles that
    may go on without it, with a reason, a countdown that everybody sees, and a review afterwards.
    """

    risk: tuple[Literal["B1", "B2", "B3", "B4"], ...] = ()
    environment: tuple[Literal["production", "staging", "lab", "drill"], ...] = ()
    incident: bool | None = None
    loss: tuple[LossGrade, ...] = ()
    tier: Annotated[int, Field(ge=1, le=5)] | None = None
    reversible: bool | None = None
    rto_left: Seconds | None = None
    roles: tuple[ActingRole, ...] = ("commander",)
    approvers: Annotated[int, Field(ge=0, le=MOST_APPROVERS)] = 0
    approved_by: tuple[ApprovingRole, ...] = ("approver", "commander")
    present: bool = False
    automation: bool = False
    decide_within: Soon = 600.0
    use_within: Soon = 600.0
    alone: tuple[ActingRole, ...] = ("commander",)

    @model_validator(mode="after")
    def _fits_together(self) -> AuthorityRule:
        if not self.roles:
            raise ValueError("at least one role in roles: a rule that nobody fulfils is a mistake")
        if self.present and not self.approvers:
            raise ValueError("approvers of 1 or more where present is demanded")
        return self


class ScorePolicy(Entry):
    """From how many points of `recovery runbook score` on a plan needs a change id and the approval of one of these
    roles."""

    above: Annotated[int, Field(ge=0, le=1000)]
    approved_by: tuple[ApprovingRole, ...] = ("approver",)
