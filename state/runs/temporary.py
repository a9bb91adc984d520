"""What is temporary in a run: since when it is over, what takes it back, and what others have set meanwhile.

Pure. A step that `ends` something takes back the change whose id is in its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from state.api.run_states import StepState
from state.ports.target import Setting
from state.runs.model import Run, StepRun
from state.verdicts.drift import key_of

OVER = "over"
"""The id of the step that waits until something temporary is over."""
BACK = "back-"
"""What the id of a step begins with that takes back the change whose id follows."""
GRACE = 30.0
"""Seconds that taking it back may take before it is told."""


def made(run: Run, end: StepRun) -> StepRun | None:
    """The instance of the change that a step takes back, which acted; None where none did."""
    instances = run.instances.get(end.step.id.removeprefix(BACK), ())
    return next((step for step in reversed(instances) if step.acted), None)


def of_others(left: Iterable[Setting], now: Iterable[Setting], wanted: Iterable[Setting]) -> list[str]:
    """What is neither as a change left it nor as it is to be again: somebody else has set it since."""
    present, goal = ({key_of(each): each.value for each in settings} for settings in (now, wanted))
    return [
        f"{'/'.join(each.place)} {each.name} was left {each.value}, it is {present.get(key_of(each), 'gone')}"
        for each in left
        if present.get(key_of(each)) not in (each.value, goal.get(key_of(each)))
    ]


def overdue(run: Run, now_mono: float) -> bool:
    """Whether something temporary should have been taken back, and is not."""
    wait = run.instances.get(OVER, [])
    started = wait[-1].started_mono if wait and not wait[-1].left_out else None
    if run.ended or started is None or all(run.settled(s) for s in run.steps if s.ends):
        return False
    return now_mono - started - wait[-1].step.timeout > GRACE


def ends_at(run: Run) -> float | None:
    """When something temporary is over, epoch seconds; None before it has begun."""
    wait = run.instances.get(OVER, [])
    return wait[-1].started.at + wait[-1].step.timeout if wait and wait[-1].started is not None else None


def stays(run: Run) -> bool:
    """Whether something that was to be temporary would stay for good if the run ended now."""
    ends = [run.latest(each.id) for each in run.steps if each.ends]
    return any(end.state is not StepState.DONE and made(run, end) is not None for end in ends)
