"""What makes a plan risky, in points: from its graph and from what was done here before, never from a questionnaire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from state.api.card import ScoreKind, ScorePoint
from state.api.run_states import RunState
from state.estate.model import Estate
from state.planning.card import dependents_of, loss_of, touched_of
from state.planning.plan import Draft, Seen, may_act
from state.runs.fold import RunHistory

IRREVERSIBLE, UNDRILLED, TEAM, TIER_ONE, NEW_RUNBOOK = 10, 4, 5, 5, 6
UNKNOWN_LOSS, LOSS_ABOVE, LOSS_WITHIN = 20, 30, 10


def score(draft: Draft, seen: Sequence[Seen], estate: Estate, history: RunHistory) -> tuple[ScorePoint, ...]:
    """The points of a plan, each with what it is for; none for a plan that does nothing."""
    acting = may_act(seen)
    return tuple(_points(draft, acting, estate, history)) if acting else ()


def _points(draft: Draft, acting: Sequence[Seen], estate: Estate, history: RunHistory) -> Iterator[ScorePoint]:
    for one in acting:
        if one.preview.undo is None and not one.step.ends:
            yield ScorePoint(IRREVERSIBLE, ScoreKind.IRREVERSIBLE, one.step.title)
    touched = touched_of(draft, acting, estate)
    loss = loss_of(acting, touched, estate, 0.0)
    if loss.size is None:
        yield ScorePoint(UNKNOWN_LOSS, ScoreKind.LOSS_UNKNOWN, loss.note)
    elif loss.size:
        above = loss.size > (loss.limit or 0)
        yield ScorePoint(
            LOSS_ABOVE if above else LOSS_WITHIN, ScoreKind.LOSS_ABOVE if above else ScoreKind.LOSS_WITHIN, loss.note
        )
    reached = dict.fromkeys((*touched, *(fact.subject for fact in dependents_of(touched, estate))))
    services = {name: estate.services[name] for name in reached if name in estate.services}
    teams = dict.fromkeys(owner for entry in services.values() for owner in entry.owners)
    if len(teams) > 1:
        yield ScorePoint(TEAM * (len(teams) - 1), ScoreKind.TEAMS, ", ".join(teams))
    first = [name for name, entry in services.items() if entry.tier == 1]
    if first:
        yield ScorePoint(TIER_ONE, ScoreKind.TIER, ", ".join(first))
    for deed in dict.fromkeys(one.step.deed for one in acting):
        if not history.took(deed):
            yield ScorePoint(UNDRILLED, ScoreKind.UNDRILLED, deed)
    known = (run for run in history.runs.values() if run.hash == draft.hash)
    if draft.runbook and not any(run.state is RunState.DONE and not run.unmet() for run in known):
        yield ScorePoint(NEW_RUNBOOK, ScoreKind.NEW_RUNBOOK, draft.runbook)
