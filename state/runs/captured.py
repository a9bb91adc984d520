"""Values that a step captures and a later one is given: known only when the run is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from state.api.run_states import StepState
from state.runs.model import Run
from state.runs.steps import PlannedStep


def filled(run: Run, step: PlannedStep) -> PlannedStep | str:
    """A step with the arguments that earlier ones captured; or why one of them is not known."""
    args = step.args
    for name, source, wanted in step.late:
        value = _value(run, source, wanted)
        if value is None:
            found = run.latest(source)
            figure = found.step.capture.get(wanted, wanted)
            read = f"read no {figure}" if found.state is StepState.DONE else f"is {found.state.value}"
            return f"{name} is not known: {found.step.title} {read}"
        args = _with(args, name.split("."), value)
    return replace(step, args=args, late=()) if step.late else step


def told_of(run: Run, step: PlannedStep) -> str:
    """The arguments that are known now, as text."""
    return ", ".join(f"{name} is {_value(run, source, wanted)}" for name, source, wanted in step.late)


def _value(run: Run, source: str, wanted: str) -> str | float | None:
    """What a step captured under a name; None unless it is done and read it."""
    found = run.latest(source)
    value = found.figures.get(found.step.capture.get(wanted, ""))
    usable = found.state is StepState.DONE and isinstance(value, str | int | float) and value != ""
    return value if usable else None


def _with(args: Mapping[str, Any], place: list[str], value: Any) -> dict[str, Any]:
    first, *rest = place
    return {**args, first: _with(args.get(first, {}), rest, value) if rest else value}
