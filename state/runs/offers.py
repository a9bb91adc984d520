"""What people may do to a run now. Views offer it and controls obey it: one place decides both."""

from __future__ import annotations

from collections.abc import Mapping

from state.api.requests import Decide, Pause, PlanRetry, PlanUndo, Resume, Skip, Stop
from state.api.run_states import RunState, StepState, UndoState
from state.runs.model import HELD, Run, StepRun

Offers = Mapping[str, tuple[str, ...]]
"""Verbs that work now, most useful first, each with the step instances it may name, most urgent first."""


def offers(run: Run) -> Offers:
    """The verbs of one run. A stop works at any time before its end, also where it is already requested."""
    if run.ended:
        possible = run.undo_state in (UndoState.POSSIBLE, UndoState.REFUSED)
        return {PlanUndo.do: ()} if possible else {}
    if run.stopping:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    paused, held = run.state is RunState.PAUSED, held_steps(run)
    if asked := run.asking():
        found[Decide.verb] = _keys(asked)
    if paused and held:
        found[PlanRetry.do] = _keys(held)
    elif paused:
        found[Resume.verb] = _keys(run.standing())
    if skippable := skippable_steps(run):
        found[Skip.verb] = _keys(skippable)
    if not paused:
        found[Pause.verb] = ()
    return {**found, Stop.verb: ()}


def held_steps(run: Run) -> list[StepRun]:
    """The steps a run stands at that ended without success."""
    return [s for s in run.standing() if s.state in HELD]


def skippable_steps(run: Run) -> list[StepRun]:
    """What can be left out: a question at any time; in a paused run also what failed, waits, checks or has not begun.

    Never an effect that is under way: it is settled by reading.
    """
    if run.state is not RunState.PAUSED:
        return run.asking()
    standing = [s for s in run.standing() if not (s.in_doubt or s.left_out)]
    free = [s for s in standing if s.state is not StepState.RUNNING or s.step.do in ("check", "when", "wait")]
    return sorted(free, key=lambda s: s.state not in HELD)


def named(steps: list[StepRun], name: str) -> StepRun | None:
    """The step that a request names by instance or id; without a name the only one there is."""
    if not name:
        return steps[0] if len(steps) == 1 else None
    return next((s for s in steps if name in (s.key, s.step.id)), None)


def _keys(steps: list[StepRun]) -> tuple[str, ...]:
    return tuple(s.key for s in steps)
