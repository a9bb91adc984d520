"""What is known of a plan now, as far as it decides who may start it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from state.api.card import Rule, ScorePoint
from state.api.views.header import RtoClock
from state.changes.model import Risk
from state.clock import Clock
from state.estate.model import Estate
from state.planning.card import dependents_of, loss_of, touched_of
from state.planning.plan import Draft, Seen, may_act, risk_of
from state.planning.scoring import score
from state.policy.deciding import Grade, Ruling, decide
from state.runs.fold import RunHistory
from state.units import ago
from state.verdicts.clocks import remaining

Urgent = Callable[[], RtoClock | None]
"""The RTO clock that runs with the least time left."""


def no_clock() -> RtoClock | None:
    """No clock runs."""
    return None


Silent = Callable[[], float | None]
"""For how many seconds no place has taken an anchor; None while one does."""
OUTSIDE, LIMIT = "anchored-outside", "policies.anchors.refuse_after"


def never_silent() -> float | None:
    """Some place takes anchors, or there is none."""
    return None


class Grading:
    """Grades plans by the estate in force, and finds the rule that decides."""

    def __init__(
        self,
        estate: Callable[[], Estate],
        history: RunHistory,
        clock: Clock,
        urgent: Urgent = no_clock,
        silent: Silent = never_silent,
    ) -> None:
        self._estate, self._history, self._clock, self._urgent = estate, history, clock, urgent
        self._silent = silent

    def anchored(self, seen: Sequence[Seen]) -> tuple[Rule, ...]:
        """Whether something outside of this host still takes what is recorded; asked for B2 and above only."""
        limit, places = self._estate().policies.anchors.refuse_after, self._estate().anchors
        if limit is None or not places or risk_of(seen) in (Risk.B0, Risk.B1):
            return ()
        silent = self._silent()
        if silent is None or silent <= limit:
            return (Rule(OUTSIDE, True, "a place outside of this host has taken anchors lately"),)
        fact = f"{', '.join(places)} have taken no anchor for {ago(silent)}; the estate allows {ago(limit)}"
        way_out = f"Make one of them reachable (recovery check --connect says why), or raise {LIMIT} and reload"
        return (Rule(OUTSIDE, False, fact, way_out, "administrator of one of these places"),)

    def points(self, draft: Draft, seen: Sequence[Seen]) -> tuple[ScorePoint, ...]:
        """What makes a plan risky."""
        return score(draft, seen, self._estate(), self._history)

    def grade(self, draft: Draft, seen: Sequence[Seen]) -> Grade:
        """The facts of a plan that decide."""
        estate, acting = self._estate(), may_act(seen)
        touched = touched_of(draft, acting, estate)
        loss = loss_of(acting, touched, estate, 0.0)
        reached = (*touched, *(fact.subject for fact in dependents_of(touched, estate)))
        tiers = [estate.services[name].tier for name in reached if name in estate.services]
        running = self._urgent()
        return Grade(
            risk=risk_of(seen),
            loss=loss.size,
            limit=loss.limit,
            tier=min(tiers, default=None),
            reversible=all(one.preview.undo is not None for one in acting if not one.step.ends),
            rto_left=None if running is None else remaining(running, self._clock.mono()),
            approvers=max((one.preview.approvers for one in acting), default=0),
            score=sum(each.points for each in self.points(draft, seen)),
        )

    def ruling(self, grade: Grade) -> Ruling:
        """The rule that decides about a plan of this grade."""
        estate = self._estate()
        return decide(estate.policies, estate.environment, grade)
