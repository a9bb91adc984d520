"""Which rule of the estate decides about a plan: by its class, what it may lose, and what is going on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from state.changes.model import Risk
from state.estate.authority import AuthorityRule
from state.estate.model import Policies
from state.policy.authority import ROLES_BY_RISK
from state.units import clock, megabytes

DEFAULT = "default"
"""The name of what decides where the estate has no rule that fits."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What is known of a plan now. `risk` is the class of its changes. `loss` in bytes, None when nobody can say;
    `limit` is the strictest RPO. `tier` of the most important service that is touched or needs what is, None without
    one. `rto_left` are seconds of the RTO clock with the least time left, None while none runs."""

    risk: Risk
    loss: int | None = 0
    limit: int | None = None
    tier: int | None = None
    reversible: bool = True
    rto_left: float | None = None
    score: int = 0
    """Points of what makes it risky."""
    approvers: int = 0
    """Other people who must approve in any case: what it hands out is too much for one."""

    @property
    def loss_grade(self) -> str:
        """None, within the RPO, above it, or unknown."""
        if self.loss is None:
            return "unknown"
        if not self.loss:
            return "none"
        return "within-rpo" if self.loss <= (self.limit or 0) else "above-rpo"

    @property
    def counts_as(self) -> Risk:
        """The class for authority: what may lose too much, or nobody knows how much, counts as B3 at least."""
        lossy = self.loss_grade in ("above-rpo", "unknown")
        return max(self.risk, Risk.B3) if lossy and self.risk is not Risk.B0 else self.risk

    @property
    def words(self) -> str:
        """The facts that decide, in one line."""
        return ", ".join(self._words())

    def _words(self) -> Iterator[str]:
        raised = self.counts_as is not self.risk
        yield f"{self.risk.value} that counts as {self.counts_as.value}" if raised else self.risk.value
        if self.loss is None:
            yield "loss unknown"
        elif self.loss:
            yield f"loss {megabytes(self.loss)} of {megabytes(self.limit or 0)}"
        else:
            yield "no loss"
        if self.tier is not None:
            yield f"tier {self.tier}"
        yield "can be undone" if self.reversible else "cannot be undone"
        if self.rto_left is not None:
            yield f"RTO {clock(self.rto_left)} left"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rule of this name demands; see `AuthorityRule`. `risk` is the class that it was found for."""

    rule: str
    risk: Risk
    roles: tuple[str, ...]
    approvers: int = 0
    approved_by: tuple[str, ...] = ("approver", "commander")
    present: bool = False
    automation: bool = False
    decide_within: float = 600.0
    use_within: float = 600.0
    alone: tuple[str, ...] = ("commander",)
    needs_change: bool = False

    @property
    def starters(self) -> tuple[str, ...]:
        """Who may start it: these roles, and pipelines where automation may."""
        return (*self.roles, "pipeline") if self.automation else self.roles


def decide(policies: Policies, environment: str, grade: Grade) -> Ruling:
    """The first rule that fits decides; where none does, the class alone, as in an estate without a table. Above the
    estate's score it needs a change id, and an approval in any case."""
    found = _by_facts(policies, environment, grade)
    if grade.approvers > found.approvers:
        found = replace(found, rule=f"{found.rule}, and superuser", approvers=grade.approvers)
    limit = policies.score
    if limit is None or grade.score <= limit.above or grade.risk is Risk.B0:
        return found
    if found.approvers:
        return replace(found, needs_change=True)
    name = f"score of {grade.score} above {limit.above}"
    return replace(found, rule=name, approvers=1, approved_by=limit.approved_by, needs_change=True)


def _by_facts(policies: Policies, environment: str, grade: Grade) -> Ruling:
    for name, rule in policies.authority.items():
        if _fits(rule, environment, grade):
            return Ruling(
                name, grade.counts_as, rule.roles, rule.approvers, rule.approved_by, rule.present, rule.automation,
                rule.decide_within, rule.use_within, rule.alone,
            )  # fmt: skip
    needed = 1 if grade.risk.value in policies.second_person else 0
    return Ruling(DEFAULT, grade.risk, ROLES_BY_RISK[grade.risk], needed)


def _fits(rule: AuthorityRule, environment: str, grade: Grade) -> bool:
    return all(
        (
            grade.risk is not Risk.B0,
            not rule.risk or grade.counts_as.value in rule.risk,
            not rule.environment or environment in rule.environment,
            rule.incident is None or rule.incident is (grade.rto_left is not None),
            not rule.loss or grade.loss_grade in rule.loss,
            rule.tier is None or (grade.tier is not None and grade.tier <= rule.tier),
            rule.reversible is None or rule.reversible is grade.reversible,
            rule.rto_left is None or (grade.rto_left is not None and grade.rto_left < rule.rto_left),
        )
    )
