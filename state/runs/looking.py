"""What is read right before an effect, and what it says against sending it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from state.api.run_states import RunState
from state.changes.model import Change, ChangeSpec, Preview, RestsOnChecks
from state.clock import Clock
from state.errors import NotFound, ReadFailure, Trouble
from state.ports.target import Identity
from state.runs.model import Run, StepRun
from state.runs.temporary import made, of_others
from state.runs.turns import EffectTurn

SEND_DEADLINE = 3.0
"""Seconds for one reading right before something is sent: a target that is frozen must not make all others too old."""
LONGEST_PAUSE = 10.0
"""Seconds between two looks at a target that is waited for, at most."""


@dataclass(frozen=True, slots=True)
class LastLook:
    """What was read of a target, since when, and the turn in which that counts."""

    turn: EffectTurn
    read_at: float
    identity: Identity
    preview: Preview


async def looked(
    run: Run, step: StepRun, change: Change, clock: Clock, take: Callable[[], Awaitable[EffectTurn | str]]
) -> LastLook:
    """Read the target in a turn of its own. What ends something temporary waits for a target that cannot be read, and
    while people hold the run, without the turn: its time was confirmed with it. Raises ReadFailure and NotFound."""
    pause = 1.0
    while True:
        turn, kept = await take(), False
        try:
            found = await _read(change, clock, turn)
            held = step.step.ends and run.state is RunState.PAUSED
            if not held or run.stopping or step.left_out:
                kept = True
                return found
        except ReadFailure as error:
            if not step.step.ends or run.stopping or step.left_out:
                raise
            step.message = f"waits until its target can be read: {error}"
        finally:
            if isinstance(turn, EffectTurn) and not kept:
                turn.end()
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def _read(change: Change, clock: Clock, turn: EffectTurn | str) -> LastLook:
    if isinstance(turn, str):
        doubt = f"it is not known yet what became of {turn}, by which a rule for this is judged"
        raise ReadFailure(Trouble.ERROR, doubt)
    read_at = clock.mono()
    identity, preview = await asyncio.gather(
        change.identify(deadline=SEND_DEADLINE), change.preview(deadline=SEND_DEADLINE)
    )
    return LastLook(turn, read_at, identity, preview)


async def others_since(run: Run, step: StepRun, preview: Preview, build: Callable[[ChangeSpec], Change]) -> str:
    """Why something temporary is not taken back by itself: others have changed it since; empty where they have not."""
    change = made(run, step) if step.step.ends and not preview.already else None
    if change is None or change.intent is None or not change.leaves:
        return ""
    try:
        now = await build(change.intent.change).read_back(change.intent.facts, deadline=SEND_DEADLINE)
    except (ReadFailure, NotFound) as error:
        return f"what {change.key} left cannot be read: {error}"
    others = of_others(change.leaves, now.leaves, preview.leaves)
    return f"somebody else changed it since: {'; '.join(others)}" if others else ""


def obstacle_to(step: StepRun, change: Change, identity: Identity, preview: Preview) -> str:
    """Why the effect must not be sent: another target, changed facts, or a precondition that is not met."""
    pinned = step.step
    if pinned.identity is not None:
        difference = Identity(identity.target, pinned.identity).difference(identity)
        if difference:
            return f"identity: {difference}"
    if pinned.facts is not None and not preview.already:
        loosen = change.loosened if pinned.loose and isinstance(change, RestsOnChecks) else dict
        moved = fact_difference(pinned.facts, loosen(preview.facts))
        if moved:
            return f"facts changed since the plan: {moved}"
    refusals = preview.refusals_but(pinned.overrides)
    return str(refusals[0]) if refusals else ""


def fact_difference(planned: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first fact that differs from the plan, as text; empty when all are equal."""
    for name in {**planned, **now}:
        was, is_now = planned.get(name), now.get(name)
        if isinstance(was, Mapping) and isinstance(is_now, Mapping):
            inner = fact_difference(was, is_now)
            if inner:
                return inner
        elif _same(was) != _same(is_now):
            return f"{name} was {was}, is {is_now}"
    return ""


def _same(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
