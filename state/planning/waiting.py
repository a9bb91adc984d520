"""Safety rules about time: so long nothing may change the same servers again. A way back is not held up by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from state.api.card import Rule
from state.api.requests import PlanRetry, PlanUndo
from state.changes.safety import RULE
from state.estate.model import Estate
from state.planning.plan import Draft
from state.runs.fold import RunHistory
from state.units import clock
from state.verdicts.safety import places_of


def waiting_rules(draft: Draft, estate: Estate, history: RunHistory, now_mono: float) -> tuple[Rule, ...]:
    """The verdict of each such rule that is about a target of the draft. A rule about some servers of a backend counts
    for the backend: a change of one moves the traffic of all."""
    if isinstance(draft.request, PlanUndo | PlanRetry):
        return ()
    targets = {_target(step.args) for step in draft.steps if step.do == "change"}
    reasons = {name: reason for step in draft.steps for name, reason in step.overrides.items()}
    found: list[Rule] = []
    for name, rule in estate.rules.items():
        places = {"/".join(place) for place in places_of(estate, rule)} & targets
        if rule.wait is None or not places:
            continue
        last, run = _last(history, places)
        since = now_mono - last
        passed, fact = since >= rule.wait, f"{name}: nothing changed them within {clock(rule.wait)}"
        if not passed:
            fact = f"{name}: {run} changed them {clock(max(0.0, since))} ago, it must be {clock(rule.wait)}"
        if not passed and name in reasons:
            passed, fact = True, f"{fact}; overridden: {reasons[name]}"
        way_out = f"Wait, or undo {run}; a commander may override {name}, by its name and with a reason"
        found.append(Rule(RULE, passed, fact, way_out, "commander", own=name))
    return tuple(found)


def _target(args: Mapping[str, Any]) -> str:
    return f"{args.get('balancer')}/{args.get('backend')}"


def _last(history: RunHistory, places: set[str]) -> tuple[float, str]:
    """When an effect on one of these was last recorded as done, in part or whole, and by which run. By the monotonic
    clock: one that is set forward lets nothing through."""
    found = (float("-inf"), "")
    for run in history.runs.values():
        for step in run.all_steps():
            if not step.acted or step.intent is None or step.outcome is None:
                continue
            if places.intersection(step.intent.targets):
                found = max(found, (history.mono(step.outcome), run.id))
    return found
